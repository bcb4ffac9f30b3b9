#include "tasks/training.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "reward/evaluation_result.h"

char *training_path(const Training *training, const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", training->settings->run.directory, name);
    return path.data;
}

void training_publish(Training *training)
{
    StateOwner *owner = &training->owner;
    Elements masters = elements_f32(training->learner.optimizer.master);
    if (owner->published)
        training->job.backend.kernels->convert(NULL, owner->published, owner->published_type,
                                               masters, training->job.trained->local);
    job_publish(&training->job, masters);
}

void training_publish_again(Training *training)
{
    const StateOwner *owner = &training->owner;
    job_publish(&training->job, (Elements){owner->published, owner->published_type});
}

bool training_publishes(const Training *training)
{
    int64_t updates = training->state.step - training->stages[STAGE_WARMUP].steps;
    return updates <= 0 || pipeline_publishes(&training->pipeline, updates);
}

bool training_evaluates_at(const Training *training, int64_t step)
{
    int64_t every = training->settings->evaluate.every;
    return training->evaluates &&
           (step == 0 || step == training->stages[STAGE_WARMUP].steps ||
            step == training->total_steps || (every > 0 && step % every == 0));
}

bool training_owes_evaluation(const Training *training)
{
    const RunState *state = &training->state;
    return training_evaluates_at(training, state->step) && state->evaluated != state->step;
}

static const char *evaluation_name(const Training *training)
{
    int64_t step = training->state.step;
    if (step == 0)
        return "start";
    return step == training->stages[STAGE_WARMUP].steps && step < training->total_steps ? "warm-up"
                                                                                        : "final";
}

static void keep_evaluation(Training *training, const EvaluationResult *result)
{
    const ScoreValue *reward = &result->scores.values[SCORE_TOTAL_REWARD];
    record_say(&training->record,
               "evaluation at step %lld: reward %.3f [%.3f, %.3f] over %lld responses, expert loss "
               "%.3f, %.1f s",
               (long long)training->state.step, reward->value, reward->low, reward->high,
               (long long)reward->n, result->expert_loss, result->seconds);
    if (!world_speaks(&training->job.world))
        return;
    Bytes file = {0};
    bytes_print(&file, "%s/evaluation-%s.json", training->settings->run.directory,
                evaluation_name(training));
    if (evaluation_result_write(file.data, result) != 0)
        warn("%s", fail_message());
    bytes_free(&file);
}

int training_evaluate(Training *training, Metrics *metrics, bool *better)
{
    const char *keep = training->settings->checkpoint.keep_best;
    RunState *state = &training->state;
    EvaluationResult result;
    double since = clock_now();
    bool lags = state->step > 0 && !training_publishes(training);
    *better = false;
    if (lags)
        job_publish(&training->job, elements_f32(training->learner.optimizer.master));
    int status = evaluation_run(&training->evaluation, &training->job, (uint32_t)state->step, NULL,
                                &result, NULL);
    if (lags)
        training_publish_again(training);
    if (status != 0)
        return -1;
    evaluation_report(&result, metrics);
    keep_evaluation(training, &result);
    double value = keep[0] ? metrics_get(metrics, keep) : NAN;
    state->evaluated = state->step;
    state->since_best++;
    if (value > state->best) {
        state->best = value;
        state->best_step = state->step;
        state->since_best = 0;
        *better = true;
    }
    wall_time_took(&training->requests.wall_time, WORK_EVALUATION, clock_now() - since);
    return 0;
}

int training_evaluate_owed(Training *training)
{
    Metrics metrics = {0};
    bool better, first = training->state.step == 0;
    if (!training_owes_evaluation(training))
        return 0;
    if (first)
        record_say(&training->record, "evaluation before the first step");
    metrics_set(&metrics, "step", (double)training->state.step);
    int status = training_evaluate(training, &metrics, &better);
    if (status == 0)
        record_metrics(&training->record, &metrics);
    if (status == 0 && !first)
        training_checkpoint(training, better);
    metrics_free(&metrics);
    return status;
}

