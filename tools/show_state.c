#include "tools/show_state.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/run_files.h"
#include "tools/show_series.h"
#include "tools/show_text.h"

// Steps whose mean time is taken for that of the steps to come.
enum { RECENT_STEPS = 50 };

static bool is_here(const RunHolder *holder)
{
    char host[sizeof holder->host] = "";
    return gethostname(host, sizeof host - 1) == 0 && strcmp(host, holder->host) == 0;
}

// Whether there is such a process on this host. One that was killed and that nobody has buried yet
// (state Z) is gone; where there is no /proc, it is not told apart.
static bool is_alive(long pid)
{
    char path[64], line[512];
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return false;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    const char *name_end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    return !name_end || strncmp(name_end, ") Z", 3) != 0;
}

static double journal_age(const ShowRun *run, double now)
{
    Bytes path = {0};
    struct stat status;
    bytes_print(&path, "%s/metrics.jsonl", run->directory);
    double age = stat(path.data, &status) == 0 && status.st_size > 0
                     ? now - (double)status.st_mtim.tv_sec - 1e-9 * (double)status.st_mtim.tv_nsec
                     : NAN;
    bytes_free(&path);
    return age < 0 ? 0 : age; // another host's clock may be ahead
}

static double recent_seconds(const MetricsTable *table)
{
    int64_t begin = show_series_window(table, show_series_stage_begin(table), RECENT_STEPS);
    int64_t steps = 0;
    for (int64_t row = begin; row < table->rows; row++)
        steps += show_series_is_step(table, row);
    double seconds = show_series_sum(table, "perf/time_per_step", begin) +
                     show_series_sum(table, "timing_s/evaluate", begin);
    return steps > 0 ? seconds / (double)steps : NAN;
}

static int64_t newest_checkpoint(const char *directory)
{
    int64_t *steps, newest = -1;
    int64_t count = run_files_list(directory, &steps);
    if (count > 0)
        newest = steps[0];
    release(steps);
    return newest;
}

static StateKind kind_of(const ShowState *state, const ShowLog *log)
{
    Bytes reason = {0};
    bool gone = state->held && state->here && !is_alive(state->holder.pid);
    bool stopped = show_log_stopped(log, &reason);
    bytes_free(&reason);
    if (state->held && !gone)
        return STATE_UNDER_WAY;
    if (show_log_finished(log))
        return STATE_FINISHED;
    if (stopped)
        return STATE_STOPPED;
    return *log->head || state->done > 0 ? STATE_ENDED : STATE_NEW;
}

ShowState show_state_of(const ShowRun *run, const ShowLog *log, double now)
{
    int64_t last = show_series_last(&run->metrics, 0);
    ShowState state = {.done = last >= 0 ? run->metrics.steps[last] : 0,
                       .total = run->progress.total,
                       .saved = newest_checkpoint(run->directory),
                       .since = journal_age(run, now),
                       .step_seconds = recent_seconds(&run->metrics),
                       .left = NAN};
    state.held = run_holder_read(run->directory, &state.holder);
    state.here = state.held && is_here(&state.holder);
    state.kind = kind_of(&state, log);
    if (state.total > 0)
        state.left = state.step_seconds * ((double)state.total - (double)state.done);
    return state;
}

const char *show_state_word(StateKind kind)
{
    static const char *const names[] = {
        [STATE_UNDER_WAY] = "under way",
        [STATE_FINISHED] = "finished",
        [STATE_STOPPED] = "stopped in good order",
        [STATE_ENDED] = "ended before its end",
        [STATE_NEW] = "not begun",
    };
    return names[kind];
}

static void print_word(const ShowState *state, Bytes *out)
{
    bytes_append_text(out, show_state_word(state->kind));
    if (state->kind == STATE_NEW)
        return;
    bytes_print(out, ": %lld", (long long)state->done);
    if (state->total > 0)
        bytes_print(out, " of %lld", (long long)state->total);
    bytes_append_text(out, state->done == 1 && state->total == 0 ? " step" : " steps");
    bytes_append_text(out, " are done");
}

static void print_holder(const ShowState *state, Bytes *out)
{
    bytes_print(out, "held by process %ld on ", state->holder.pid);
    show_text_line(out, state->holder.host);
    if (strcmp(state->holder.job, "none") != 0) {
        bytes_append_text(out, ", job ");
        show_text_line(out, state->holder.job);
    }
}

