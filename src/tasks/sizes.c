#include "tasks/sizes.h"

#include "base/fail.h"
#include "tasks/state.h"

enum {
    SLOTS_LIMIT = 32768,  // cached positions an engine, where the settings leave it open
    MPI_BYTES = 24 << 20, // Open MPI 4.1 on one node, its shared segments among them
    // Windows of block_walk's two threads, no more than the file. HDF5's memory is gone by then.
    READ_BACK_BYTES = 16 << 20,
};

// Allowances for what is not ours: the context with its code, gaps between blocks; communicators.
static const size_t CUDA_BYTES = (size_t)1 << 30, NCCL_BYTES = (size_t)1 << 30;

static int64_t slots_of_steps(StagePlan *stages, const Settings *settings, int64_t capacity)
{
    SessionSchedule *schedule = &stages[STAGE_MAIN].schedule;
    int64_t largest = 0;
    for (int64_t step = 0; step < schedule->steps_per_epoch; step++) {
        schedule_step(schedule, step);
        int64_t slots = rollout_slots(schedule->dataset, schedule->parts, schedule->part_count,
                                      (int32_t)settings->rollout.group_size, (int32_t)capacity);
        largest = slots > largest ? slots : largest;
    }
    return largest;
}

JobSizes sizes_demand(const Job *job, StagePlan *stages, const Evaluation *evaluation)
{
    JobSizes sizes = {0};
    if (job->served)
        return sizes;
    if (stages) {
        int64_t capacity = react_capacity(job->react, job->settings->rollout.max_response_tokens);
        sizes.positions = stages[STAGE_MAIN].schedule.dataset->longest + capacity;
        sizes.slots = slots_of_steps(stages, job->settings, capacity);
    }
    if (evaluation) {
        int64_t positions = evaluation_positions(evaluation, job);
        int64_t slots = evaluation_slots(evaluation, job);
        sizes.positions = positions > sizes.positions ? positions : sizes.positions;
        sizes.slots = slots > sizes.slots ? slots : sizes.slots;
    }
    return sizes;
}

// One trunk with one branch.
static int64_t least_slots(int64_t positions)
{
    return 2 * slots_aligned(positions) + 4 * SLOT_ALIGNMENT;
}

JobSizes sizes_share(const Settings *settings, JobSizes demand, int engines)
{
    JobSizes sizes = {.positions = demand.positions};
    if (demand.positions == 0)
        return sizes;
    int64_t limit =
        settings->rollout.cache_tokens > 0 ? settings->rollout.cache_tokens : SLOTS_LIMIT;
    int64_t share = demand.slots / engines + demand.slots / (4 * engines);
    int64_t least = least_slots(sizes.positions);
    sizes.slots = share < limit ? share : limit;
    sizes.slots = slots_aligned(sizes.slots > least ? sizes.slots : least);
    return sizes;
}

JobSizes sizes_of(const Job *job, StagePlan *stages, const Evaluation *evaluation, int engines)
{
    return sizes_share(job->settings, sizes_demand(job, stages, evaluation), engines);
}

int sizes_kinds(const Settings *settings, int ranks, RankKind kinds[RANK_KINDS])
{
    int rollouts = (int)settings->parallel.rollout_ranks;
    int graders = (int)settings->parallel.grader_ranks;
    int learners = (int)settings->parallel.learner_ranks;
    int together = (int)settings->rollout.tensor_parallel, count = 0;
    bool shared = settings->parallel.placement == PLACEMENT_SHARED;
    RankKind job = {.all = ranks,
                    .engines = (shared ? ranks : rollouts) / together,
                    .learners = shared ? ranks : learners};
    for (int i = 0; i < RANK_KINDS; i++)
        kinds[i] = job;
    if (shared) {
        kinds[0].name = "shared", kinds[0].ranks = ranks;
        kinds[0].rollout = kinds[0].grader = kinds[0].learner = true;
        return 1;
    }
    kinds[count].name = "rollout", kinds[count].ranks = rollouts;
    kinds[count].rollout = true, kinds[count++].grader = graders == 0;
    if (graders > 0) {
        kinds[count].name = "grader", kinds[count].ranks = graders;
        kinds[count++].grader = true;
    }
    kinds[count].name = "learner", kinds[count].ranks = learners;
    kinds[count++].learner = true;
    return count;
}

