// learner_step.c - one step: reference, advantages, and the updates of all passes and mini-batches.

#include <math.h>
#include <string.h>

#include "base/activity.h"
#include "base/clock.h"
#include "base/fail.h"
#include "learner/learner.h"

typedef struct {
    double reference, forward, vocabulary, backward, optimizer;
} Phases;

// What the updates of a step have in common, and what is added up over them.
typedef struct {
    Learner *learner;
    const StepSettings *settings;
    Phases phases;
    double rate;
    double norms, updates, skipped;
    double products, scored_rows;
    int64_t rows, trunk_repeats, micro_batches;
} Step;

static double lap(double *since)
{
    double now = clock_now(), passed = now - *since;
    *since = now;
    return passed;
}

static Plan plan_of(const Step *step, Tree *trees, int64_t count)
{
    const Learner *learner = step->learner;
    Plan plan;
    plan_make(&plan, trees, count, learner->model->shape,
              (PlanLayout){.rows = learner->workspace.rows,
                           .slots = learner->workspace.slots,
                           .rank = learner->group.rank,
                           .size = learner->group.size,
                           .together = step->settings->algorithm->together});
    return plan;
}

// ---- the reference ------------------------------------------------------------------------------

// A stretch of log-probabilities on its way to the other ranks.
typedef struct {
    int64_t tree;
    int32_t branch, count;
} Heading;

static void append_part(const Part *part, const Tree *trees, Bytes *bytes)
{
    for (int32_t b = part->first; b < part->first + part->count; b++) {
        const Branch *branch = &part->tree->branches[b];
        Heading heading = {part->tree - trees, b, branch->count};
        bytes_append(bytes, &heading, sizeof heading);
        bytes_append(bytes, branch->reference, (size_t)branch->count * sizeof(float));
    }
}

// Every rank gets what the others have scored: the parts of an update lie on other ranks.
static void share_reference(const Learner *learner, const Plan *plan, Tree *trees)
{
    if (learner->group.size == 1)
        return;
    Bytes send = {0}, receive = {0};
    size_t *starts = allocate((size_t)learner->group.size + 1, sizeof *starts);
    for (int64_t p = 0; p < plan->part_count; p++)
        append_part(&plan->parts[p], trees, &send);
    group_all_gather_bytes(&learner->group, &send, &receive, starts);
    for (size_t used = 0; used < receive.length;) {
        Heading heading;
        memcpy(&heading, receive.data + used, sizeof heading);
        used += sizeof heading;
        size_t bytes = (size_t)heading.count * sizeof(float);
        if (bytes > 0)
            memcpy(trees[heading.tree].branches[heading.branch].reference, receive.data + used,
                   bytes);
        used += bytes;
    }
    release(starts);
    bytes_free(&send);
    bytes_free(&receive);
}

static void score_reference(Step *step, Tree *trees, int64_t count)
{
    Learner *learner = step->learner;
    const Model *model = learner->model;
    double since = clock_now();
    activity_begin("scoring by the reference");
    CHECK(learner->reference, "%s without a reference", step->settings->algorithm->name);
    Plan plan = plan_of(step, trees, count);
    for (int64_t b = 0; b < plan.count; b++) {
        plan_load(&plan, b, &learner->batch);
        model_forward(model, learner->reference, &learner->batch, &learner->workspace, NULL);
        model_vocabulary(model, learner->reference, &learner->batch, &learner->workspace,
                         (float)step->settings->temperature, loss_store_reference, NULL, NULL);
    }
    share_reference(learner, &plan, trees);
    plan_free(&plan);
    step->phases.reference += lap(&since);
}

// ---- an update ----------------------------------------------------------------------------------

static void run_micro_batch(Step *step)
{
    Learner *learner = step->learner;
    const Model *model = learner->model;
    Workspace *workspace = &learner->workspace;
    LossContext *loss = &learner->loss;
    float temperature = (float)step->settings->temperature;
    GradientSink sink = gradient_sink(&learner->gradient);
    double since = clock_now();
    activity_begin("forward pass");
    model_forward(model, learner->weights, &learner->batch, workspace, NULL);
    step->phases.forward += lap(&since);
    activity_begin("vocabulary and loss");
    loss_begin(loss, &learner->batch);
    if (loss->algorithm->sequence_loss) {
        model_vocabulary(model, learner->weights, &learner->batch, workspace, temperature,
                         loss_score, loss, NULL);
        loss_sequences(loss, &learner->batch);
    }
    model_vocabulary(model, learner->weights, &learner->batch, workspace, temperature, loss_chunk,
                     loss, &sink);
    step->phases.vocabulary += lap(&since);
    activity_begin("backward pass");
    model_backward(model, learner->weights, &learner->batch, workspace, &sink);
    step->phases.backward += lap(&since);
}