// Where several starts in a row began at the same step, and nothing was saved since.
static void print_starts(const ShowState *state, const ShowRun *run, Bytes *out)
{
    if (run->progress.starts > 1 && state->saved <= run->progress.step)
        bytes_print(out,
                    "%lld starts in a row began at step %lld and saved nothing so far: their "
                    "standard error says why\n",
                    (long long)run->progress.starts, (long long)run->progress.step);
}

static void print_under_way(const ShowState *state, const ShowRun *run, Bytes *out)
{
    print_holder(state, out);
    if (!isnan(state->since))
        bytes_print(out, "; last line of the journal %s ago", show_text_time(state->since).text);
    if (!isnan(state->step_seconds))
        bytes_print(out, "; %s a step", show_text_time(state->step_seconds).text);
    if (!isnan(state->left))
        bytes_print(out, "; about %s left", show_text_time(state->left).text);
    bytes_append_text(out, "\n");
    print_starts(state, run, out);
    // A step, or an evaluation, may well take several times as long as the mean of those before it;
    // ten times, and a minute at least, is worth a look.
    double patience = 10 * state->step_seconds > 60 ? 10 * state->step_seconds : 60;
    if (state->since > patience && !state->here)
        bytes_append_text(out, "no step for long, and its host is another one: look whether that "
                               "job still runs (squeue); if it is gone for sure, delete the lock "
                               "file\n");
    else if (state->since > patience)
        bytes_append_text(out, "no step for long, but its process is there: ranks/ in the run's "
                               "directory, and its standard error, say what it waits for\n");
}

// The command that goes on; for where the run was started: its paths are relative to that.
static void print_command(const ShowRun *run, const ShowLog *log, Bytes *out)
{
    int64_t ranks = show_log_ranks(log);
    bytes_append_text(out, "to go on, where it was started: ");
    if (ranks > 0)
        bytes_print(out, "mpirun -n %lld ", (long long)ranks);
    Bytes path = {0}, word = {0};
    bytes_print(&path, "%s/run.ini", run->settings.run.directory);
    settings_print_word(path.data, &word);
    bytes_append_text(out, "learn2ask train ");
    show_text_line(out, word.data);
    bytes_append_text(out, "\n");
    bytes_free(&path);
    bytes_free(&word);
}

// What the steps took that are in the journal, whatever start did them.
static void print_time(const ShowState *state, const ShowRun *run, Bytes *out)
{
    double seconds = show_series_sum(&run->metrics, "perf/time_per_step", 0) +
                     show_series_sum(&run->metrics, "timing_s/evaluate", 0);
    if (state->done > 0)
        bytes_print(out, "in %s, %s a step; the last line of the journal is %s old\n",
                    show_text_time(seconds).text,
                    show_text_time(seconds / (double)state->done).text,
                    show_text_time(state->since).text);
}

static void print_resumption(const ShowState *state, const ShowRun *run, const ShowLog *log,
                             Bytes *out)
{
    Bytes stop = {0};
    if (state->held)
        bytes_print(out, "process %ld ended without giving the run back\n", state->holder.pid);
    if (state->saved < 0 && state->done > 0)
        bytes_append_text(out, "no checkpoint: the next start begins anew\n");
    else if (state->saved >= 0 && state->saved < state->done)
        bytes_print(out, "steps %lld to %lld are in no checkpoint and will be done again\n",
                    (long long)state->saved + 1, (long long)state->done);
    print_starts(state, run, out);
    bytes_print(&stop, "%s/STOP", run->directory);
    if (access(stop.data, F_OK) == 0)
        bytes_append_text(out, "a file STOP is in the run's directory: remove it first\n");
    print_command(run, log, out);
    bytes_free(&stop);
}

void show_state_print(const ShowState *state, const ShowRun *run, const ShowLog *log, Bytes *out)
{
    Bytes reason = {0};
    print_word(state, out);
    if (state->kind == STATE_STOPPED && show_log_stopped(log, &reason) && reason.length > 0) {
        bytes_append_text(out, ": ");
        show_text_line(out, reason.data);
    }
    bytes_clear(&reason);
    if (state->kind == STATE_FINISHED && show_log_early(log, &reason)) {
        bytes_append_text(out, ", ");
        show_text_line(out, reason.data);
    }
    bytes_append_text(out, "\n");
    if (state->kind == STATE_UNDER_WAY)
        print_under_way(state, run, out);
    else
        print_time(state, run, out);
    if (state->kind == STATE_STOPPED || state->kind == STATE_ENDED)
        print_resumption(state, run, log, out);
    bytes_free(&reason);
}
