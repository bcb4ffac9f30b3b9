#include "tools/show_watch.h"

#include <math.h>
#include <time.h>

#include "base/clock.h"
#include "base/fail.h"
#include "tools/show_figures.h"
#include "tools/show_panel.h"
#include "tools/show_series.h"
#include "tools/show_state.h"
#include "tools/show_tail.h"
#include "tools/show_text.h"

enum { STEPS_BEFORE = 10 };

static const double panel_interval = 2, line_interval = 0.5; // seconds between two looks

typedef struct {
    const char *directory;
    ShowTail tail;
    ShowRun run;    // its metrics are borrowed from the tail
    int64_t told;   // rows of which all is said, where lines are printed
    int panel_rows; // of the panel that is on the screen
    Bytes out;
} Watch;

static void take_place(Watch *watch)
{
    watch->run.metrics = watch->tail.table;
    watch->run.progress = progress_read(watch->directory);
}

// The state as far as it shows without the log, which is read once, at the end.
static ShowState state_now(const Watch *watch)
{
    ShowLog none = {.head = "", .end = ""};
    return show_state_of(&watch->run, &none, (double)time(NULL));
}

static void print_step(const Watch *watch, int64_t row, Bytes *out)
{
    const MetricsTable *table = &watch->run.metrics;
    if (show_series_is_step(table, row)) {
        bytes_print(out, "step %lld", (long long)table->steps[row]);
        if (watch->run.progress.total > 0)
            bytes_print(out, "/%lld", (long long)watch->run.progress.total);
        bytes_append_text(out, "  ");
        show_figures_line(table, row, out);
        bytes_print(out, "  %s\n",
                    show_text_time(show_series_at(table, "perf/time_per_step", row)).text);
    }
    show_figures_evaluation(table, row, out);
}

// The first row behind the step that the last start went on from.
static int64_t row_behind(const MetricsTable *table, int64_t step)
{
    int64_t row = 0;
    while (row < table->rows && table->steps[row] <= step)
        row++;
    return row;
}

static void print_lines(Watch *watch, bool first, bool anew)
{
    const MetricsTable *table = &watch->run.metrics;
    if (first) {
        watch->told = show_series_window(table, 0, STEPS_BEFORE);
    } else if (anew) {
        bytes_print(&watch->out, "the run was taken up again behind step %lld\n",
                    (long long)watch->run.progress.step);
        watch->told = row_behind(table, watch->run.progress.step);
    }
    for (; watch->told < table->rows; watch->told++)
        print_step(watch, watch->told, &watch->out);
}

// The panel in the place of the one before.
static void draw(Watch *watch, const ShowState *state)
{
    Screen screen = show_text_screen();
    size_t begin;
    if (watch->panel_rows > 0)
        bytes_print(&watch->out, "\033[%dA\r\033[J", watch->panel_rows);
    begin = watch->out.length;
    show_panel_draw(&watch->run, state, &screen, &watch->out);
    watch->panel_rows = 0;
    for (size_t i = begin; i < watch->out.length; i++)
        watch->panel_rows += watch->out.data[i] == '\n';
}

// One look at everything. *over: nobody has the run.
static int look(Watch *watch, bool first, bool panel, bool *over)
{
    bool anew;
    // The lock before the journal: who lets go of it has written all his lines.
    RunHolder holder;
    bool held = run_holder_read(watch->directory, &holder);
    if (show_tail_look(&watch->tail, &anew) != 0)
        return -1;
    take_place(watch);
    ShowState state = state_now(watch);
    *over = !held || state.kind != STATE_UNDER_WAY;
    if (panel)
        draw(watch, &state);
    else
        print_lines(watch, first, anew);
    return show_text_flush(&watch->out);
}

// A run that is let go of may be taken up again at once: it counts as over at the second look.
static int follow(Watch *watch)
{
    bool panel = show_text_screen().moves, over = false, over_before = false;
    for (bool first = true; !(over && over_before); first = false) {
        if (!first)
            clock_sleep(panel ? panel_interval : line_interval);
        over_before = over;
        if (look(watch, first, panel, &over) != 0)
            return -1;
    }
    return 0;
}

static int print_end(Watch *watch)
{
    ShowLog log;
    show_log_open(&log, watch->directory);
    ShowState state = show_state_of(&watch->run, &log, (double)time(NULL));
    show_state_print(&state, &watch->run, &log, &watch->out);
    show_log_close(&log);
    return show_text_flush(&watch->out);
}

// A start takes the lock first, and writes its settings when the model and the data are read.
static int open_run(Watch *watch)
{
    RunHolder holder;
    while (show_run_open_head(&watch->run, watch->directory) != 0) {
        if (fail_code() != EXIT_NO_INPUT || !run_holder_read(watch->directory, &holder))
            return -1;
        clock_sleep(line_interval);
    }
    return 0;
}

int show_watch(const char *directory)
{
    Watch watch = {.directory = directory};
    if (open_run(&watch) != 0)
        return -1;
    show_tail_open(&watch.tail, directory);
    int status = follow(&watch);
    if (status == 0)
        status = print_end(&watch);
    watch.run.metrics = (MetricsTable){0};
    show_tail_close(&watch.tail);
    show_run_close(&watch.run);
    bytes_free(&watch.out);
    return status;
}