bool training_rolls_back(const Training *training)
{
    const StepSettings *step = &training->stages[training->stage].step;
    return fail_code() == EXIT_BUG && step->not_finite == NOT_FINITE_ROLL_BACK;
}

static int take_past(void *context, Checkpoint *checkpoint)
{
    Training *training = context;
    RunState past;
    return state_load(&training->owner, checkpoint, &past);
}

// Weights and moments of the newest checkpoint, whose step is told. Collective over the learners.
static int reload_weights(Training *training, int64_t *step)
{
    Learner *learner = &training->learner;
    training_follow_checkpoint(training, true);
    int status = run_directory_resume(training->run, take_past, training, step);
    if (status == 0 && *step < 0)
        status = fail(EXIT_BUG, "the gradient is not finite, and there is no checkpoint to go back "
                                "to");
    if (status == 0 && training->stage == STAGE_MAIN &&
        *step <= training->stages[STAGE_WARMUP].steps)
        optimizer_restart(&learner->optimizer, training->job.trained,
                          training->job.backend.kernels);
    if (status == 0 && learner->owns_weights)
        weights_invalidate(learner->weights);
    return status;
}

int training_roll_back(Training *training)
{
    const World *world = &training->job.world;
    int64_t step = -1;
    int status =
        group_agree(&world->all, world->has[ROLE_LEARNER] ? reload_weights(training, &step) : 0);
    if (status == 0 && world_speaks(world))
        warn(
            "step %lld: the gradient is not finite; the weights and moments are those of step %lld "
            "again, the data go on",
            (long long)training->state.step + 1, (long long)step);
    return status;
}

void training_dump(const Training *training, const TreeList *trees)
{
    if (!training->record.directory)
        return;
    Bytes name = {0};
    bytes_print(&name, "not-finite-%06lld.jsonl", (long long)training->state.step + 1);
    char *path = training_path(training, name.data);
    if (record_batch(path, &training->dataset, trees) != 0)
        warn("%s", fail_message());
    else
        warn("the batch is kept in %s", path);
    release(path);
    bytes_free(&name);
}

static void add(Metrics *totals, const char *name, double value)
{
    double before = metrics_get(totals, name);
    if (!isnan(value))
        metrics_set(totals, name, value + (isnan(before) ? 0 : before));
}

