#include "tasks/stages.h"

#include "base/fail.h"

static OptimizerSettings optimizer_settings(const Settings *settings, Stage stage)
{
    OptimizerSettings optimizer = {
        .learning_rate = settings->optimizer.learning_rate,
        .beta1 = settings->optimizer.beta1,
        .beta2 = settings->optimizer.beta2,
        .epsilon = settings->optimizer.epsilon,
        .weight_decay = settings->optimizer.weight_decay,
        .vector_decay = settings->optimizer.vector_decay,
        .max_gradient_norm = settings->optimizer.max_gradient_norm,
        .schedule = settings->optimizer.schedule,
        .warmup_steps = settings->optimizer.warmup_steps,
        .min_ratio = settings->optimizer.min_ratio,
        .rounding = {.seed = (uint64_t)settings->run.seed, .round = stage},
    };
    if (stage == STAGE_WARMUP) {
        optimizer.learning_rate = settings->warmup.learning_rate;
        optimizer.warmup_steps = settings->warmup.warmup_steps;
        optimizer.schedule = settings->warmup.schedule;
    }
    return optimizer;
}

static LossSettings loss_settings(const Settings *settings)
{
    return (LossSettings){
        .clip_low = settings->algorithm.clip_low,
        .clip_high = settings->algorithm.clip_high,
        .clip_dual = settings->algorithm.clip_dual,
        .kl_coefficient = settings->algorithm.kl_coefficient,
        .kl_estimator = settings->algorithm.kl_estimator,
        .entropy_coefficient = settings->algorithm.entropy_coefficient,
        .importance_cap = settings->algorithm.importance_cap,
        .aggregation = settings->algorithm.aggregation,
        .longest_response = settings->rollout.max_response_tokens,
        .drop_flat_groups = settings->algorithm.drop_flat_groups,
        .opmd_tau = settings->algorithm.opmd_tau,
        .dpo_beta = settings->algorithm.dpo_beta,
    };
}

StepSettings stages_step_settings(const Settings *settings, Stage stage)
{
    bool warmup = stage == STAGE_WARMUP;
    StepSettings step = {
        .algorithm = &algorithm_table[warmup ? ALGORITHM_SFT : settings->algorithm.name],
        .loss = loss_settings(settings),
        .optimizer = optimizer_settings(settings, stage),
        .temperature = 1,
        .passes = warmup ? 1 : settings->train.passes,
        .mini_batches = warmup ? 1 : settings->train.mini_batches,
        .not_finite = settings->train.not_finite,
    };
    if (warmup) {
        step.loss.entropy_coefficient = 0;
        step.loss.aggregation = AGGREGATE_TOKEN_MEAN;
    }
    return step;
}

static void make_stage(StagePlan *plan, Stage stage, const Dataset *dataset,
                       const Settings *settings)
{
    bool warmup = stage == STAGE_WARMUP;
    int64_t own_contexts = warmup ? settings->warmup.batch_contexts : 0;
    int64_t steps = warmup ? settings->warmup.steps : settings->train.steps;
    int64_t epochs = warmup ? settings->warmup.epochs : settings->train.epochs;
    schedule_make(&plan->schedule, dataset,
                  (ScheduleOptions){.seed = (uint64_t)settings->run.seed,
                                    .stage = stage,
                                    .keep_sessions = settings->data.keep_sessions,
                                    .batch_contexts = own_contexts > 0
                                                          ? own_contexts
                                                          : settings->train.batch_contexts});
    plan->steps = steps > 0 ? steps : epochs * plan->schedule.steps_per_epoch;
    plan->samples = !warmup && settings_sample_responses(settings);
    plan->pairs = !warmup && settings->algorithm.name == ALGORITHM_DPO;
    plan->step = stages_step_settings(settings, stage);
    if (plan->samples)
        plan->step.temperature = settings->rollout.temperature;
    plan->step.optimizer.total_steps = plan->steps;
}

void stages_make(StagePlan stages[STAGE_COUNT], const Dataset *dataset, const Settings *settings)
{
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        make_stage(&stages[stage], (Stage)stage, dataset, settings);
}

void stages_free(StagePlan stages[STAGE_COUNT])
{
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        schedule_free(&stages[stage].schedule);
}

static int64_t count_rejected(const Dataset *dataset)
{
    int64_t count = 0;
    for (int64_t i = 0; i < dataset->set.count; i++)
        count += sample_rejected(&dataset->set.samples[i]) != NULL;
    return count;
}

int stages_check(const StagePlan stages[STAGE_COUNT], const Dataset *dataset, const char *path)
{
    const SampleCounts *counts = &dataset->set.counts;
    bool speechless = counts->kept_continue > 0 && counts->speechless == counts->kept_continue;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        const StagePlan *plan = &stages[stage];
        bool needs_expert = plan->steps > 0 && (plan->pairs || !plan->samples);
        if (needs_expert && speechless)
            return fail(EXIT_BAD_DATA,
                        "%s: no sample with decision_truth \"continue\" has a remaining_chat that "
                        "tells what the expert said next, so %s would only learn to stop; give it "
                        "the file that [prepare] processed writes, or leave the %s out",
                        path, plan->step.algorithm->name,
                        stage == STAGE_WARMUP ? "warm-up" : "stage");
        if (plan->steps > 0 && plan->pairs && !plan->samples && count_rejected(dataset) == 0)
            return fail(EXIT_BAD_DATA,
                        "%s: no sample has a field \"rejected\" with the text of a worse response; "
                        "give some, or set algorithm.rejected = sampled",
                        path);
    }
    return 0;
}

Reference stages_reference(const StagePlan stages[STAGE_COUNT], bool begins_adapter)
{
    const StepSettings *step = &stages[STAGE_MAIN].step;
    if (!algorithm_needs_reference(step->algorithm, &step->loss))
        return REFERENCE_NONE;
    return begins_adapter && stages[STAGE_WARMUP].steps == 0 ? REFERENCE_BASE : REFERENCE_COPY;
}
