// show_compare.c - l2a-show compare: what several runs were told, and what came of it.

#include <string.h>
#include <time.h>

#include "tools/show_commands.h"
#include "tools/show_curves.h"
#include "tools/show_figures.h"
#include "tools/show_scores.h"
#include "tools/show_series.h"
#include "tools/show_state.h"
#include "tools/show_text.h"

enum { RUNS_MAXIMUM = 8, LABEL_COLUMNS = 31, VALUE_COLUMNS = 21, CHART_ROWS = 6 };

typedef struct {
    ShowRun runs[RUNS_MAXIMUM];
    ShowState states[RUNS_MAXIMUM];
    Bytes names[RUNS_MAXIMUM]; // owned; harmless
    int count;
    Bytes *out;
} Comparison;

static void close_all(Comparison *comparison)
{
    for (int r = 0; r < comparison->count; r++) {
        show_run_close(&comparison->runs[r]);
        bytes_free(&comparison->names[r]);
    }
}

static int open_all(Comparison *comparison, const ShowArguments *arguments)
{
    for (int r = 0; r < arguments->operand_count; r++) {
        ShowLog log;
        const char *directory = arguments->operands[r];
        if (show_run_open(&comparison->runs[r], directory) != 0) {
            close_all(comparison);
            return -1;
        }
        show_log_open(&log, directory);
        comparison->states[r] = show_state_of(&comparison->runs[r], &log, (double)time(NULL));
        show_text_line(&comparison->names[r], directory);
        comparison->count++;
        show_log_close(&log);
    }
    return 0;
}

// A row of texts, which are harmless; a line each where one is too long for a column.
static void print_row(const char *label, const Bytes *texts, int count, Bytes *out)
{
    bool fit = true;
    for (int r = 0; r < count; r++)
        fit = fit && show_text_columns(texts[r].data) <= VALUE_COLUMNS;
    bytes_print(out, "%-*s", fit ? LABEL_COLUMNS : 0, label);
    for (int r = 0; r < count; r++) {
        int blanks = VALUE_COLUMNS - show_text_columns(texts[r].data);
        if (fit)
            bytes_print(out, "  %s%*s", texts[r].data, r < count - 1 ? blanks : 0, "");
        else
            bytes_print(out, "\n  %d: %s", r + 1, texts[r].data);
    }
    bytes_append_text(out, "\n");
}

static void free_texts(Bytes *texts, int count)
{
    for (int r = 0; r < count; r++)
        bytes_free(&texts[r]);
}

static double seconds_of(const MetricsTable *table)
{
    return show_series_sum(table, "perf/time_per_step", 0) +
           show_series_sum(table, "timing_s/evaluate", 0);
}

static void print_cell(const Comparison *comparison, int row, int r, Bytes *text)
{
    const ShowState *state = &comparison->states[r];
    double all = seconds_of(&comparison->runs[r].metrics);
    if (row == 0)
        bytes_append_text(text, show_state_word(state->kind));
    if (row == 1)
        bytes_print(text, "%lld", (long long)state->done);
    if (row == 1 && state->total > 0)
        bytes_print(text, " of %lld", (long long)state->total);
    if (row == 2)
        bytes_append_text(text, show_text_number(all / (double)state->done).text);
    if (row == 3)
        bytes_append_text(text, show_text_time(all).text);
}

static void print_progress(const Comparison *comparison)
{
    static const char *const labels[] = {"state", "steps", "seconds a step", "time of all steps"};
    print_row("run", comparison->names, comparison->count, comparison->out);
    for (int row = 0; row < 4; row++) {
        Bytes texts[RUNS_MAXIMUM] = {0};
        for (int r = 0; r < comparison->count; r++)
            print_cell(comparison, row, r, &texts[r]);
        print_row(labels[row], texts, comparison->count, comparison->out);
        free_texts(texts, comparison->count);
    }
}

// The values of a setting; whether they differ.
static bool take_setting(const Comparison *comparison, const SettingRow *row, Bytes *texts)
{
    bool differ = false;
    for (int r = 0; r < comparison->count; r++) {
        Bytes value = {0};
        setting_print_quoted(row, &comparison->runs[r].settings, &value);
        show_text_line(&texts[r], value.data);
        differ = differ || strcmp(texts[r].data, texts[0].data) != 0;
        bytes_free(&value);
    }
    return differ;
}

// Every run has a directory of its own. Returns whether the evaluations were asked for otherwise.
static bool print_settings(const Comparison *comparison)
{
    bool evaluations = false;
    int found = 0;
    bytes_append_text(comparison->out, "\nsettings that differ\n");
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        Bytes texts[RUNS_MAXIMUM] = {0}, label = {0};
        bytes_print(&label, "%s.%s", row->section, row->key);
        if (take_setting(comparison, row, texts) && strcmp(label.data, "run.directory") != 0) {
            print_row(label.data, texts, comparison->count, comparison->out);
            evaluations = evaluations || strcmp(row->section, "evaluate") == 0;
            found++;
        }
        free_texts(texts, comparison->count);
        bytes_free(&label);
    }
    if (found == 0)
        bytes_append_text(comparison->out, "none\n");
    return evaluations;
}

static void print_scores(const Comparison *comparison, bool asked_otherwise)
{
    static const EvaluationResult nothing;
    const EvaluationResult *results[RUNS_MAXIMUM];
    const char *names[RUNS_MAXIMUM];
    Bytes texts[RUNS_MAXIMUM] = {0};
    int there = 0;
    for (int r = 0; r < comparison->count; r++) {
        const ShowRun *run = &comparison->runs[r];
        int last = run->evaluation_count - 1;
        results[r] = last >= 0 ? &run->evaluations[last] : &nothing;
        bytes_print(&texts[r], "%d: %s", r + 1, last >= 0 ? run->evaluation_names[last] : "none");
        names[r] = texts[r].data;
        there += last >= 0;
    }
    bytes_append_text(comparison->out, "\nthe last evaluation of each run, in their order\n");
    show_scores_print(names, results, comparison->count, comparison->out);
    if (there > 1)
        bytes_append_text(comparison->out, "+ or -: this value and that of the first run lie "
                                           "outside each other's interval\n");
    if (asked_otherwise)
        bytes_append_text(comparison->out, "settings of [evaluate] differ: these need not be "
                                           "scores of the same questions\n");
    free_texts(texts, comparison->count);
}

int show_compare(const ShowArguments *arguments, Bytes *out)
{
    Comparison comparison = {.out = out};
    Screen screen = show_text_screen();
    if (open_all(&comparison, arguments) != 0)
        return -1;
    print_progress(&comparison);
    bool asked_otherwise = print_settings(&comparison);
    print_scores(&comparison, asked_otherwise);
    const Figure *figure = show_figures_curve(&comparison.runs[0].metrics);
    show_curves_print(comparison.runs, comparison.count, figure->label, figure->name,
                      (CurvesSize){screen.columns, CHART_ROWS}, out);
    close_all(&comparison);
    return 0;
}
