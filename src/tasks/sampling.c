#include "tasks/sampling.h"

#include "base/clock.h"
#include "learner/advantage.h"

// Draws are named by the step of the run, all stages counted.
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
                       .step = (uint32_t)(training->stages[STAGE_WARMUP].steps + step)},
        .judging = PURPOSE_JUDGE,
        .permute = settings->reward.permute,
    };
}

static SessionSchedule *schedule_of(Training *training)
{
    return &training->stages[STAGE_MAIN].schedule;
}

void sampling_begin(Training *training, int64_t step, Rollout *rollout)
{
    SessionSchedule *schedule = schedule_of(training);
    RolloutPlan plan = rollout_plan(training, step);
    schedule_step(schedule, step);
    rollout_begin(rollout, &training->job, &plan, schedule->parts, schedule->part_count);
}

// Groups without spread, which the learner will drop; marks the samples of all groups.
static int64_t count_flat_groups(const TreeList *trees, bool *used)
{
    int64_t flat = 0;
    for (int64_t t = 0; t < trees->count; t++) {
        const Tree *tree = &trees->trees[t];
        for (int32_t first = 0, end; first < tree->branch_count; first = end) {
            used[tree->branches[first].sample] = true;
            flat += advantage_group_is_flat(tree, first, &end);
        }
    }
    return flat;
}

static void append_trees(TreeList *trees, TreeList *more)
{
    for (int64_t t = 0; t < more->count; t++)
        tree_list_add(trees, &more->trees[t], trees->count);
    more->count = 0; // its trees have a new owner
    tree_list_free(more);
}

// DAPO's dynamic sampling: other contexts in place of those whose responses all earned the same,
// until the batch is full, nothing is left, or the rounds are over.
static int replace_flat_groups(Training *training, int64_t step, TreeList *trees, Metrics *metrics)
{
    int64_t rounds = training->settings->algorithm.replacements, replaced = 0, round = 0;
    bool *used = allocate((size_t)training->dataset.set.count, sizeof *used);
    int64_t wanted = count_flat_groups(trees, used);
    SessionSchedule *schedule = schedule_of(training);
    RolloutPlan plan = rollout_plan(training, step);
    int status = 0;
    for (; round < rounds && wanted > 0 && status == 0; round++) {
        RolloutTimes times;
        TreeList more = {0};
        schedule_others(schedule, step, round, wanted, used);
        if (schedule->part_count == 0)
            break;
        status = rollout_run(&training->job, &plan, schedule->parts, schedule->part_count, &more,
                             &times);
        for (int64_t p = 0; p < schedule->part_count; p++)
            replaced += schedule->parts[p].count;
        wanted = count_flat_groups(&more, used);
        append_trees(trees, &more);
    }
    metrics_set(metrics, "sampling/replaced_contexts", (double)replaced);
    metrics_set(metrics, "sampling/rounds", (double)(round + 1));
    metrics_set(metrics, "sampling/missing_contexts", (double)wanted);
    release(used);
    return status;
}

int sampling_finish(Training *training, int64_t step, Rollout *rollout, TreeList *trees,
                    Metrics *metrics)
{
    RolloutTimes times;
    int status = rollout_finish(rollout, &training->job, trees, &times);
    double seconds = times.seconds, since = clock_now();
    if (status == 0 && training->settings->algorithm.replacements > 0) {
        status = replace_flat_groups(training, step, trees, metrics);
        seconds += clock_now() - since;
    }
    phases_add(&training->phases, PHASE_GEN, times.own.seconds + seconds - times.seconds);
    phases_add(&training->phases, PHASE_PREFILL, times.own.prefill);
    phases_add(&training->phases, PHASE_DECODE, times.own.decode);
    phases_add(&training->phases, PHASE_REWARD, times.own.grade);
    phases_add(&training->phases, PHASE_JUDGE, times.own.judging);
    metrics_set(metrics, "timing_s/gen", seconds);
    rollout_report(&times, metrics);
    return status;
}
