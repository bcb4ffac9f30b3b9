// report_state.c - the head of a report: is the run done, what is it, what came of it.

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/memory.h"
#include "input/settings_table.h"
#include "tools/report_html.h"
#include "tools/report_parts.h"
#include "tools/show_series.h"
#include "tools/show_state.h"

// What the last start said of itself: the lines before its first step.
static void take_head(const char *text, Bytes *head)
{
    static const char *const ends[] = {"evaluation ", "step ", "RESULT ", NULL};
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        for (int i = 0; ends[i]; i++)
            if (strncmp(line, ends[i], strlen(ends[i])) == 0)
                return;
        if (line[length] == 0)
            return; // still being written
        bytes_append(head, line, length + 1);
        line += length + 1;
    }
}

static void begin_row(Bytes *html, const char *name)
{
    bytes_print(html, "<dt>%s</dt><dd>", name);
}

static void end_row(Bytes *html)
{
    bytes_append_text(html, "</dd>\n");
}

static void append_steps(const ShowState *state, Bytes *html)
{
    Bytes word = {0};
    bytes_append_text(&word, show_state_word(state->kind));
    word.data[0] = (char)toupper((unsigned char)word.data[0]);
    bytes_print(html, "<strong class=\"%s\">%s</strong>: ",
                state->kind == STATE_FINISHED ? "done" : "open", word.data);
    bytes_free(&word);
    report_html_count(html, state->done);
    if (state->total > 0) {
        bytes_append_text(html, " of ");
        report_html_count(html, state->total);
    }
    bytes_append_text(html, " steps");
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
    double steps = show_series_sum(&run->metrics, "perf/time_per_step", 0);
    double evaluations = show_series_sum(&run->metrics, "timing_s/evaluate", 0);
    report_html_time(html, steps);
    bytes_append_text(html, " in steps, ");
    report_html_time(html, evaluations);
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
    ShowLog log;
    Bytes head = {0};
    show_log_open(&log, run->directory);
    ShowState state = show_state_of(run, &log, (double)time(NULL));
    bytes_append_text(html, "<dl class=\"facts\">\n");
    begin_row(html, "State");
    append_steps(&state, html);
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
    if (show_log_finished(&log))
        append_text_row(html, "Result", log.end);
    bytes_append_text(html, "</dl>\n");
    take_head(log.head, &head);
    if (head.length > 0) {
        bytes_append_text(html,
                          "<details><summary>What the run said when it was last started</summary>"
                          "<pre tabindex=\"0\">");
        report_html_text(html, head.data);
        bytes_append_text(html, "</pre></details>\n");
    }
    bytes_free(&head);
    show_log_close(&log);
}