static int apply_gradient(Step *step)
{
    Learner *learner = step->learner;
    double since = clock_now();
    activity_begin("optimizer step");
    if (learner->owns_weights)
        weights_invalidate(learner->weights); // nothing may be on its way from masters that change
    double norm = optimizer_step(&learner->optimizer, &step->settings->optimizer, step->rate,
                                 &learner->gradient);
    step->phases.optimizer += lap(&since);
    if (!isfinite(norm)) {
        step->skipped += 1;
        return step->settings->not_finite == NOT_FINITE_SKIP
                   ? 0
                   : fail(EXIT_BUG, "the gradient's norm is not finite");
    }
    if (!learner->owns_weights && step->settings->passes * step->settings->mini_batches > 1)
        learner_refresh(learner);
    step->norms += norm;
    step->updates += 1;
    return 0;
}

// One optimiser step on some of the trees. Trees without a scored token move nothing.
static int run_update(Step *step, Tree *trees, int64_t count)
{
    Learner *learner = step->learner;
    loss_count(&learner->loss, trees, count);
    if (learner->loss.total_tokens == 0)
        return 0;
    Plan plan = plan_of(step, trees, count);
    gradient_clear(&learner->gradient);
    for (int64_t b = 0; b < plan.count; b++) {
        plan_load(&plan, b, &learner->batch);
        gradient_begin(&learner->gradient, b + 1 == plan.count);
        step->scored_rows += (double)learner->batch.scored_count;
        run_micro_batch(step);
    }
    step->products += plan.products;
    step->rows += plan.rows;
    step->trunk_repeats += plan.trunk_repeats;
    step->micro_batches += plan.count;
    plan_free(&plan);
    return apply_gradient(step);
}

// Trees [0, result) are the first `part` of `parts` shares of about as many branches.
static int64_t end_of_share(const Tree *trees, int64_t count, int64_t part, int64_t parts)
{
    int64_t total = 0, met = 0, t = 0;
    for (int64_t i = 0; i < count; i++)
        total += trees[i].branch_count;
    while (t < count && met * parts < total * part)
        met += trees[t++].branch_count;
    return part == parts ? count : t;
}

// All updates of the step: `passes` times over its mini-batches, in the order of trees.
static int run_updates(Step *step, const StepBatch *batch)
{
    LossContext *loss = &step->learner->loss;
    int64_t parts = step->settings->mini_batches;
    for (int64_t pass = 0; pass < step->settings->passes; pass++) {
        loss->first_meeting = pass == 0;
        for (int64_t part = 0, first = 0, end; part < parts; part++, first = end) {
            end = end_of_share(batch->trees, batch->count, part + 1, parts);
            loss->samplers_weights = !batch->stale && step->updates == 0;
            if (run_update(step, batch->trees + first, end - first) != 0)
                return -1;
        }
    }
    return 0;
}

// ---- what is said of it -------------------------------------------------------------------------

static void sum_over_ranks(const Learner *learner, LossSums *sums)
{
    double gap = group_maximum(&learner->group, sums->gap.maximum);
    double moved = group_maximum(&learner->group, sums->moved.maximum);
    group_sum(&learner->group, (double *)sums, (int64_t)(sizeof *sums / sizeof(double)));
    sums->gap.maximum = gap;
    sums->moved.maximum = moved;
}

