// report_state.c - the head of a report: is the run done, what is it, what came of it.

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/regular.h"
#include "base/version.h"
#include "files/raw.h"
#include "input/settings_table.h"
#include "tools/report_html.h"
#include "tools/report_parts.h"

enum { HEAD_BYTES = 1 << 14, TAIL_BYTES = 1 << 12 }; // of log.txt that is looked at

// Both may be "": there is no log, or none that says so.
typedef struct {
    Bytes head;   // what the first start said of itself: the lines before its first step
    Bytes result; // the last line where that is the RESULT of the run
} LogEnds;

static void take_head(char *text, Bytes *head)
{
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        bool ends = strncmp(line, "evaluation ", 11) == 0 || strncmp(line, "step ", 5) == 0 ||
                    strncmp(line, "RESULT ", 7) == 0 || line[length] == 0;
        if (ends)
            break;
        bytes_append(head, line, length + 1);
        line += length + 1;
    }
}

static void take_result(const char *text, size_t length, Bytes *result)
{
    while (length > 0 && text[length - 1] == '\n')
        length--;
    size_t begin = length;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    if (length - begin > 7 && memcmp(text + begin, "RESULT ", 7) == 0)
        bytes_append(result, text + begin + 7, length - begin - 7);
}

static LogEnds read_log(const char *directory)
{
    LogEnds ends = {0};
    Bytes path = {0};
    int64_t bytes;
    bytes_print(&path, "%s/log.txt", directory);
    int descriptor = regular_open(path.data, &bytes);
    if (descriptor >= 0) {
        char head[HEAD_BYTES + 1] = "", tail[TAIL_BYTES];
        size_t first = bytes < HEAD_BYTES ? (size_t)bytes : HEAD_BYTES;
        size_t last = bytes < TAIL_BYTES ? (size_t)bytes : TAIL_BYTES;
        if (raw_read_at(descriptor, path.data, head, first, 0) == 0)
            take_head(head, &ends.head);
        if (raw_read_at(descriptor, path.data, tail, last, bytes - (int64_t)last) == 0)
            take_result(tail, last, &ends.result);
        close(descriptor);
    }
    bytes_free(&path);
    return ends;
}

double report_sum(const MetricsTable *table, const char *name)
{
    const double *values = metrics_table_find(table, name);
    double sum = NAN;
    for (int64_t i = 0; values && i < table->rows; i++)
        if (isfinite(values[i]))
            sum = (isnan(sum) ? 0 : sum) + values[i];
    return sum;
}

static void begin_row(Bytes *html, const char *name)
{
    bytes_print(html, "<dt>%s</dt><dd>", name);
}

static void end_row(Bytes *html)
{
    bytes_append_text(html, "</dd>\n");
}

static void append_steps(const ShowRun *run, bool finished, Bytes *html)
{
    const MetricsTable *metrics = &run->metrics;
    int64_t done = metrics->rows > 0 ? metrics->steps[metrics->rows - 1] : 0;
    bytes_print(html, "<strong class=\"%s\">%s</strong>: ", finished ? "done" : "open",
                finished ? "Finished" : "Not finished");
    report_html_count(html, done);
    if (run->progress.total > 0) {
        bytes_append_text(html, " of ");
        report_html_count(html, run->progress.total);
    }
    bytes_append_text(html, " steps");
    if (run->held)
        bytes_append_text(html, "; a job has the run, or ended without letting go of it");
}

static int64_t count_stage(const MetricsTable *metrics, double which)
{
    const double *stage = metrics_table_find(metrics, "stage");
    int64_t count = 0;
    for (int64_t i = 0; stage && i < metrics->rows; i++)
        count += stage[i] == which;
    return count;
}

static void append_learning(const ShowRun *run, Bytes *html)
{
    int64_t warmup = count_stage(&run->metrics, 0), main = count_stage(&run->metrics, 1);
    if (warmup > 0) {
        report_html_count(html, warmup);
        bytes_append_text(html, " steps of warm-up (sft), then ");
    }
    report_html_count(html, main);
    bytes_print(html, " steps of %s", settings_algorithm_name(run->settings.algorithm.name));
}

static void append_judge(const Settings *settings, Bytes *html)
{
    switch (settings->reward.judge) {
    case ASKED_NOBODY:
        bytes_append_text(html, "by rule");
        return;
    case ASKED_MODEL:
        bytes_append_text(html, "the model ");
        report_html_text(html, settings->judge.path);
        return;
    case ASKED_SERVED:
        bytes_append_text(html, "the served model ");
        report_html_text(html, settings->judge.endpoint.name);
        return;
    }
}

static void append_times(const ShowRun *run, Bytes *html)
{
    double steps = report_sum(&run->metrics, "perf/time_per_step");
    double evaluations = report_sum(&run->metrics, "timing_s/evaluate");
    report_html_time(html, isnan(steps) ? 0 : steps);
    bytes_append_text(html, " in steps, ");
    report_html_time(html, isnan(evaluations) ? 0 : evaluations);
    bytes_append_text(html, " in evaluations");
    Bytes path = {0};
    struct stat status;
    char day[32];
    struct tm utc;
    bytes_print(&path, "%s/metrics.jsonl", run->directory);
    if (stat(path.data, &status) == 0 && gmtime_r(&status.st_mtime, &utc) &&
        strftime(day, sizeof day, "%Y-%m-%d %H:%M", &utc) > 0)
        bytes_print(html, "; the last one ended %s UTC", day);
    bytes_free(&path);
}

static void append_text_row(Bytes *html, const char *name, const char *text)
{
    if (!*text)
        return;
    begin_row(html, name);
    report_html_text(html, text);
    end_row(html);
}

void report_state(const ShowRun *run, Bytes *html)
{
    LogEnds log = read_log(run->directory);
    const MetricsTable *metrics = &run->metrics;
    bool all = run->progress.total > 0 && metrics->rows > 0 &&
               metrics->steps[metrics->rows - 1] >= run->progress.total;
    bytes_append_text(html, "<dl class=\"facts\">\n");
    begin_row(html, "State");
    append_steps(run, all || log.result.length > 0, html);
    end_row(html);
    begin_row(html, "Learning");
    append_learning(run, html);
    end_row(html);
    begin_row(html, "Time");
    append_times(run, html);
    end_row(html);
    append_text_row(html, "Model", run->settings.model.path);
    append_text_row(html, "Data", run->settings.data.train);
    append_text_row(html, "Evaluated on", run->settings.evaluate.file);
    begin_row(html, "Judge");
    append_judge(&run->settings, html);
    end_row(html);
    if (log.result.length > 0)
        append_text_row(html, "Result", log.result.data);
    bytes_append_text(html, "</dl>\n");
    if (log.head.length > 0) {
        bytes_append_text(html, "<details><summary>What the run said when it began</summary>"
                                "<pre tabindex=\"0\">");
        report_html_text(html, log.head.data);
        bytes_append_text(html, "</pre></details>\n");
    }
    bytes_free(&log.head);
    bytes_free(&log.result);
}
