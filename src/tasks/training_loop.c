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
