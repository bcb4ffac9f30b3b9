// calibrate.c - which prompt agrees best with labelled examples: by successive halving.
//
// All candidates are measured on few examples, the better half on twice as many, and so on; the
// last two on all of them.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/random.h"
#include "files/atomic.h"
#include "input/jsonl.h"
#include "parallel/watchdog.h"
#include "reward/interval.h"
#include "tasks/backend_choice.h"
#include "tasks/calibration.h"
#include "tasks/tasks.h"

typedef struct {
    Measure *measures; // owned, by place in the order of examples
    int64_t seen;      // examples measured so far
    bool alive;
    double score, content_error, format_error, unanswered; // means
    Interval interval;
} Standing;

typedef struct {
    Group world;
    const Settings *settings;
    Backend backend; // of models of our own
    CandidateList candidates;
    Calibration *calibration;
    int64_t count;       // examples
    int64_t *order;      // owned: shuffled
    Standing *standings; // owned, by candidate
    int64_t best;
} Contest;

static void take_means(const Contest *contest, Standing *standing)
{
    const int64_t *groups = calibration_groups(contest->calibration);
    double *scores = allocate((size_t)standing->seen, sizeof *scores);
    int64_t *of = allocate((size_t)standing->seen, sizeof *of), n = 0;
    double sum = 0, content = 0, format = 0, unanswered = 0;
    for (int64_t i = 0; i < standing->seen; i++) {
        const Measure *measure = &standing->measures[i];
        unanswered += measure->unanswered;
        if (measure->measured == 0)
            continue;
        sum += measure->score;
        content += measure->content_error;
        format += measure->format_error;
        scores[n] = measure->score;
        of[n++] = groups[contest->order[i]];
    }
    if (n > 0) {
        standing->score = sum / (double)n;
        standing->content_error = content / (double)n;
        standing->format_error = format / (double)n;
        standing->interval = interval_of_mean(scores, of, n, (uint64_t)contest->settings->run.seed);
    }
    standing->unanswered = unanswered / (double)standing->seen;
    release(scores);
    release(of);
}

// Whether candidate `a` stands before `b`: more examples, the higher score, the smaller errors, the
// earlier name.
static bool stands_before(const Contest *contest, int64_t a, int64_t b)
{
    const Standing *x = &contest->standings[a], *y = &contest->standings[b];
    double x_error = x->content_error + x->format_error;
    double y_error = y->content_error + y->format_error;
    if (x->seen != y->seen)
        return x->seen > y->seen;
    if (x->score != y->score)
        return x->score > y->score;
    return x_error != y_error ? x_error < y_error : a < b;
}

static int64_t alive_count(const Contest *contest)
{
    int64_t count = 0;
    for (int64_t c = 0; c < contest->candidates.count; c++)
        count += contest->standings[c].alive;
    return count;
}

static void drop_worse_half(Contest *contest)
{
    int64_t alive = alive_count(contest), kept = (alive + 1) / 2;
    for (; alive > kept; alive--) {
        int64_t worst = -1;
        for (int64_t c = 0; c < contest->candidates.count; c++)
            if (contest->standings[c].alive && (worst < 0 || stands_before(contest, worst, c)))
                worst = c;
        contest->standings[worst].alive = false;
    }
}

// Brings all that are alive up to `end` examples.
static int measure_alive(Contest *contest, int64_t end)
{
    for (int64_t c = 0; c < contest->candidates.count; c++) {
        Standing *standing = &contest->standings[c];
        if (!standing->alive)
            continue;
        if (calibration_measure(contest->calibration, c, contest->order, standing->seen, end,
                                standing->measures + standing->seen) != 0)
            return -1;
        standing->seen = end;
        take_means(contest, standing);
        if (contest->world.rank == 0)
            printf("%6lld examples  %.4f [%.4f, %.4f]  %s\n", (long long)end, standing->score,
                   standing->interval.low, standing->interval.high,
                   contest->candidates.list[c].path);
        fflush(stdout);
    }
    return 0;
}

