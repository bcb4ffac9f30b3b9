// train.c - the method, from sessions to weights.

#include <math.h>

#include "base/clock.h"
#include "base/fail.h"
#include "learner/advantage.h"
#include "tasks/tasks.h"
#include "tasks/training.h"

static RolloutPlan rollout_plan(const Training *training, int64_t step)
{
    const Settings *settings = training->settings;
    const Tokens *ends = chat_end_tokens(training->job.chat);
    return (RolloutPlan){
        .dataset = &training->dataset,
        .rules = training->judge,
        .reward = {.mode = settings->reward.mode,
                   .fusion = settings->reward.fusion,
                   .trim_stop = settings->reward.trim_stop},
        .repeats = (int32_t)settings->rollout.group_size,
        .generation = {.temperature = settings->rollout.temperature,
                       .top_p = settings->rollout.top_p,
                       .top_k = (int32_t)settings->rollout.top_k,
                       .repetition_penalty = settings->rollout.repetition_penalty,
                       .max_response_tokens = (int32_t)settings->rollout.max_response_tokens,
                       .forced_length = settings->rollout.forced_length,
                       .end_tokens = ends->ids,
                       .end_token_count = ends->count,
                       .seed = (uint64_t)settings->run.seed,
                       .purpose = PURPOSE_POLICY,
                       .step = (uint32_t)step},
        .judging = PURPOSE_JUDGE,
        .permute = settings->reward.permute,
    };
}

// What the experts said next: every learner rank builds all trees by itself.
static void expert_trees(Training *training, const SessionSchedule *schedule, TreeList *trees)
{
    for (int64_t p = 0; p < schedule->part_count; p++) {
        Tree tree =
            session_tree_of_expert(&training->dataset, training->job.chat, schedule->parts[p],
                                   (int32_t)training->settings->rollout.max_response_tokens);
        tree_list_add(trees, &tree, p);
    }
}

static int sampled_trees(Training *training, const SessionSchedule *schedule, int64_t step,
                         TreeList *trees, Metrics *metrics)
{
    RolloutPlan plan = rollout_plan(training, step);
    RolloutTimes times;
    double since = clock_now();
    if (rollout_run(&training->job, &plan, schedule->parts, schedule->part_count, trees, &times) !=
        0)
        return -1;
    record_rewards(&training->dataset, trees, metrics);
    int64_t flat = 0;
    for (int64_t t = 0; t < trees->count; t++)
        flat += advantage_group_relative(&trees->trees[t],
                                         training->settings->algorithm.drop_flat_groups);
    record_advantages(trees, flat, metrics);
    metrics_set(metrics, "timing_s/gen", clock_now() - since);
    rollout_report(&times, metrics);
    return 0;
}

int train_step(Training *training, int64_t step, Metrics *metrics)
{
    Stage stage = training_stage(training, step);
    StagePlan *plan = &training->stages[stage];
    int64_t stage_step = stage == STAGE_MAIN ? step - training->stages[STAGE_WARMUP].steps : step;
    TreeList trees = {0};
    double since = clock_now();
    metrics_set(metrics, "step", (double)(step + 1));
    metrics_set(metrics, "stage", stage);
    schedule_step(&plan->schedule, stage_step);
    int status = 0;
    if (plan->step.algorithm->samples)
        status = sampled_trees(training, &plan->schedule, step, &trees, metrics);
    else
        expert_trees(training, &plan->schedule, &trees);
    double updating = clock_now();
    if (status == 0 && training->job.world.has[ROLE_LEARNER])
        status = learner_step(&training->learner, &plan->step, trees.trees, trees.count, metrics);
    if (group_agree(&training->job.world.all, status) != 0) {
        tree_list_free(&trees);
        return -1;
    }
    double published = clock_now();
    training_publish(training);
    metrics_set(metrics, "timing_s/update_actor", published - updating);
    metrics_set(metrics, "timing_s/publish", clock_now() - published);
    metrics_set(metrics, "perf/time_per_step", clock_now() - since);
    metrics_set(metrics, "perf/peak_rank_mib", (double)memory_peak() / 0x1p20);
    if (plan->step.algorithm->samples)
        record_samples(&training->record, &training->dataset, &trees, step + 1);
    tree_list_free(&trees);
    training->state.step = step + 1;
    training->state.updates = training->learner.optimizer.updates;
    return 0;
}

static bool due(int64_t every, int64_t step)
{
    return every > 0 && step % every == 0;
}

// Whether evaluations still find something better, as far as the settings ask.
static bool patient(const Training *training)
{
    int64_t patience = training->settings->checkpoint.patience;
    return patience == 0 || training->state.since_best < patience;
}

int task_train(const Settings *settings)
{
    Training training;
    int status = training_open(&training, settings);
    bool stopped = false;
    Metrics metrics = {0};
    for (int64_t step = training.state.step;
         status == 0 && !stopped && patient(&training) && step < training.total_steps; step++) {
        bool better = false, last = step + 1 == training.total_steps;
        bool boundary = step + 1 == training.stages[STAGE_WARMUP].steps;
        metrics_clear(&metrics);
        if (step == training.stages[STAGE_WARMUP].steps)
            status = training_enter_main(&training);
        if (status == 0)
            status = train_step(&training, step, &metrics);
        if (status != 0)
            break;
        if (last || boundary || due(settings->evaluate.every, step + 1))
            status = training_evaluate(&training, boundary && !last ? "warm-up" : "final", &metrics,
                                       &better);
        training_say_step(&training, step, &metrics);
        record_metrics(&training.record, &metrics);
        if (status != 0)
            break;
        stopped = training_stop_wanted(&training) && !last;
        if (last || boundary || better || stopped || !patient(&training) ||
            due(settings->checkpoint.every, step + 1))
            training_checkpoint(&training, better);
    }
    if (status == 0 && !patient(&training))
        record_say(&training.record,
                   "stopped early: the last %lld evaluations were no better than "
                   "that of step %lld",
                   (long long)training.state.since_best, (long long)training.state.best_step);
    if (status != 0)
        training_keep_steps(&training);
    int code = status == 0 ? training_exit_status(&training, !stopped) : (int)fail_code();
    if (code == EXIT_DONE)
        training_table(&training);
    metrics_free(&metrics);
    training_close(&training);
    return code;
}