// The sampler's log-probabilities against the learner's: where the weights are the same, and where
// they have moved on.
static void report_gaps(const LossSums *sums, Metrics *metrics)
{
    const Gap *gap = &sums->gap, *moved = &sums->moved;
    double all = gap->tokens + moved->tokens;
    if (gap->tokens > 0) {
        metrics_set(metrics, "mismatch/logprob_gap_mean", gap->distance / gap->tokens);
        metrics_set(metrics, "mismatch/logprob_gap_max", gap->maximum);
        metrics_set(metrics, "mismatch/kl", gap->k3 / gap->tokens);
        metrics_set(metrics, "mismatch/ratio_mean", gap->ratio / gap->tokens);
    }
    if (moved->tokens > 0) {
        metrics_set(metrics, "policy/drift_mean", moved->distance / moved->tokens);
        metrics_set(metrics, "policy/drift_max", moved->maximum);
        metrics_set(metrics, "policy/drift_kl", moved->k3 / moved->tokens);
        metrics_set(metrics, "policy/drift_ratio_mean", moved->ratio / moved->tokens);
    }
    if (all > 0) {
        metrics_set(metrics, "actor/ppo_kl", (gap->drift + moved->drift) / all);
        metrics_set(metrics, "mismatch/importance_truncated",
                    (gap->truncated + moved->truncated) / all);
    }
}

static void report_loss(const Step *step, const LossSums *sums, Metrics *metrics)
{
    const AlgorithmRow *algorithm = step->settings->algorithm;
    double tokens = sums->tokens > 0 ? sums->tokens : 1;
    double updates = step->updates + step->skipped > 0 ? step->updates + step->skipped : 1;
    metrics_set(metrics, "actor/pg_loss", sums->policy / updates);
    metrics_set(metrics, "actor/grad_norm", step->updates > 0 ? step->norms / step->updates : 0);
    metrics_set(metrics, "actor/lr", step->rate);
    metrics_set(metrics, "actor/tokens", sums->tokens);
    metrics_set(metrics, "actor/entropy", sums->entropy / tokens);
    metrics_set(metrics, "actor/updates", step->updates);
    metrics_set(metrics, "actor/skipped_updates", step->skipped);
    if (sums->pairs > 0) {
        metrics_set(metrics, "dpo/accuracy", sums->won / sums->pairs);
        metrics_set(metrics, "dpo/margin", sums->margin / sums->pairs);
        metrics_set(metrics, "dpo/pairs", sums->pairs);
    }
    if (!algorithm->advantage)
        return;
    if (algorithm_needs_reference(algorithm, &step->settings->loss)) {
        metrics_set(metrics, "actor/kl_loss", sums->kl / updates);
        metrics_set(metrics, "actor/kl", sums->kl_tokens / tokens);
        metrics_set(metrics, "timing_s/reference", step->phases.reference);
    }
    metrics_set(metrics, "actor/pg_clipfrac", sums->clipped / tokens);
    metrics_set(metrics, "actor/pg_clipfrac_lower", sums->clipped_dual / tokens);
    report_gaps(sums, metrics);
}

static void report_work(const Step *step, Metrics *metrics)
{
    const ModelShape *shape = step->learner->model->shape;
    double scored_rows = step->scored_rows;
    group_sum(&step->learner->group, &scored_rows, 1);
    double products = step->products + scored_rows * (double)(shape->width * shape->vocabulary);
    metrics_set(metrics, "perf/gflop_forward", 2e-9 * products);
    metrics_set(metrics, "learner/scored_rows", scored_rows);
    metrics_set(metrics, "learner/rows", (double)step->rows);
    metrics_set(metrics, "learner/trunk_repeats", (double)step->trunk_repeats);
    metrics_set(metrics, "learner/micro_batches", (double)step->micro_batches);
    metrics_set(metrics, "timing_s/forward", step->phases.forward);
    metrics_set(metrics, "timing_s/vocabulary", step->phases.vocabulary);
    metrics_set(metrics, "timing_s/backward", step->phases.backward);
    metrics_set(metrics, "timing_s/optimizer", step->phases.optimizer);
}

int learner_step(Learner *learner, const StepSettings *settings, const StepBatch *batch,
                 Metrics *metrics)
{
    Step step = {.learner = learner,
                 .settings = settings,
                 .rate = optimizer_rate(&settings->optimizer, batch->step)};
    LossContext *loss = &learner->loss;
    loss->algorithm = settings->algorithm;
    loss->settings = settings->loss;
    loss->sums = (LossSums){0};
    if (algorithm_needs_reference(settings->algorithm, &settings->loss))
        score_reference(&step, batch->trees, batch->count);
    if (settings->algorithm->advantage)
        metrics_set(
            metrics, "reward/flat_groups",
            (double)settings->algorithm->advantage(&settings->loss, batch->trees, batch->count));
    int status = run_updates(&step, batch);
    sum_over_ranks(learner, &loss->sums);
    report_loss(&step, &loss->sums, metrics);
    report_work(&step, metrics);
    return status;
}
