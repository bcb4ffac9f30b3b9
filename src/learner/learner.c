#include "learner/learner.h"

#include <math.h>

#include "base/clock.h"
#include "base/fail.h"

// Gathers a unit from shards: the source of windowed weights.
static void gather_policy_unit(void *context, int64_t u, float *flat)
{
    Learner *learner = context;
    const Unit *unit = &learner->model->parameters->units[u];
    learner->collective->all_gather(
        &learner->group, flat, learner->optimizer.master + unit->local_offset, unit->shard.local);
}

static void gather_reference_unit(void *context, int64_t u, float *flat)
{
    Learner *learner = context;
    const Unit *unit = &learner->model->parameters->units[u];
    learner->collective->all_gather(
        &learner->group, flat, learner->reference_shards + unit->local_offset, unit->shard.local);
}

void learner_make(Learner *learner, const Model *model, const Group *group,
                  const Collective *collective, LearnerLayout layout)
{
    *learner = (Learner){.group = *group, .collective = collective, .model = model};
    int64_t rows = layout.micro_batch_tokens, slots = plan_slots(rows);
    optimizer_make(&learner->optimizer, model->parameters, model->kernels);
    gradient_make(&learner->gradient, model->parameters, model->kernels, collective,
                  &learner->group);
    workspace_make(&learner->workspace, model, WORKSPACE_TRAIN, rows, slots);
    batch_make(&learner->batch, rows, slots);
    learner->weights = layout.resident;
    learner->owns_weights = !layout.resident;
    if (learner->owns_weights) {
        learner->weights = weights_make(model->parameters, model->kernels, model->type, false);
        weights_set_source(learner->weights, gather_policy_unit, learner);
    }
}

void learner_free(Learner *learner)
{
    if (!learner->model)
        return;
    const Kernels *kernels = learner->model->kernels;
    optimizer_free(&learner->optimizer, kernels);
    gradient_free(&learner->gradient);
    workspace_free(&learner->workspace, learner->model);
    batch_free(&learner->batch);
    if (learner->owns_weights)
        weights_free(learner->weights);
    weights_free(learner->reference);
    if (learner->reference_shards)
        kernels->memory_free(learner->reference_shards);
    *learner = (Learner){0};
}

LearnerMemory learner_bytes(const Model *model, int ranks, int64_t micro_batch_tokens, bool gathers,
                            bool with_reference)
{
    const Parameters *parameters = model->parameters;
    size_t flat = (size_t)parameters->local * sizeof(float);
    size_t window = weights_bytes(parameters, model->kernels, model->type, false);
    return (LearnerMemory){
        .state = 3 * flat + gradient_bytes(parameters, ranks),
        .activations = workspace_bytes(model, WORKSPACE_TRAIN, micro_batch_tokens,
                                       plan_slots(micro_batch_tokens)),
        .windows = (gathers ? window : 0) + (with_reference ? flat + window : 0),
    };
}

void learner_reserve_reference(Learner *learner)
{
    const Model *model = learner->model;
    if (learner->reference)
        return;
    learner->reference_shards =
        model->kernels->memory_make((size_t)model->parameters->local * sizeof(float));
    learner->reference = weights_make(model->parameters, model->kernels, model->type, false);
    weights_set_source(learner->reference, gather_reference_unit, learner);
}

void learner_freeze_reference(Learner *learner)
{
    learner_reserve_reference(learner);
    learner->model->kernels->copy(NULL, learner->reference_shards, learner->optimizer.master,
                                  (size_t)learner->model->parameters->local * sizeof(float));
    weights_invalidate(learner->reference);
}

static Plan plan_of(const Learner *learner, Tree *trees, int64_t count)
{
    Plan plan;
    plan_make(&plan, trees, count, learner->model->shape,
              (PlanLayout){.rows = learner->workspace.rows,
                           .slots = learner->workspace.slots,
                           .rank = learner->group.rank,
                           .size = learner->group.size});
    return plan;
}

typedef struct {
    double reference, forward, vocabulary, backward, optimizer;
} Phases;

static double lap(double *since)
{
    double now = clock_now(), passed = now - *since;
    *since = now;
    return passed;
}

