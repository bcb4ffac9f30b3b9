// train.c - the method, from sessions to weights.

#include "base/activity.h"
#include "base/clock.h"
#include "base/fail.h"
#include "tasks/sampling.h"
#include "tasks/tasks.h"

// What the samples themselves say: every learner rank builds all trees by itself. `sampled` NULL
// but for pairs with sampled responses.
static void given_trees(Training *training, int64_t step, const TreeList *sampled, TreeList *trees)
{
    StagePlan *plan = &training->stages[training->stage];
    const Chat *chat = training->job.chat;
    const Settings *settings = training->settings;
    RewardSettings reward = {.mode = settings->reward.mode, .fusion = settings->reward.fusion};
    int32_t longest = (int32_t)settings->rollout.max_response_tokens;
    schedule_step(&plan->schedule, step);
    for (int64_t p = 0; p < plan->schedule.part_count; p++) {
        SessionPart part = plan->schedule.parts[p];
        Tree tree = plan->pairs ? session_tree_of_pairs(&training->dataset, chat, part, longest,
                                                        sampled ? &sampled->trees[p] : NULL,
                                                        reward_fuse(reward, 1, 1, 1))
                                : session_tree_of_expert(&training->dataset, chat, part, longest);
        tree_list_add(trees, &tree, p);
    }
}

// The updates of stage step `step` on its trees (NULL: the samples' own words). On learner ranks;
// collective over them.
static int learn(Training *training, int64_t step, TreeList *sampled, Metrics *metrics)
{
    StagePlan *plan = &training->stages[training->stage];
    TreeList given = {0}, *trees = sampled;
    training_follow_checkpoint(training, false);
    double since = clock_now();
    if (sampled)
        record_rewards(&training->dataset, sampled, metrics);
    if (plan->pairs || !sampled) {
        given_trees(training, step, sampled, &given);
        trees = &given;
    }
    StepBatch batch = {.trees = trees->trees, .count = trees->count, .step = step};
    if (sampled) {
        int64_t version = pipeline_version(&training->pipeline, step);
        batch.stale = version != step;
        metrics_set(metrics, "policy/staleness", (double)(step - version));
    }
    int status = learner_step(&training->learner, &plan->step, &batch, metrics);
    if (status != 0 && fail_code() == EXIT_BUG && plan->step.not_finite == NOT_FINITE_STOP)
        training_dump(training, trees);
    if (status == 0 && plan->step.algorithm->advantage)
        record_advantages(trees, metrics);
    tree_list_free(&given);
    metrics_set(metrics, "timing_s/update_actor", clock_now() - since);
    return status;
}

// The second half of the sampling of pipeline_next; what fails is not kept.
static int finish_next(Training *training, Rollout *rollout, Metrics *metrics)
{
    Pipeline *pipeline = &training->pipeline;
    int64_t step = pipeline_next(pipeline);
    int status = sampling_finish(training, step, rollout, pipeline_push(pipeline), metrics);
    if (status != 0)
        pipeline_drop_newest(pipeline);
    return status;
}

static int sample_next(Training *training, Metrics *metrics)
{
    Rollout rollout;
    sampling_begin(training, pipeline_next(&training->pipeline), &rollout);
    return finish_next(training, &rollout, metrics);
}

// Learns stage step `step` while step + staleness is sampled: at the same time, where the ranks
// have different roles. *learned says whether the update is done, even if the sampling then failed.
static int sample_and_learn(Training *training, int64_t step, Metrics *metrics, bool *learned)
{
    Pipeline *pipeline = &training->pipeline;
    const World *world = &training->job.world;
    int64_t ahead = step + pipeline->staleness, end = training->stages[STAGE_MAIN].steps;
    int64_t needed = pipeline->staleness > 0 ? ahead : step + 1;
    while (pipeline_next(pipeline) < needed && pipeline_next(pipeline) < end)
        if (sample_next(training, metrics) != 0)
            return -1;
    bool meanwhile = pipeline_next(pipeline) == ahead && ahead < end;
    Rollout rollout;
    if (meanwhile)
        sampling_begin(training, ahead, &rollout);
    int status = 0;
    if (world->has[ROLE_LEARNER])
        status = learn(training, step, pipeline_front(pipeline), metrics);
    *learned = group_agree(&world->all, status) == 0;
    record_samples(&training->record, &training->dataset, pipeline_front(pipeline),
                   training->state.step + 1);
    if (meanwhile)
        status = finish_next(training, &rollout, metrics);
    pipeline_pop(pipeline);
    return *learned && status == 0 ? 0 : -1;
}

