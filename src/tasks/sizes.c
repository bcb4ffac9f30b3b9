#include "tasks/sizes.h"

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

MemoryParts sizes_memory(const MemoryQuestion *question)
{
    const Settings *settings = question->settings;
    Parameters parameters;
    parameters_make(&parameters, question->shape, 0, question->learners);
    Model model = {.parameters = &parameters,
                   .shape = &parameters.shape,
                   .kernels = kernels_cpu(),
                   .type = job_element_type(settings),
                   .positions = question->sizes.positions};
    const Group team = {.size = (int)settings->rollout.tensor_parallel};
    TensorSlice slice = tensor_slice_of(question->shape, &team, &collective_mpi);
    Model part = model_cut(&model, &slice);
    int64_t rows = settings->parallel.micro_batch_tokens;
    MemoryParts parts = {0};
    add(&parts, "program, text and data", question->loaded);
    add(&parts, "MPI", MPI_BYTES);
    add(&parts, "one unit in fp32", (size_t)parameters.largest * sizeof(float));
    if (question->rollout) {
        add(&parts, "packed policy weights",
            weights_slice_bytes(&parameters, &slice, model.kernels, model.type));
        add(&parts, "engine: caches and activations",
            engine_bytes(&part, ENGINE_ROWS, question->sizes.slots));
        add(&parts, "scorer: activations",
            workspace_bytes(&part, WORKSPACE_SCORE, rows, plan_slots(rows)));
    }
    if (question->learner) {
        bool gathers = !question->rollout || team.size > 1 || settings->train.sync_interval > 1;
        LearnerMemory memory =
            learner_bytes(&model, question->learners, rows, gathers, question->reference);
        add(&parts, "masters, moments, gradients", memory.state);
        add(&parts, "learner: activations", memory.activations);
        add(&parts, "gathered units and reference", memory.windows);
        if (settings->train.sync_interval > 1)
            add(&parts, "published weights", (size_t)parameters.local * sizeof(float));
    }
    if (question->grader)
        add(&parts, "judge: weights, caches, activations",
            grading_bytes(question->grading, model.kernels));
    parameters_free(&parameters);
    return parts;
}
