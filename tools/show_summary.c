// show_summary.c - l2a-show RUN: a run on one screen.

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "files/run_files.h"
#include "tools/show_attention.h"
#include "tools/show_commands.h"
#include "tools/show_figures.h"
#include "tools/show_scores.h"
#include "tools/show_series.h"
#include "tools/show_state.h"
#include "tools/show_text.h"
#include "tools/show_watch.h"

enum { LABEL_COLUMNS = 14, CHECKPOINTS_LISTED = 3 };

typedef struct {
    const ShowRun *run;
    const ShowLog *log;
    const Screen *screen;
    Bytes *out;
} Summary;

static void print_labelled(const Summary *summary, const char *label, const char *text)
{
    Bytes clean = {0};
    show_text_line(&clean, text);
    bytes_print(summary->out, "%-*s", LABEL_COLUMNS, label);
    show_text_wrap(summary->out, clean.data, LABEL_COLUMNS, summary->screen->columns);
    bytes_free(&clean);
}

// What the log's head says under `field`, or else `otherwise`.
static void print_field(const Summary *summary, const char *label, const char *field,
                        const char *otherwise)
{
    Bytes text = {0};
    bool said = show_log_field(summary->log, field, &text);
    print_labelled(summary, label, said ? text.data : otherwise);
    bytes_free(&text);
}

static void print_subject(const Summary *summary)
{
    const Settings *settings = &summary->run->settings;
    Bytes method = {0};
    print_field(summary, "model", "model", settings->model.path);
    print_field(summary, "data", "data", settings->data.train);
    bytes_append(&method, "", 0);
    if (!show_log_field(summary->log, "stages", &method))
        bytes_print(&method, "batches of %lld contexts", (long long)settings->train.batch_contexts);
    bytes_print(&method, "; learning rate %g, seed %lld", settings->optimizer.learning_rate,
                (long long)settings->run.seed);
    if (settings_sample_responses(settings))
        bytes_print(&method, ", groups of %lld", (long long)settings->rollout.group_size);
    print_labelled(summary, "stages", method.data);
    bytes_free(&method);
}

static void print_state(const Summary *summary, const ShowState *state)
{
    Bytes text = {0};
    show_state_print(state, summary->run, summary->log, &text);
    const char *label = "state";
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        print_labelled(summary, label, line);
        label = "";
    }
    bytes_free(&text);
}

static void print_figures(const Summary *summary)
{
    const MetricsTable *table = &summary->run->metrics;
    int64_t begin = show_series_stage_begin(table);
    int64_t first = show_series_first(table, begin), last = show_series_last(table, begin);
    if (last < 0)
        return;
    bytes_append_text(summary->out, "\n");
    show_figures_table(table, first, last, show_series_window(table, begin, SERIES_WINDOW),
                       summary->screen->columns, summary->out);
}

static void print_evaluations(const Summary *summary)
{
    const ShowRun *run = summary->run;
    const EvaluationResult *results[SHOW_EVALUATIONS];
    for (int i = 0; i < run->evaluation_count; i++)
        results[i] = &run->evaluations[i];
    if (run->evaluation_count == 0)
        return;
    bytes_append_text(summary->out, "\n");
    show_scores_print(run->evaluation_names, results, run->evaluation_count, summary->out);
    if (run->evaluation_count > 1)
        bytes_append_text(summary->out,
                          "+ or -: this value and the first lie outside each other's interval\n");
}

static void print_checkpoint(const Summary *summary, int64_t step)
{
    const char *directory = summary->run->directory;
    char *path = run_files_path(directory, step);
    struct stat status;
    Bytes *out = summary->out;
    int64_t bytes = stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
    bytes_print(out, "step %lld, %s", (long long)step, show_text_bytes(bytes).text);
    if (run_files_pointer(directory, "LATEST") == step)
        bytes_append_text(out, " (LATEST)");
    if (run_files_pointer(directory, "BEST") == step)
        bytes_append_text(out, " (BEST)");
    release(path);
}

// The newest ones, and the best.
static void print_checkpoints(const Summary *summary)
{
    int64_t *steps, best = run_files_pointer(summary->run->directory, "BEST");
    int64_t count = run_files_list(summary->run->directory, &steps), left = 0;
    bytes_print(summary->out, "\n%-*s", LABEL_COLUMNS, "checkpoints");
    if (count <= 0)
        bytes_append_text(summary->out, "none yet");
    for (int64_t i = 0; i < count; i++) {
        if (i >= CHECKPOINTS_LISTED && steps[i] != best) {
            left++;
            continue;
        }
        bytes_append_text(summary->out, i > 0 ? "; " : "");
        print_checkpoint(summary, steps[i]);
    }
    if (left > 0)
        bytes_print(summary->out, "; and %lld older ones", (long long)left);
    bytes_append_text(summary->out, "\n");
    release(steps);
}

static void take_finding(void *context, const char *finding)
{
    const Summary *summary = context;
    show_text_colour(summary->out, summary->screen, COLOUR_YELLOW, "! ");
    show_text_wrap(summary->out, finding, 2, summary->screen->columns);
}

static void print_summary(const Summary *summary)
{
    ShowState state = show_state_of(summary->run, summary->log, (double)time(NULL));
    Bytes name = {0};
    show_text_line(&name, summary->run->directory);
    bytes_print(summary->out, "%-*s", LABEL_COLUMNS, "run");
    show_text_colour(summary->out, summary->screen, COLOUR_BOLD, name.data);
    bytes_append_text(summary->out, "\n");
    bytes_free(&name);
    print_subject(summary);
    print_state(summary, &state);
    print_figures(summary);
    print_evaluations(summary);
    print_checkpoints(summary);
    bytes_append_text(summary->out, "\n");
    if (show_attention_find(summary->run, summary->log, take_finding, (void *)(uintptr_t)summary) ==
        0)
        bytes_append_text(summary->out, "nothing stands out\n");
}

int show_summary(const ShowArguments *arguments, Bytes *out)
{
    const char *directory = arguments->operands[0];
    if (arguments->watch)
        return show_watch(directory);
    ShowRun run;
    ShowLog log;
    if (show_run_open(&run, directory) != 0)
        return -1;
    show_log_open(&log, directory);
    Screen screen = show_text_screen();
    print_summary(&(Summary){&run, &log, &screen, out});
    show_log_close(&log);
    show_run_close(&run);
    return 0;
}