const char *const sizes_part_names[PART_COUNT] = {
    [PART_PROGRAM] = "program, text and data",
    [PART_MPI] = "MPI",
    [PART_SNAPSHOT] = "copy for checkpoints",
    [PART_UNIT] = "one unit in fp32, once a node",
    [PART_WEIGHTS] = "packed weights",
    [PART_ADAPTER] = "packed adapter",
    [PART_CACHES] = "cached keys and values",
    [PART_ENGINE] = "engine: activations",
    [PART_SCORER] = "scorer: activations",
    [PART_MASTERS] = "masters",
    [PART_MOMENTS] = "moments",
    [PART_GRADIENTS] = "gradients",
    [PART_ACTIVATIONS] = "learner: activations",
    [PART_WINDOWS] = "gathered units",
    [PART_REFERENCE] = "reference",
    [PART_BASE] = "base of the adapter",
    [PART_PUBLISHED] = "published weights",
    [PART_READING] = "base while it is read",
    [PART_JUDGE] = "judge: weights, caches, activations",
    [PART_SCRATCH] = "working memory of kernels",
    [PART_DRIVER] = "CUDA and NCCL, about",
};

// A memory question, and what its answer is made of.
typedef struct {
    const MemoryQuestion *question; // borrowed
    Model model;                    // sizes only: borrows the parameters
    TensorSlice slice;
    MemoryParts parts;
} Sizing;

// Whether a part lies in the host's memory beside a GPU.
static bool lies_on_host(const MemoryQuestion *question, MemoryPart part)
{
    bool state = part == PART_MASTERS || part == PART_MOMENTS;
    return question->gpu &&
           (part <= PART_SNAPSHOT || (state && job_optimizer_form(question->settings).host));
}

static void add(Sizing *sizing, MemoryPart part, size_t bytes)
{
    MemoryParts *parts = &sizing->parts;
    parts->on_host[part] = lies_on_host(sizing->question, part);
    parts->bytes[part] += bytes;
    *(parts->on_host[part] ? &parts->host : &parts->total) += bytes;
}

static int64_t micro_batch(const Sizing *sizing)
{
    return sizing->question->settings->parallel.micro_batch_tokens;
}

static void add_rollout(Sizing *sizing)
{
    const Model *model = &sizing->model;
    const TensorSlice *slice = &sizing->slice;
    int64_t rows = micro_batch(sizing), slots = sizing->question->sizes.slots;
    Model part = model_cut(model, slice);
    add(sizing, PART_WEIGHTS,
        weights_slice_bytes(model->parameters, slice, model->kernels, model->type));
    if (model->adapter)
        add(sizing, PART_ADAPTER,
            weights_slice_bytes(model->adapter, slice, model->kernels, TYPE_F32));
    add(sizing, PART_CACHES, engine_cache_bytes(&part, slots));
    add(sizing, PART_ENGINE, workspace_bytes(&part, WORKSPACE_DECODE, ENGINE_ROWS, 0));
    add(sizing, PART_SCORER, workspace_bytes(&part, WORKSPACE_SCORE, rows, plan_slots(rows)));
}

