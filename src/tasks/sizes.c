#include "tasks/sizes.h"

#include "tasks/state.h"

enum {
    SLOTS_LIMIT = 32768,  // cached positions an engine, where the settings leave it open
    MPI_BYTES = 24 << 20, // Open MPI 4.1 on one node, its shared segments among them
};

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

// The caches hold an engine's share of the largest step with some slack, but no more than the
// limit, and always one trunk with one branch.
JobSizes sizes_of(const Job *job, StagePlan *stages, const Evaluation *evaluation, int engines)
{
    const Settings *settings = job->settings;
    JobSizes sizes = {0};
    if (job->served)
        return sizes;
    int64_t slots = 0;
    if (stages) {
        int64_t capacity = react_capacity(job->react, settings->rollout.max_response_tokens);
        sizes.positions = stages[STAGE_MAIN].schedule.dataset->longest + capacity;
        slots = slots_of_steps(stages, settings, capacity);
    }
    if (evaluation) {
        int64_t positions = evaluation_positions(evaluation, job);
        int64_t more = evaluation_slots(evaluation, job);
        sizes.positions = positions > sizes.positions ? positions : sizes.positions;
        slots = more > slots ? more : slots;
    }
    int64_t limit =
        settings->rollout.cache_tokens > 0 ? settings->rollout.cache_tokens : SLOTS_LIMIT;
    int64_t share = slots / engines + slots / (4 * engines);
    int64_t least = 2 * slots_aligned(sizes.positions) + 4 * SLOT_ALIGNMENT;
    sizes.slots = share < limit ? share : limit;
    sizes.slots = slots_aligned(sizes.slots > least ? sizes.slots : least);
    return sizes;
}

static void add(MemoryParts *parts, const char *name, size_t bytes)
{
    if (bytes == 0)
        return;
    parts->names[parts->count] = name;
    parts->bytes[parts->count++] = bytes;
    parts->total += bytes;
}

// Both return the bytes that are made only after an adapter's base was read.
static size_t add_rollout(MemoryParts *parts, const Model *model, const TensorSlice *slice,
                          const MemoryQuestion *question)
{
    int64_t rows = question->settings->parallel.micro_batch_tokens;
    bool adapted = model->adapter;
    Model part = model_cut(model, slice);
    add(parts, adapted ? "packed base weights" : "packed policy weights",
        weights_slice_bytes(model->parameters, slice, model->kernels, model->type));
    if (adapted)
        add(parts, "packed adapter",
            weights_slice_bytes(model->adapter, slice, model->kernels, TYPE_F32));
    size_t before = parts->total;
    add(parts, "engine: caches and activations",
        engine_bytes(&part, ENGINE_ROWS, question->sizes.slots));
    add(parts, "scorer: activations",
        workspace_bytes(&part, WORKSPACE_SCORE, rows, plan_slots(rows)));
    return parts->total - before;
}

static size_t add_learner(MemoryParts *parts, const Model *model, const MemoryQuestion *question)
{
    const Settings *settings = question->settings;
    bool lags = settings->train.sync_interval > 1;
    bool gathers = !question->rollout || settings->rollout.tensor_parallel > 1 || lags;
    const Parameters *trained = model->adapter ? model->adapter : model->parameters;
    LearnerMemory memory = learner_bytes(
        model, (LearnerNeeds){.ranks = question->learners,
                              .micro_batch_tokens = settings->parallel.micro_batch_tokens,
                              .gathers = gathers,
                              .recompute = settings->parallel.recompute,
                              .keeps_units = !settings->parallel.reshard_after_forward,
                              .reference = question->reference,
                              .moments = job_moments_type(settings)});
    size_t before = parts->total;
    add(parts, "masters", memory.masters);
    add(parts, "moments", memory.moments);
    add(parts, "gradients", memory.gradients);
    add(parts, "learner: activations", memory.activations);
    add(parts, "gathered units", memory.windows);
    add(parts, "reference", memory.reference);
    size_t later = parts->total - before;
    add(parts, "base of the adapter", memory.base);
    size_t published = lags ? type_bytes(model_trained_type(model)) : 0;
    size_t snapshot = state_snapshot_bytes(trained, job_moments_type(settings), published);
    add(parts, "published weights", (size_t)trained->local * published);
    add(parts, "copy for checkpoints", snapshot);
    return later + snapshot;
}

MemoryParts sizes_memory(const MemoryQuestion *question)
{
    Parameters parameters, adapter = {0};
    bool adapted = question->adapter->rank > 0;
    // Of a node only the start knows how many ranks it has: all, then.
    int64_t together = settings_shard_group(question->settings);
    int sharing =
        together > 0 && together < question->learners ? (int)together : question->learners;
    parameters_make(&parameters, question->shape, 0, sharing);
    if (adapted)
        parameters_make_adapter(&adapter, question->shape, question->adapter, 0, sharing);
    Model model = {.parameters = &parameters,
                   .adapter = adapted ? &adapter : NULL,
                   .shape = &parameters.shape,
                   .kernels = kernels_cpu(),
                   .type = job_element_type(question->settings),
                   .positions = question->sizes.positions};
    const Group team = {.size = (int)question->settings->rollout.tensor_parallel};
    TensorSlice slice = tensor_slice_of(question->shape, &team, &collective_mpi);
    int64_t largest = adapter.largest > parameters.largest ? adapter.largest : parameters.largest;
    size_t later = 0, shards = (size_t)parameters.local * sizeof(float);
    MemoryParts parts = {0};
    add(&parts, "program, text and data", question->loaded);
    add(&parts, "MPI", MPI_BYTES);
    bool alone = question->rollout && question->learner && question->learners == 1;
    if (!alone)
        add(&parts, "one unit in fp32, once a node", (size_t)largest * sizeof(float));
    if (question->rollout)
        later += add_rollout(&parts, &model, &slice, question);
    if (question->learner)
        later += add_learner(&parts, &model, question);
    // An adapter's base is read as fp32 shards that are gone before the rest is made.
    if (adapted && question->learner)
        add(&parts, "base while it is read", shards > later ? shards - later : 0);
    if (question->grader)
        add(&parts, "judge: weights, caches, activations",
            grading_bytes(question->grading, model.kernels));
    parameters_free(&adapter);
    parameters_free(&parameters);
    return parts;
}