static int run_rounds(Contest *contest)
{
    int64_t rounds = 1;
    while ((int64_t)1 << rounds < contest->candidates.count)
        rounds++;
    for (int64_t round = 0; round < rounds; round++) {
        int64_t end = contest->count >> (rounds - 1 - round);
        if (measure_alive(contest, end > 0 ? end : 1) != 0)
            return -1;
        if (round + 1 < rounds)
            drop_worse_half(contest);
    }
    for (int64_t c = 1; c < contest->candidates.count; c++)
        if (stands_before(contest, c, contest->best))
            contest->best = c;
    return 0;
}

static void append_line(const Contest *contest, int64_t c, Bytes *out)
{
    const Standing *standing = &contest->standings[c];
    bytes_append_text(out, "{\"candidate\": ");
    jsonl_append_string(out, contest->candidates.list[c].path);
    bytes_print(out,
                ", \"examples\": %lld, \"score\": %.6g, \"low\": %.6g, \"high\": %.6g, "
                "\"content_error\": %.6g, \"format_error\": %.6g, \"unanswered\": %.6g, "
                "\"chosen\": %s}\n",
                (long long)standing->seen, standing->score, standing->interval.low,
                standing->interval.high, standing->content_error, standing->format_error,
                standing->unanswered, c == contest->best ? "true" : "false");
}

static int write_result(const Contest *contest)
{
    const char *output = contest->settings->calibrate.output;
    const char *prompt = contest->candidates.list[contest->best].prompt;
    Bytes path = {0}, lines = {0}, text = {0};
    if (contest->world.rank != 0)
        return 0;
    for (int64_t c = 0; c < contest->candidates.count; c++)
        append_line(contest, c, &lines);
    bytes_print(&path, "%s.scores.jsonl", output);
    bytes_print(&text, "%s\n", prompt);
    int status = atomic_write_file(path.data, lines.data, lines.length);
    if (status == 0)
        status = atomic_write_file(output, text.data, text.length);
    if (status == 0)
        printf("chosen: %s, written to %s\n", contest->candidates.list[contest->best].path, output);
    bytes_free(&path);
    bytes_free(&lines);
    bytes_free(&text);
    return status;
}

static void start_contest(Contest *contest)
{
    int64_t candidates = contest->candidates.count;
    contest->count = calibration_count(contest->calibration);
    contest->order = allocate((size_t)contest->count, sizeof *contest->order);
    contest->standings = allocate((size_t)candidates, sizeof *contest->standings);
    for (int64_t i = 0; i < contest->count; i++)
        contest->order[i] = i;
    draw_shuffle((Draw){.seed = (uint64_t)contest->settings->run.seed,
                        .purpose = PURPOSE_SHUFFLE,
                        .completion = 1},
                 contest->order, contest->count);
    for (int64_t c = 0; c < candidates; c++)
        contest->standings[c] = (Standing){
            .alive = true, .measures = allocate((size_t)contest->count, sizeof(Measure))};
}

static void close_contest(Contest *contest)
{
    for (int64_t c = 0; contest->standings && c < contest->candidates.count; c++)
        release(contest->standings[c].measures);
    release(contest->standings);
    release(contest->order);
    calibration_close(contest->calibration);
    candidates_close(&contest->candidates);
    watchdog_close(&contest->world);
    group_free(&contest->world);
}

int task_calibrate(const Settings *settings)
{
    Contest contest = {.world = group_world(), .settings = settings};
    watchdog_open(&contest.world, NULL);
    int status = backend_choose(&contest.backend, settings, &contest.world);
    if (status == 0)
        status = candidates_open(&contest.candidates, &contest.world, settings, &contest.backend);
    if (status == 0)
        status = calibration_open(&contest.calibration, &contest.world, settings, &contest.backend,
                                  &contest.candidates);
    if (status == 0) {
        start_contest(&contest);
        status = run_rounds(&contest);
    }
    if (status == 0)
        status = group_agree(&contest.world, write_result(&contest));
    close_contest(&contest);
    return status != 0 ? (int)fail_code() : EXIT_DONE;
}