static void add_learner(Sizing *sizing)
{
    const MemoryQuestion *question = sizing->question;
    const Settings *settings = question->settings;
    const Model *model = &sizing->model;
    bool lags = settings->train.sync_interval > 1;
    const Parameters *trained = model->adapter ? model->adapter : model->parameters;
    LearnerMemory memory = learner_bytes(
        model, (LearnerNeeds){.ranks = question->kind.learners,
                              .micro_batch_tokens = micro_batch(sizing),
                              .gathers = !question->kind.rollout ||
                                         settings->rollout.tensor_parallel > 1 || lags,
                              .recompute = settings->parallel.recompute,
                              .keeps_units = !settings->parallel.reshard_after_forward,
                              .reference = question->reference,
                              .moments = job_optimizer_form(settings).moments});
    add(sizing, PART_MASTERS, memory.masters);
    add(sizing, PART_MOMENTS, memory.moments);
    add(sizing, PART_GRADIENTS, memory.gradients);
    add(sizing, PART_ACTIVATIONS, memory.activations);
    add(sizing, PART_WINDOWS, memory.windows);
    add(sizing, PART_REFERENCE, memory.reference);
    add(sizing, PART_BASE, memory.base);
    size_t published = lags ? type_bytes(model_trained_type(model)) : 0;
    add(sizing, PART_PUBLISHED, (size_t)trained->local * published);
    size_t snapshot =
        state_snapshot_bytes(trained, job_optimizer_form(settings).moments, published);
    size_t file = snapshot * (size_t)trained->shards;
    add(sizing, PART_SNAPSHOT, snapshot + (file < READ_BACK_BYTES ? file : READ_BACK_BYTES));
}

// An adapter's base is read as fp32 shards that are gone before engine, scorer and learner are
// made: only what exceeds these counts.
static void add_reading(Sizing *sizing)
{
    static const MemoryPart later[] = {
        PART_SNAPSHOT, PART_CACHES,    PART_ENGINE,      PART_SCORER,  PART_MASTERS,
        PART_MOMENTS,  PART_GRADIENTS, PART_ACTIVATIONS, PART_WINDOWS, PART_REFERENCE};
    size_t shards = (size_t)sizing->model.parameters->local * sizeof(float), made = 0;
    if (!sizing->model.adapter || !sizing->question->kind.learner)
        return;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        made += sizing->parts.bytes[later[i]];
    add(sizing, PART_READING, shards > made ? shards - made : 0);
}

// What the host takes, and the unit in which weights are published: on a GPU each rank has one.
static void add_surroundings(Sizing *sizing)
{
    const MemoryQuestion *question = sizing->question;
    const Model *model = &sizing->model;
    int64_t largest = model->parameters->largest;
    if (model->adapter && model->adapter->largest > largest)
        largest = model->adapter->largest;
    bool alone = question->gpu ? question->kind.all == 1
                               : question->kind.rollout && question->kind.learner &&
                                     question->kind.learners == 1;
    add(sizing, PART_PROGRAM, question->loaded);
    add(sizing, PART_MPI, MPI_BYTES);
    if (!alone)
        add(sizing, PART_UNIT, (size_t)largest * sizeof(float));
}

// Attention is cut into parts for branches of few rows: of responses as long as allowed, evenly
// spread from none, such a share is as short.
static int64_t short_rows(const Sizing *sizing, int64_t rows)
{
    enum { SHORT_ENTRIES = 32 }; // rows times the query heads of a key head
    const ModelShape *shape = sizing->model.shape;
    int64_t most = SHORT_ENTRIES / (shape->heads / shape->kv_heads);
    int64_t longest = sizing->question->settings->rollout.max_response_tokens;
    return most < longest ? rows * most / longest : rows;
}

static void add_gpu(Sizing *sizing)
{
    const MemoryQuestion *question = sizing->question;
    const ModelShape *shape = sizing->model.shape;
    int64_t rows = micro_batch(sizing), branches = short_rows(sizing, rows);
    CudaWork work = {.rows = rows,
                     .short_rows = branches > ENGINE_ROWS ? branches : ENGINE_ROWS,
                     .logit_rows = SCORED_CHUNK,
                     .positions = question->sizes.positions,
                     .width = shape->width,
                     .feed_forward = shape->feed_forward,
                     .vocabulary = shape->vocabulary,
                     .heads = shape->heads,
                     .head_width = shape->head_width,
                     .type = sizing->model.type,
                     .learns = question->kind.learner};
    add(sizing, PART_SCRATCH, kernels_cuda_scratch(&work));
    add(sizing, PART_DRIVER, CUDA_BYTES + (question->kind.all > 1 ? NCCL_BYTES : 0));
}