static void run_micro_batch(Learner *learner, const StepSettings *settings, LossContext *context,
                            Phases *phases)
{
    const Model *model = learner->model;
    Workspace *workspace = &learner->workspace;
    float temperature = (float)settings->temperature;
    GradientSink sink = gradient_sink(&learner->gradient);
    double since = clock_now();
    if (learner->reference && settings->algorithm->reference && settings->loss.kl_coefficient > 0) {
        model_forward(model, learner->reference, &learner->batch, workspace, NULL);
        model_vocabulary(model, learner->reference, &learner->batch, workspace, temperature,
                         loss_store_reference, NULL, NULL);
        phases->reference += lap(&since);
    }
    model_forward(model, learner->weights, &learner->batch, workspace, NULL);
    phases->forward += lap(&since);
    model_vocabulary(model, learner->weights, &learner->batch, workspace, temperature, loss_chunk,
                     context, &sink);
    phases->vocabulary += lap(&since);
    model_backward(model, learner->weights, &learner->batch, workspace, &sink);
    phases->backward += lap(&since);
}

static void sum_over_ranks(const Learner *learner, LossSums *sums)
{
    double maximum = group_maximum(&learner->group, sums->gap_maximum);
    group_sum(&learner->group, (double *)sums, (int64_t)(sizeof *sums / sizeof(double)));
    sums->gap_maximum = maximum;
}

static void report(const StepSettings *settings, const LossSums *sums, double norm, double rate,
                   Metrics *metrics)
{
    double tokens = sums->tokens > 0 ? sums->tokens : 1;
    metrics_set(metrics, "actor/pg_loss", sums->policy);
    metrics_set(metrics, "actor/grad_norm", norm);
    metrics_set(metrics, "actor/lr", rate);
    metrics_set(metrics, "actor/tokens", sums->tokens);
    if (!settings->algorithm->samples)
        return;
    metrics_set(metrics, "actor/kl_loss", sums->kl);
    metrics_set(metrics, "actor/kl", sums->kl_tokens / tokens);
    metrics_set(metrics, "actor/pg_clipfrac", sums->clipped / tokens);
    metrics_set(metrics, "actor/pg_clipfrac_lower", sums->clipped_dual / tokens);
    metrics_set(metrics, "actor/ppo_kl", sums->drift / tokens);
    metrics_set(metrics, "mismatch/logprob_gap_mean", sums->gap_sum / tokens);
    metrics_set(metrics, "mismatch/logprob_gap_max", sums->gap_maximum);
    metrics_set(metrics, "mismatch/ratio_mean", sums->ratio_sum / tokens);
}

static void report_work(const Learner *learner, const Plan *plan, double scored_rows,
                        const Phases *phases, Metrics *metrics)
{
    const ModelShape *shape = learner->model->shape;
    group_sum(&learner->group, &scored_rows, 1);
    double products = plan->products + scored_rows * (double)(shape->width * shape->vocabulary);
    metrics_set(metrics, "perf/gflop_forward", 2e-9 * products);
    metrics_set(metrics, "learner/scored_rows", scored_rows);
    metrics_set(metrics, "learner/rows", (double)plan->rows);
    metrics_set(metrics, "learner/trunk_repeats", (double)plan->trunk_repeats);
    metrics_set(metrics, "learner/micro_batches", (double)plan->count);
    metrics_set(metrics, "timing_s/reference", phases->reference);
    metrics_set(metrics, "timing_s/forward", phases->forward);
    metrics_set(metrics, "timing_s/vocabulary", phases->vocabulary);
    metrics_set(metrics, "timing_s/backward", phases->backward);
    metrics_set(metrics, "timing_s/optimizer", phases->optimizer);
}

int learner_step(Learner *learner, const StepSettings *settings, Tree *trees, int64_t count,
                 Metrics *metrics)
{
    LossContext context = {.algorithm = settings->algorithm, .settings = settings->loss};
    Phases phases = {0};
    double scored_rows = 0;
    loss_count(&context, trees, count);
    Plan plan = plan_of(learner, trees, count);
    gradient_clear(&learner->gradient);
    for (int64_t b = 0; b < plan.count; b++) {
        plan_load(&plan, b, &learner->batch);
        scored_rows += (double)learner->batch.scored_count;
        run_micro_batch(learner, settings, &context, &phases);
    }
    double since = clock_now();
    double rate = optimizer_rate(&settings->optimizer, learner->optimizer.updates);
    double norm = optimizer_step(&learner->optimizer, &settings->optimizer, &learner->gradient);
    if (learner->owns_weights)
        weights_invalidate(learner->weights);
    phases.optimizer = lap(&since);
    sum_over_ranks(learner, &context.sums);
    report(settings, &context.sums, norm, rate, metrics);
    report_work(learner, &plan, scored_rows, &phases, metrics);
    plan_free(&plan);
    if (!isfinite(norm))
        return fail(EXIT_BUG, "the gradient's norm is not finite");
    return 0;
}
