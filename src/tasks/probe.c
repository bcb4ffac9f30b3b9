#include "tasks/probe.h"

#include <omp.h>
#include <string.h>

#include "base/clock.h"
#include "tasks/statistics.h"
#include "tasks/wall_time.h"

enum {
    LAYERS = 2,         // most that are computed
    VOCABULARY = 16384, // tokens that are computed at most
    ROWS = 512,         // of a pass
    BRANCHES = 64,      // that decode together at most
    TOKENS = 4,         // of a response
    ROUNDS = 2,         // the better one counts
};

// Seconds a row, or a pass of `width` branches, with so many layers.
typedef struct {
    double prefill, decode, forward, backward; // prefill and decode: with the vocabulary
    double vocabulary;                         // of a scored row
} Costs;

// What a step has of each, one rank.
typedef struct {
    double trunk_rows, rows, scored_rows, passes;
    int64_t width; // branches that decode together
} StepWork;

typedef struct {
    ModelShape shape;
    Parameters parameters;
    Model model;
    Weights *weights; // owned
    float *gradient;  // owned: of one unit
    const Settings *settings;
} Small;

static void small_make(Small *small, const ModelShape *shape, const Settings *settings,
                       int64_t layers)
{
    const Kernels *kernels = kernels_cpu();
    ElementType type = job_element_type(settings);
    *small = (Small){.shape = *shape, .settings = settings};
    small->shape.layers = layers;
    small->shape.vocabulary = shape->vocabulary < VOCABULARY ? shape->vocabulary : VOCABULARY;
    parameters_make(&small->parameters, &small->shape, 0, 1);
    model_make(&small->model, &small->parameters, NULL, kernels, type, ROWS + TOKENS);
    small->weights = weights_make(&small->parameters, kernels, type, true);
    small->gradient = allocate((size_t)small->parameters.largest, sizeof(float));
    float *values = allocate((size_t)small->parameters.local, sizeof *values);
    parameters_randomise(&small->parameters, 1, values);
    weights_load(small->weights, elements_f32(values));
    release(values);
}

static void small_free(Small *small)
{
    release(small->gradient);
    weights_free(small->weights);
    model_free(&small->model);
    parameters_free(&small->parameters);
}

static Tree make_tree(const Small *small, int64_t trunk_length, int64_t branches)
{
    Tree tree;
    int32_t *trunk = allocate((size_t)trunk_length, sizeof *trunk);
    for (int64_t i = 0; i < trunk_length; i++)
        trunk[i] = (int32_t)(i * 104729 % small->shape.vocabulary);
    tree_make(&tree, 0, trunk, (int32_t)trunk_length, (int32_t)branches);
    for (int64_t b = 0; b < branches; b++)
        tree_add_branch(&tree, (int32_t)trunk_length, 0, TOKENS)->repeat = (int32_t)b;
    release(trunk);
    return tree;
}

static void keep_better(double *best, double seconds)
{
    if (*best == 0 || seconds < *best)
        *best = seconds;
}

static void time_engine(const Small *small, int64_t trunk, int64_t width, Costs *costs)
{
    Generation generation = {.temperature = 1,
                             .top_p = 1,
                             .repetition_penalty = 1,
                             .max_response_tokens = TOKENS,
                             .forced_length = true,
                             .seed = 1};
    Engine engine;
    engine_make(&engine, &small->model, small->weights, ROWS,
                slots_aligned(trunk) + (width + 1) * slots_aligned(TOKENS));
    for (int round = 0; round < ROUNDS; round++) {
        Tree tree = make_tree(small, trunk, width);
        engine.counts = (EngineCounts){0};
        engine_generate(&engine, &tree, 1, &generation);
        keep_better(&costs->prefill,
                    engine.counts.prefill_seconds / (double)engine.counts.prefill_rows);
        keep_better(&costs->decode,
                    engine.counts.decode_seconds / (double)engine.counts.decode_steps);
        tree_free(&tree);
    }
    engine_free(&engine);
}

static float *begin_gradient(void *context, int64_t unit)
{
    (void)unit;
    return ((Small *)context)->gradient;
}

static void end_gradient(void *context, int64_t unit)
{
    (void)context;
    (void)unit;
}

static void no_progress(void *context)
{
    (void)context;
}

static void some_loss(void *context, const LossChunk *chunk)
{
    (void)context;
    for (int64_t i = 0; i < chunk->count; i++) {
        chunk->coefficients[i] = 1e-3f;
        chunk->entropy_slopes[i] = 0;
    }
}

static double lap(double *since)
{
    double now = clock_now(), seconds = now - *since;
    *since = now;
    return seconds;
}

static void time_learner(Small *small, int64_t trunk, int64_t width, Costs *costs)
{
    WorkspaceKind kind = learner_workspace_kind(small->settings->parallel.recompute);
    GradientSink sink = {begin_gradient, end_gradient, no_progress, small};
    Tree tree = make_tree(small, trunk, width);
    for (int32_t b = 0; b < tree.branch_count; b++) {
        tree.branches[b].count = TOKENS;
        memset(tree.branches[b].scored, 1, TOKENS);
    }
    Part part = {&tree, 0, tree.branch_count};
    int64_t rows = part_rows(&part), slots = part_slots(&part);
    Workspace workspace;
    Batch batch;
    workspace_make(&workspace, &small->model, kind, rows, slots);
    batch_make(&batch, rows, slots);
    batch_add(&batch, &part);
    batch_finish(&batch);
    for (int round = 0; round < ROUNDS; round++) {
        double since = clock_now();
        model_forward(&small->model, small->weights, &batch, &workspace, NULL);
        keep_better(&costs->forward, lap(&since) / (double)rows);
        model_vocabulary(&small->model, small->weights, &batch, &workspace, 1, some_loss, NULL,
                         &sink);
        keep_better(&costs->vocabulary, lap(&since) / (double)batch.scored_count);
        model_backward(&small->model, small->weights, &batch, &workspace, &sink);
        keep_better(&costs->backward, lap(&since) / (double)rows);
    }
    batch_free(&batch);
    workspace_free(&workspace, &small->model);
    tree_free(&tree);
}

