#include "base/fail.h"
#include "kernels/host_view.h"
#include "tasks/job.h"
#include "tasks/state.h"

static bool has_adapter(const Job *job)
{
    return job->stored.shape.rank > 0;
}

// This rank's shards of the model itself. Collective over the learner group.
static int load_model(Job *job, float *values)
{
    const Group *group = &job->world.group[ROLE_LEARNER];
    bool based = has_adapter(job);
    const char *checkpoint = based ? job->base_checkpoint : job->checkpoint;
    const char *directory = based ? job->base_directory : job->directory;
    if (checkpoint)
        return state_load_weights(group, checkpoint, &job->parameters, values);
    int status = 0;
    if (job->settings->model.random)
        parameters_randomise(&job->parameters, (uint64_t)job->settings->run.seed, values);
    else
        status = parameters_load(&job->parameters, directory, values);
    return group_agree(group, status);
}

// This rank's shards of the adapter: as [model] has it, or as one begins. Collective over the
// learner group.
static int load_adapter(Job *job, float *values)
{
    const Group *group = &job->world.group[ROLE_LEARNER];
    if (job->begins_adapter) {
        parameters_start_adapter(&job->adapter, (uint64_t)job->settings->run.seed, values);
        return 0;
    }
    if (job->peft)
        return group_agree(group, peft_adapter_load(job->peft, &job->adapter, values));
    return state_load_weights(group, job->checkpoint, &job->adapter, values);
}

int job_load_weights(Job *job, float *values)
{
    const Kernels *kernels = job->backend.kernels;
    size_t bytes = (size_t)job->trained->local * sizeof *values;
    float *view = host_view_open(kernels, values, bytes);
    int status = has_adapter(job) ? load_adapter(job, view) : load_model(job, view);
    host_view_close(kernels, view, values, bytes);
    return status;
}

// The same number on every rank.
static int know_base(Job *job, uint64_t checksum)
{
    if (job->stored.checksum != 0 && job->stored.checksum != checksum)
        return fail(EXIT_BAD_DATA,
                    "%s: its adapter was trained beside other weights than %s holds now (checksum "
                    "%016llx, not %016llx)",
                    job->checkpoint, job->stored.base, (unsigned long long)checksum,
                    (unsigned long long)job->stored.checksum);
    job->stored.checksum = checksum;
    return 0;
}

// This rank's shards of the base in the type that they are read in.
static void keep_base(Job *job, const float *values)
{
    int64_t count = job->parameters.local;
    ElementType type = job->model.type;
    job->base_shards = job->backend.kernels->memory_make((size_t)count * type_bytes(type));
    job->backend.kernels->convert(NULL, job->base_shards, type, elements_f32(values), count);
}

// Publishes the frozen weights once: packed where there is room for them, else each learner rank
// keeps its shards.
static int load_base(Job *job)
{
    const Kernels *kernels = job->backend.kernels;
    size_t bytes = (size_t)job->parameters.local * sizeof(float);
    float *values = kernels->memory_make(bytes), *view = host_view_open(kernels, values, bytes);
    bool learner = job->world.has[ROLE_LEARNER];
    int status = group_agree(&job->world.all, learner ? load_model(job, view) : 0);
    host_view_close(kernels, view, values, bytes);
    if (status == 0) {
        exchange_weights(job->backend.collective, job->publication, &job->parameters,
                         elements_f32(values), job->model.type, job->base);
        status = know_base(job, exchange_tensor_checksum(&job->backend, job->publication,
                                                         &job->parameters, values));
    }
    if (learner && !job_whole_base(job))
        keep_base(job, values);
    kernels->memory_free(values);
    return status;
}

static void make_parameters(Job *job)
{
    const World *world = &job->world;
    int rank = world->has[ROLE_LEARNER] ? job->shards.inside.rank : 0, shards = job->shard_count;
    parameters_make(&job->parameters, &job->shape, rank, shards);
    job->trained = &job->parameters;
    int64_t largest = job->parameters.largest;
    if (has_adapter(job)) {
        parameters_make_adapter(&job->adapter, &job->shape, &job->stored.shape, rank, shards);
        job->trained = &job->adapter;
        largest = job->adapter.largest > largest ? job->adapter.largest : largest;
    }
    job->publication =
        job->backend.collective->publication_make(world, job->backend.kernels, shards, largest, 0);
}

