// training_say.c - what a run says of itself: a line a step, and the tables at its end.

#include "tasks/training.h"

#include <math.h>

#include "base/clock.h"
#include "reward/evaluation_result.h"
#include "tasks/wall_time.h"

static void add(Metrics *totals, const char *name, double value)
{
    double before = metrics_get(totals, name);
    if (!isnan(value))
        metrics_set(totals, name, value + (isnan(before) ? 0 : before));
}

static void add_step(Training *training, const Metrics *metrics)
{
    static const char *const counts[] = {"tree/rows", "tree/forced_tokens",
                                         "learner/trunk_repeats"};
    static const struct {
        const char *name;
        Phase phase;
    } seconds[] = {
        {"timing_s/update_actor", PHASE_UPDATE}, {"timing_s/reference", PHASE_REFERENCE},
        {"timing_s/forward", PHASE_FORWARD},     {"timing_s/vocabulary", PHASE_VOCABULARY},
        {"timing_s/backward", PHASE_BACKWARD},   {"timing_s/optimizer", PHASE_OPTIMIZER},
        {"timing_s/publish", PHASE_PUBLISH},     {"timing_s/evaluate", PHASE_EVALUATE},
    };
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        double took = metrics_get(metrics, seconds[i].name);
        if (!isnan(took))
            phases_add(&training->phases, seconds[i].phase, took);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        add(&training->totals, counts[i], metrics_get(metrics, counts[i]));
    add(&training->totals, "tree/independent",
        metrics_get(metrics, "tree/rows") * metrics_get(metrics, "tree/independent_over_rows"));
}

// What computing sessions as trees saved.
static void say_trees(const Training *training)
{
    double rows = metrics_get(&training->totals, "tree/rows");
    if (rows > 0)
        record_say(&training->record,
                   "sampled trees    %.0f rows, %.2f times fewer than independent sequences; %.0f "
                   "forced tokens, %.0f rows of repeated trunks\n",
                   rows, metrics_get(&training->totals, "tree/independent") / rows,
                   metrics_get(&training->totals, "tree/forced_tokens"),
                   metrics_get(&training->totals, "learner/trunk_repeats"));
}

// Collective.
static void say_times(Training *training)
{
    Bytes text = {0};
    phases_print(&training->phases, &training->job.world, training->settings,
                 clock_now() - training->started, &text);
    record_say(&training->record, "%s", text.data);
    bytes_free(&text);
}

// Those of the run so far, side by side. The reward of the last one, or NaN.
static double say_evaluations(const Training *training)
{
    static const char *const names[] = {"start", "warm-up", "final"};
    const char *found[3];
    EvaluationResult results[3];
    int count = 0;
    if (!training->record.directory)
        return NAN;
    for (int i = 0; i < 3; i++) {
        Bytes file = {0};
        bytes_print(&file, "%s/evaluation-%s.json", training->settings->run.directory, names[i]);
        if (training->evaluates && evaluation_result_read(file.data, &results[count]) == 0)
            found[count++] = names[i];
        bytes_free(&file);
    }
    if (count == 0)
        return NAN;
    Bytes text = {0};
    evaluation_print(&training->evaluation, found, results, count, &text);
    record_say(&training->record, "\n%s", text.data);
    bytes_free(&text);
    return results[count - 1].scores.values[SCORE_TOTAL_REWARD].value;
}

void training_table(Training *training)
{
    Job *job = &training->job;
    uint64_t weights = exchange_checksum(&job->backend, job->publication, job->trained,
                                         training->learner.optimizer.master);
    double peak = group_maximum(&job->world.all, (double)memory_peak());
    double reward = say_evaluations(training);
    if (training->state.step > training->first_step) {
        say_times(training);
        say_trees(training);
    }
    record_say(&training->record,
               "RESULT steps=%lld reward=%.4f seconds=%.1f peak_rank_mib=%.0f "
               "weights=%016llx status=ok",
               (long long)training->state.step, reward, clock_now() - training->started,
               peak / 0x1p20, (unsigned long long)weights);
}
// How long the steps that are left take if they are like those of this start.
static double seconds_left(const Training *training, int64_t step)
{
    double passed = clock_now() - training->started;
    double each = passed / (double)(step + 1 - training->first_step);
    return each * (double)(training->total_steps - step - 1);
}

// What a step's line tells, of that which the step has.
static const struct {
    const char *metric, *format;
} fields[] = {
    {"critic/rewards/mean", "reward %.3f"},
    {"reward/decision", "decision %.3f"},
    {"reward/content", "content %.3f"},
    {"reward/format", "format %.3f"},
    {"dpo/accuracy", "accuracy %.2f"},
    {"dpo/margin", "margin %.3g"},
    {"actor/kl", "kl %.2g"},
    {"response_length/mean", "len %.1f"},
    {"actor/pg_clipfrac", "clip %.2g"},
    {"actor/grad_norm", "grad %.3g"},
    {"actor/lr", "lr %.2g"},
    {"mismatch/logprob_gap_max", "gap %.2g"},
    {"perf/time_per_step", "%.2f s"},
    {"timing_s/gen", "(gen %.2f)"},
};

void training_say_step(Training *training, int64_t step, const Metrics *metrics)
{
    Bytes line = {0};
    add_step(training, metrics);
    bytes_print(&line, "step %lld/%lld", (long long)(step + 1), (long long)training->total_steps);
    if (isnan(metrics_get(metrics, "critic/rewards/mean")))
        bytes_print(&line, " %s loss %.4f", training->stages[training->stage].step.algorithm->name,
                    metrics_get(metrics, "actor/pg_loss"));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        double value = metrics_get(metrics, fields[i].metric);
        if (isnan(value))
            continue;
        bytes_append_text(&line, " ");
        bytes_print(&line, fields[i].format, value);
    }
    double tokens = metrics_get(metrics, "perf/total_num_tokens");
    if (tokens > 0)
        bytes_print(&line, " %.1fk tok/s",
                    1e-3 * tokens / metrics_get(metrics, "perf/time_per_step"));
    bytes_append_text(&line, " left ");
    wall_time_print(seconds_left(training, step), &line);
    record_say(&training->record, "%s", line.data);
    bytes_free(&line);
}