// From one and two layers to all: the difference is a layer's.
static double all_layers(double one, double two, int64_t layers)
{
    double each = two > one ? two - one : one / 2;
    return one + each * (double)(layers - 1);
}

static Costs measure(Checked *checked, int64_t trunk, int64_t width)
{
    const ModelShape *shape = &checked->job.shape;
    Costs costs[LAYERS] = {0};
    for (int64_t n = 0; n < LAYERS; n++) {
        Small small;
        small_make(&small, shape, checked->settings, n + 1);
        time_engine(&small, trunk, width, &costs[n]);
        time_learner(&small, trunk, width, &costs[n]);
        small_free(&small);
    }
    double part = (double)shape->vocabulary /
                  (double)(shape->vocabulary < VOCABULARY ? shape->vocabulary : VOCABULARY);
    double rest = 2 * costs[0].decode - costs[1].decode; // vocabulary and sampling
    return (Costs){
        .prefill = all_layers(costs[0].prefill, costs[1].prefill, shape->layers),
        .decode = all_layers(costs[0].decode, costs[1].decode, shape->layers) +
                  (rest > 0 ? (part - 1) * rest : 0),
        .forward = all_layers(costs[0].forward, costs[1].forward, shape->layers),
        .backward = all_layers(costs[0].backward, costs[1].backward, shape->layers),
        .vocabulary = part * costs[0].vocabulary,
    };
}

// The trees of a stage's first steps, one by one on average.
static StepWork work_of(Checked *checked, Stage stage)
{
    const Settings *settings = checked->settings;
    StagePlan *plan = &checked->stages[stage];
    int64_t longest = settings->rollout.max_response_tokens;
    int64_t steps = plan->steps < STATISTICS_STEPS ? plan->steps : STATISTICS_STEPS;
    StepWork work = {0};
    double branches = 0;
    for (int64_t step = 0; step < steps; step++) {
        schedule_step(&plan->schedule, step);
        for (int64_t p = 0; p < plan->schedule.part_count; p++) {
            SessionPart part = plan->schedule.parts[p];
            Tree tree = plan->samples
                            ? session_tree_for_rollout(&checked->dataset, part,
                                                       (int32_t)settings->rollout.group_size,
                                                       (int32_t)longest)
                            : session_tree_of_expert(&checked->dataset, checked->job.chat, part,
                                                     (int32_t)longest);
            for (int32_t b = 0; b < tree.branch_count; b++) {
                if (plan->samples)
                    tree.branches[b].count = (int32_t)longest;
                work.scored_rows += tree.branches[b].count;
            }
            work.trunk_rows += tree.trunk_length;
            work.rows += (double)tree_rows(&tree);
            branches += tree.branch_count;
            tree_free(&tree);
        }
    }
    double count = steps > 0 ? (double)steps : 1;
    work.trunk_rows /= count;
    work.rows /= count;
    work.scored_rows /= count;
    JobSizes sizes = sizes_share(settings, checked_demand(checked), 1);
    double fit = (double)sizes.slots / (double)slots_aligned(longest), each = branches / count;
    double waves = each > fit ? each / fit : 1;
    work.passes = waves * (double)longest;
    work.width = (int64_t)(each / waves);
    return work;
}

ProbeTimes probe_run(Checked *checked)
{
    double since = clock_now();
    const StagePlan *main_stage = &checked->stages[STAGE_MAIN];
    StepWork step = work_of(checked, STAGE_MAIN), warmup = work_of(checked, STAGE_WARMUP);
    int64_t width = step.width < 1 ? 1 : step.width < BRANCHES ? step.width : BRANCHES;
    int64_t mean =
        checked->dataset.tokens / (checked->dataset.usable > 0 ? checked->dataset.usable : 1);
    int64_t trunk = mean < ROWS ? mean : ROWS;
    Costs costs = measure(checked, trunk, width);
    double wider = step.width > width ? (double)step.width / (double)width : 1;
    bool reference = checked_reference(checked) != REFERENCE_NONE;
    ProbeTimes times = {
        .update = step.rows * (costs.forward * (reference ? 2 : 1) + costs.backward) +
                  step.scored_rows * costs.vocabulary * (reference ? 1.4 : 1),
        .warmup =
            warmup.rows * (costs.forward + costs.backward) + warmup.scored_rows * costs.vocabulary,
    };
    if (main_stage->samples)
        times.sampling = step.trunk_rows * costs.prefill + step.passes * wider * costs.decode;
    times.took = clock_now() - since;
    return times;
}

void probe_print(const Checked *checked, const ProbeTimes *times, Bytes *out)
{
    const StagePlan *warmup = &checked->stages[STAGE_WARMUP], *plan = &checked->stages[STAGE_MAIN];
    double step = times->sampling + times->update;
    bytes_print(out,
                "time       about %.3g s a step on one rank of %d threads of this machine (%s): "
                "sampling %.3g, update %.3g",
                step, omp_get_max_threads(), kernels_cpu()->name, times->sampling, times->update);
    if (warmup->steps > 0)
        bytes_print(out, "; a warm-up step %.3g", times->warmup);
    bytes_append_text(out, "\n           all steps ");
    wall_time_print(step * (double)plan->steps + times->warmup * (double)warmup->steps, out);
    bytes_print(out,
                ", less by the number of ranks that have cores of their own, and by shorter "
                "responses; probed in %.1f s\n",
                times->took);
}