static Weights *make_slice(const Job *job, const Parameters *parameters, ElementType type)
{
    return weights_make_slice(parameters, &job->slice, job->backend.kernels, type);
}

// Of ranks that roll out: what their engine reads, and what is published to it.
static void make_weights(Job *job)
{
    job->published = job->weights = make_slice(job, &job->parameters, job->model.type);
    if (!has_adapter(job))
        return;
    job->base = job->weights;
    job->published = make_slice(job, &job->adapter, TYPE_F32);
    job->weights = weights_make_adapted(job->base, job->published);
}

int job_build_model(Job *job, JobSizes sizes)
{
    const World *world = &job->world;
    bool rollout = world->has[ROLE_ROLLOUT];
    make_parameters(job);
    model_make(&job->model, &job->parameters, has_adapter(job) ? &job->adapter : NULL,
               job->backend.kernels, job_element_type(job->settings), sizes.positions);
    if (rollout) {
        job->slice = tensor_slice_of(&job->shape, &job->team.inside, job->backend.collective);
        job->part = model_cut(&job->model, &job->slice);
        make_weights(job);
    } else if (has_adapter(job) && learner_packs_base(world->count[ROLE_LEARNER])) {
        job->base = weights_make(&job->parameters, job->backend.kernels, job->model.type, true);
    }
    if (has_adapter(job) && load_base(job) != 0)
        return -1;
    if (!rollout)
        return 0;
    engine_make(&job->engine, &job->part, job->weights, ENGINE_ROWS, sizes.slots);
    // Every rank of an engine scores the same.
    scorer_make(&job->scorer, &job->part, job->weights, &job->team.across,
                job->settings->parallel.micro_batch_tokens);
    return 0;
}

int64_t job_trained_elements(const Job *job)
{
    Parameters adapter;
    if (!has_adapter(job))
        return shape_parameters(&job->shape);
    parameters_make_adapter(&adapter, &job->shape, &job->stored.shape, 0, 1);
    int64_t elements = parameters_elements(&adapter);
    parameters_free(&adapter);
    return elements;
}

void job_describe_adapter(const Job *job, Bytes *out)
{
    const AdapterShape *shape = &job->stored.shape;
    double elements = (double)job_trained_elements(job);
    bytes_print(out, "rank %lld, alpha %g, %.2f M parameters (%.2g %% of the model's): ",
                (long long)shape->rank, shape->alpha, elements / 1e6,
                100 * elements / (double)shape_parameters(&job->shape));
    adapter_print_targets(shape, out);
    if (job->begins_adapter)
        bytes_append_text(out, "; a new one");
    else
        bytes_print(out, "; that of %s", job->peft ? job->peft : job->checkpoint);
}

void job_publish(Job *job, Elements shards)
{
    exchange_weights(job->backend.collective, job->publication, job->trained, shards,
                     model_trained_type(&job->model), job->published);
}

int job_load_engine(Job *job, uint64_t *checksum)
{
    const Parameters *trained = job->trained;
    float *values = job->backend.kernels->memory_make((size_t)trained->local * sizeof *values);
    int status = job->world.has[ROLE_LEARNER] ? job_load_weights(job, values) : 0;
    status = group_agree(&job->world.all, status);
    if (status == 0)
        job_publish(job, elements_f32(values));
    if (status == 0 && checksum)
        *checksum = job->stored.checksum ^
                    exchange_checksum(&job->backend, job->publication, trained, values);
    job->backend.kernels->memory_free(values);
    return status;
}

void job_free_weights(Job *job)
{
    weights_free(job->weights);
    if (has_adapter(job)) {
        weights_free(job->base);
        weights_free(job->published);
    }
    if (job->base_shards)
        job->backend.kernels->memory_free(job->base_shards);
}