// One step of the stage that training is in. Collective.
static int run_step(Training *training, Metrics *metrics, bool *learned)
{
    const World *world = &training->job.world;
    int64_t step = training_stage_step(training);
    if (training->stages[training->stage].samples)
        return sample_and_learn(training, step, metrics, learned);
    int status = world->has[ROLE_LEARNER] ? learn(training, step, NULL, metrics) : 0;
    status = group_agree(&world->all, status);
    *learned = status == 0;
    return status;
}

int train_step(Training *training, Metrics *metrics)
{
    double since = clock_now();
    bool learned = false;
    metrics_set(metrics, "step", (double)(training->state.step + 1));
    metrics_set(metrics, "stage", training->stage);
    int status = run_step(training, metrics, &learned);
    bool rolls_back = !learned && training_rolls_back(training);
    if (!learned && !(rolls_back && (status = training_roll_back(training)) == 0))
        return -1;
    training->state.step++;
    training->state.updates = training->learner.optimizer.updates;
    double published = clock_now();
    if (rolls_back || training_publishes(training))
        training_publish(training);
    metrics_set(metrics, "timing_s/publish", clock_now() - published);
    training_follow_checkpoint(training, false);
    double seconds = clock_now() - since, tokens = metrics_get(metrics, "perf/total_num_tokens");
    metrics_set(metrics, "perf/time_per_step", seconds);
    if (tokens > 0)
        metrics_set(metrics, "perf/throughput", tokens / seconds / training->job.world.all.size);
    metrics_set(metrics, "perf/peak_rank_mib", (double)memory_peak() / 0x1p20);
    return status;
}

// What follows a step (that failed after its update: `status`): its evaluation, its line, its
// checkpoint. *request is what was asked for meanwhile. Collective.
static int after_step(Training *training, int status, Metrics *metrics, Request *request)
{
    activity_begin("end of a step");
    int64_t step = training->state.step, every = training->settings->checkpoint.every;
    bool boundary = step == training->stages[STAGE_WARMUP].steps, better = false;
    if (status == 0)
        *request = training_request(training);
    if (status == 0 && training_owes_evaluation(training) && *request < REQUEST_HURRY) {
        status = training_evaluate(training, metrics, &better);
        *request = training_request(training);
    }
    training_say_step(training, step - 1, metrics);
    record_metrics(&training->record, metrics);
    if (status != 0)
        return -1;
    if (*request != REQUEST_NONE || boundary || better || step == training->total_steps ||
        !training_is_patient(training) || (every > 0 && step % every == 0)) {
        training_checkpoint(training, better);
        requests_answer_checkpoint();
    }
    return 0;
}

// All steps that are left, until somebody asks for a stop. Collective.
static int run_steps(Training *training, Request request)
{
    Metrics metrics = {0};
    int status = 0;
    while (status == 0 && request < REQUEST_STOP && training->state.step < training->total_steps &&
           training_is_patient(training)) {
        int64_t step = training->state.step;
        metrics_clear(&metrics);
        if (step == training->stages[STAGE_WARMUP].steps)
            status = training_enter_main(training);
        training->stage = training_stage(training, step);
        record_step_begins(&training->record, step + 1, training->total_steps);
        if (status == 0)
            status = train_step(training, &metrics);
        if (training->state.step > step)
            status = after_step(training, status, &metrics, &request);
        record_step_ends();
    }
    metrics_free(&metrics);
    return status;
}

int task_train(const Settings *settings)
{
    Training training;
    int status = training_open(&training, settings);
    Request request = status == 0 ? training_request(&training) : REQUEST_NONE;
    if (status == 0 && request < REQUEST_STOP)
        status = training_evaluate_owed(&training);
    if (status == 0)
        status = run_steps(&training, request);
    if (status == 0 && !training_is_patient(&training))
        record_say(&training.record,
                   "stopped early: the last %lld evaluations were no better than "
                   "that of step %lld",
                   (long long)training.state.since_best, (long long)training.state.best_step);
    if (status != 0)
        training_keep_steps(&training);
    else
        status = training_secure(&training);
    int code = status == 0 ? training_exit_status(&training) : (int)fail_code();
    if (code == EXIT_DONE)
        training_table(&training);
    training_close(&training);
    return code;
}