// The ranks of a group that share the parameters. Of a node only the start knows how many ranks it
// has: all, then.
static int sharing_ranks(const MemoryQuestion *question)
{
    int64_t together = settings_shard_group(question->settings);
    return together > 0 && together < question->kind.learners ? (int)together
                                                              : question->kind.learners;
}

MemoryParts sizes_memory(const MemoryQuestion *question)
{
    Parameters parameters, adapter = {0};
    bool adapted = question->adapter->rank > 0;
    int sharing = sharing_ranks(question);
    parameters_make(&parameters, question->shape, 0, sharing);
    if (adapted)
        parameters_make_adapter(&adapter, question->shape, question->adapter, 0, sharing);
    const Group team = {.size = (int)question->settings->rollout.tensor_parallel};
    Sizing sizing = {
        .question = question,
        .model = {.parameters = &parameters,
                  .adapter = adapted ? &adapter : NULL,
                  .shape = &parameters.shape,
                  .kernels = question->gpu ? kernels_cuda_sizes() : kernels_cpu(),
                  .type = job_element_type(question->settings),
                  .positions = question->sizes.positions},
        .slice = tensor_slice_of(question->shape, &team, &collective_mpi),
    };
    add_surroundings(&sizing);
    if (question->kind.rollout)
        add_rollout(&sizing);
    if (question->kind.learner)
        add_learner(&sizing);
    add_reading(&sizing);
    if (question->kind.grader && question->grading)
        add(&sizing, PART_JUDGE, grading_bytes(question->grading, sizing.model.kernels));
    if (question->gpu)
        add_gpu(&sizing);
    parameters_free(&adapter);
    parameters_free(&parameters);
    return sizing.parts;
}

// ---- the bound ----------------------------------------------------------------------------------

// The largest *size, `least` and some whole steps, up to what it is, with which `question`, that
// has it, needs no more than `bytes`; `least` where none does.
static void make_smaller(const MemoryQuestion *question, int64_t *size, int64_t least, int64_t step,
                         double bytes)
{
    int64_t low = 0, high = (*size - least) / step;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        *size = least + middle * step;
        if ((double)sizes_memory(question).total <= bytes)
            low = middle;
        else
            high = middle - 1;
    }
    *size = least + low * step;
}

int sizes_check(const MemoryQuestion *question)
{
    const double PROPOSED = 0.98; // of the bound: what is proposed should fit elsewhere, too
    double allowed = question->settings->parallel.memory;
    double needed = allowed > 0 ? 1e-9 * (double)sizes_memory(question).total : 0;
    double bytes = 1e9 * PROPOSED * allowed;
    if (needed <= allowed)
        return 0;
    Settings settings = *question->settings;
    MemoryQuestion tried = *question;
    tried.settings = &settings;
    int64_t *rows = &settings.parallel.micro_batch_tokens, *slots = &tried.sizes.slots;
    Bytes remedy = {0};
    if (*rows > tried.sizes.positions)
        make_smaller(&tried, rows, tried.sizes.positions, 1, bytes);
    bytes_print(&remedy, "set parallel.micro_batch_tokens = %lld", (long long)*rows);
    if ((double)sizes_memory(&tried).total > bytes) {
        make_smaller(&tried, slots, slots_aligned(least_slots(tried.sizes.positions)),
                     SLOT_ALIGNMENT, bytes);
        bytes_print(&remedy, " and rollout.cache_tokens = %lld", (long long)*slots);
    }
    if ((double)sizes_memory(&tried).total > bytes) {
        bytes_clear(&remedy);
        bytes_append_text(&remedy, "allow more, or take more ranks");
        if (question->kind.learner)
            bytes_append_text(&remedy, ", parallel.recompute = layer or optimizer.moments = bf16");
    }
    fail(EXIT_BAD_SETTINGS, "a %s rank needs %.3f GB, [parallel] memory allows %g: %s",
         question->kind.name, needed, allowed, remedy.data);
    bytes_free(&remedy);
    return -1;
}