static void add_step(Metrics *totals, const Metrics *metrics)
{
    static const char *const counts[] = {"tree/rows", "tree/forced_tokens",
                                         "learner/trunk_repeats"};
    for (int64_t i = 0; i < metrics->count; i++)
        if (strncmp(metrics->list[i].name, "timing_s/", 9) == 0)
            add(totals, metrics->list[i].name, metrics->list[i].value);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        add(totals, counts[i], metrics_get(metrics, counts[i]));
    static const char *const groups[] = {"group/rollout/idle", "group/grader/idle"};
    for (int i = 0; i < 2; i++)
        add(totals, groups[i],
            metrics_get(metrics, groups[i]) * metrics_get(metrics, "timing_s/gen"));
    add(totals, "tree/independent",
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

// Phases of the step loop; gen and update_actor hold the indented ones below them.
static void say_times(const Training *training)
{
    static const char *const phases[] = {
        "gen",       "  gen_prefill", "  gen_decode", "  reward",    "update_actor", "  reference",
        "  forward", "  vocabulary",  "  backward",   "  optimizer", "publish",      "evaluate",
    };
    double wall = clock_now() - training->started;
    record_say(&training->record, "%-16s %10s %7s", "phase", "seconds", "share");
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        char name[64];
        snprintf(name, sizeof name, "timing_s/%s", phases[i] + strspn(phases[i], " "));
        double seconds = metrics_get(&training->totals, name);
        if (!isnan(seconds))
            record_say(&training->record, "%-16s %10.2f %6.1f %%", phases[i], seconds,
                       100 * seconds / wall);
    }
    record_say(&training->record, "%-16s %10.2f\n", "wall", wall);
    double sampling = metrics_get(&training->totals, "timing_s/gen");
    double rollout = metrics_get(&training->totals, "group/rollout/idle");
    if (!isnan(rollout))
        record_say(&training->record,
                   "while responses were sampled and judged, rollout ranks waited %.0f %% of the "
                   "time, grader ranks %.0f %%\n",
                   100 * rollout / sampling,
                   100 * metrics_get(&training->totals, "group/grader/idle") / sampling);
}

void training_table(Training *training)
{
    static const char *const names[] = {"start", "warm-up", "final"};
    Job *job = &training->job;
    uint64_t weights = exchange_checksum(&job->backend, job->publication, job->trained,
                                         training->learner.optimizer.master);
    double peak = group_maximum(&job->world.all, (double)memory_peak());
    if (!training->record.directory)
        return;
    const char *found[3];
    EvaluationResult results[3];
    int count = 0;
    for (int i = 0; i < 3; i++) {
        Bytes file = {0};
        bytes_print(&file, "%s/evaluation-%s.json", training->settings->run.directory, names[i]);
        if (training->evaluates && evaluation_result_read(file.data, &results[count]) == 0)
            found[count++] = names[i];
        bytes_free(&file);
    }
    if (count > 0) {
        Bytes text = {0};
        evaluation_print(&training->evaluation, found, results, count, &text);
        record_say(&training->record, "\n%s", text.data);
        bytes_free(&text);
    }
    if (training->state.step > training->first_step) {
        say_times(training);
        say_trees(training);
    }
    double reward = count > 0 ? results[count - 1].scores.values[SCORE_TOTAL_REWARD].value : NAN;
    record_say(&training->record,
               "RESULT steps=%lld reward=%.4f seconds=%.1f peak_rank_mib=%.0f "
               "weights=%016llx status=ok",
               (long long)training->state.step, reward, clock_now() - training->started,
               peak / 0x1p20, (unsigned long long)weights);
}

static void say_left(const Training *training, int64_t step, char *text, size_t size)
{
    double passed = clock_now() - training->started;
    double each = passed / (double)(step + 1 - training->first_step);
    int64_t left = (int64_t)(each * (double)(training->total_steps - step - 1));
    snprintf(text, size, "%lld:%02lld:%02lld", (long long)(left / 3600),
             (long long)(left / 60 % 60), (long long)(left % 60));
}

void training_say_step(Training *training, int64_t step, const Metrics *metrics)
{
    char left[32];
    add_step(&training->totals, metrics);
    say_left(training, step, left, sizeof left);
    const StagePlan *plan = &training->stages[training->stage];
    if (!plan->step.algorithm->advantage) {
        char pairs[64] = "";
        if (plan->pairs)
            snprintf(pairs, sizeof pairs, " accuracy %.2f margin %.3g",
                     metrics_get(metrics, "dpo/accuracy"), metrics_get(metrics, "dpo/margin"));
        record_say(
            &training->record, "step %lld/%lld %s loss %.4f%s grad %.3g lr %.2g %.2f s left %s",
            (long long)(step + 1), (long long)training->total_steps, plan->step.algorithm->name,
            metrics_get(metrics, "actor/pg_loss"), pairs, metrics_get(metrics, "actor/grad_norm"),
            metrics_get(metrics, "actor/lr"), metrics_get(metrics, "perf/time_per_step"), left);
        return;
    }
    double seconds = metrics_get(metrics, "perf/time_per_step");
    record_say(&training->record,
               "step %lld/%lld reward %.3f decision %.3f content %.3f format %.3f kl %.2g len %.1f "
               "clip %.2g grad %.3g lr %.2g gap %.2g %.1f s (gen %.1f) left %s",
               (long long)(step + 1), (long long)training->total_steps,
               metrics_get(metrics, "reward/mean"), metrics_get(metrics, "reward/decision"),
               metrics_get(metrics, "reward/content"), metrics_get(metrics, "reward/format"),
               metrics_get(metrics, "actor/kl"), metrics_get(metrics, "response_length/mean"),
               metrics_get(metrics, "actor/pg_clipfrac"), metrics_get(metrics, "actor/grad_norm"),
               metrics_get(metrics, "actor/lr"), metrics_get(metrics, "mismatch/logprob_gap_max"),
               seconds, metrics_get(metrics, "timing_s/gen"), left);
}
