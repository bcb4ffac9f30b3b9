#include "tasks/training.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "files/atomic.h"
#include "kernels/host_view.h"
#include "parallel/watchdog.h"
#include "files/progress.h"

Stage training_stage(const Training *training, int64_t step)
{
    return step < training->stages[STAGE_WARMUP].steps ? STAGE_WARMUP : STAGE_MAIN;
}

int64_t training_stage_step(const Training *training)
{
    return training->state.step -
           (training->stage == STAGE_MAIN ? training->stages[STAGE_WARMUP].steps : 0);
}

static Reference reference_of(const Training *training)
{
    return stages_reference(training->stages, training->job.begins_adapter);
}

// Whether a copy that is the reference is kept with the run. A Hugging Face model that nothing was
// learned in lies where [model] says and is not written again; a run that was named there may have
// gone on when this one is taken up.
static bool keeps_reference(const Training *training)
{
    const Job *job = &training->job;
    return training->stages[STAGE_WARMUP].steps > 0 || job->checkpoint || job->peft;
}

static int freeze_reference(Training *training)
{
    training_follow_checkpoint(training, true); // the snapshot is needed
    learner_freeze_reference(&training->learner);
    if (!keeps_reference(training)) {
        training->owner.reference_checksum =
            state_checksum(&training->owner, training->learner.optimizer.master);
        return 0;
    }
    char *path = training_path(training, "reference.h5");
    int status = state_save_weights(
        &training->owner, path,
        (Elements){training->learner.reference_shards, model_trained_type(&training->job.model)});
    release(path);
    return status;
}

int training_enter_main(Training *training)
{
    if (!training->job.world.has[ROLE_LEARNER])
        return group_agree(&training->job.world.all, 0);
    Learner *learner = &training->learner;
    Reference reference = learner->reference ? REFERENCE_NONE : reference_of(training);
    int status = 0;
    if (training->stages[STAGE_WARMUP].steps > 0)
        optimizer_restart(&learner->optimizer, training->job.trained,
                          training->job.backend.kernels);
    if (reference == REFERENCE_BASE)
        learner_refer_to_base(learner);
    if (reference == REFERENCE_COPY)
        status = freeze_reference(training);
    return group_agree(&training->job.world.all, status);
}

// The copy that is kept with the run, into fresh device memory. Collective over the learners.
static int load_reference(const Training *training, float *shards, size_t bytes)
{
    const Kernels *kernels = training->job.backend.kernels;
    float *view = host_view_open(kernels, shards, bytes);
    char *path = training_path(training, "reference.h5");
    int status = state_load_weights(&training->learner.group, path, training->job.trained, view);
    host_view_close(kernels, view, shards, bytes);
    release(path);
    return status;
}

// What [model] names, if that is what it was. Collective over the learners.
static int reload_reference(Training *training, float *shards)
{
    StateOwner *owner = &training->owner;
    if (job_load_weights(&training->job, shards) != 0)
        return -1;
    char before[STATE_CHECKSUM_BYTES], now[STATE_CHECKSUM_BYTES];
    uint64_t checksum = state_checksum(owner, shards);
    state_print_checksum(owner->reference_checksum, before);
    state_print_checksum(checksum, now);
    if (owner->reference_checksum != 0 && owner->reference_checksum != checksum)
        return fail(EXIT_BAD_DATA,
                    "%s, the reference of the run, holds other weights than when the run began "
                    "(checksum %s, not %s): put those back, or begin another run with model.path = "
                    "%s",
                    training->settings->model.path, now, before, training->settings->run.directory);
    owner->reference_checksum = checksum;
    return 0;
}

// After a restart inside the main stage: the reference as it was.
static int restore_reference(Training *training)
{
    Learner *learner = &training->learner;
    Reference reference = reference_of(training);
    if (training->state.step <= training->stages[STAGE_WARMUP].steps)
        return 0;
    if (reference == REFERENCE_BASE)
        learner_refer_to_base(learner);
    if (reference != REFERENCE_COPY)
        return 0;
    const Parameters *trained = training->job.trained;
    const Kernels *kernels = training->job.backend.kernels;
    size_t bytes = (size_t)trained->local * sizeof(float);
    float *shards = kernels->memory_make(bytes);
    int status = keeps_reference(training) ? load_reference(training, shards, bytes)
                                           : reload_reference(training, shards);
    if (status == 0)
        learner_set_reference(learner, shards);
    kernels->memory_free(shards);
    return status;
}

static int open_data(Training *training)
{
    const Settings *settings = training->settings;
    DatasetOptions options = {.path = settings->data.train,
                              .system_prompt = settings->data.system_prompt,
                              .tools = react_declarations(training->job.react),
                              .skip_bad = settings->data.skip_bad,
                              .max_prompt_tokens = settings->data.max_prompt_tokens};
    if (dataset_open(&training->dataset, training->job.chat, options) != 0)
        return -1;
    training->judge = rule_judge_make(&training->dataset.set);
    training->evaluates = settings->evaluate.file[0] != 0;
    if (training->evaluates && evaluation_open(&training->evaluation, &training->job) != 0)
        return -1;
    stages_make(training->stages, &training->dataset, settings);
    if (stages_check(training->stages, &training->dataset, settings->data.train) != 0)
        return -1;
    training->total_steps =
        training->stages[STAGE_WARMUP].steps + training->stages[STAGE_MAIN].steps;
    pipeline_make(&training->pipeline, settings->train.staleness, settings->train.sync_interval);
    return 0;
}

// The steps that were sampled ahead, unless the run takes another course.
static int load_pipeline(Training *training, Checkpoint *checkpoint)
{
    Bytes bytes = {0};
    while (training->pipeline.count > 0) // what a damaged checkpoint left
        pipeline_drop_newest(&training->pipeline);
    int64_t first = training->state.step - training->stages[STAGE_WARMUP].steps, count;
    int status = state_sampled_count(checkpoint, &count);
    training->pipeline.first = first > 0 ? first : 0;
    if (drift_changes_course(&training->drift))
        return status;
    for (int64_t i = 0; status == 0 && i < count && i <= training->pipeline.staleness; i++) {
        status = state_load_sampled(checkpoint, i, &bytes);
        if (status == 0)
            pipeline_read(&training->pipeline, bytes.data, bytes.length);
    }
    bytes_free(&bytes);
    return status;
}

static int take_state(void *context, Checkpoint *checkpoint)
{
    Training *training = context;
    if (drift_check(&training->drift, &training->owner, training->settings, checkpoint) != 0 ||
        state_load(&training->owner, checkpoint, &training->state) != 0)
        return -1;
    return load_pipeline(training, checkpoint);
}

// The first weights, or the state of the newest checkpoint that is whole. Collective over the
// learners.
static int load_state(Training *training)
{
    int64_t step;
    training->state = (RunState){.best = -INFINITY, .evaluated = -1};
    if (run_directory_resume(training->run, take_state, training, &step) != 0)
        return -1;
    return step < 0 ? job_load_weights(&training->job, training->learner.optimizer.master)
                    : restore_reference(training);
}

static int write_settings(Training *training)
{
    if (training->learner.group.rank != 0)
        return 0;
    char *path = training_path(training, "run.ini");
    int status =
        atomic_write_file(path, training->owner.settings, strlen(training->owner.settings));
    release(path);
    return status;
}

static int open_learner(Training *training)
{
    Job *job = &training->job;
    if (!job->world.has[ROLE_LEARNER])
        return 0;
    const Group *group = &job->world.group[ROLE_LEARNER];
    learner_make(&training->learner, &job->model, group, job->backend.collective,
                 (LearnerLayout){
                     .micro_batch_tokens = training->settings->parallel.micro_batch_tokens,
                     // An engine's weights are the learner's where they never lag.
                     .resident = training->pipeline.interval == 1 ? job_whole_weights(job) : NULL,
                     .ranks = &job->shards,
                     .recompute = training->settings->parallel.recompute,
                     .optimizer = job_optimizer_form(training->settings),
                     .keeps_units = !training->settings->parallel.reshard_after_forward,
                     .base = job_whole_base(job),
                     .base_shards = job->base_shards});
    int status = state_owner_make(&training->owner, job->directory);
    training->owner.group = group;
    training->owner.kernels = job->backend.kernels;
    training->owner.writes = job->shards.across.rank == 0;
    training->owner.parameters = job->trained;
    training->owner.adapter = &job->stored;
    training->owner.optimizer = &training->learner.optimizer;
    training->owner.data_checksum = dataset_checksum(&training->dataset);
    if (training->pipeline.interval > 1) {
        training->owner.published_type = model_trained_type(&job->model);
        training->owner.published = job->backend.kernels->memory_make(
            (size_t)job->trained->local * type_bytes(training->owner.published_type));
    }
    state_owner_make_snapshot(&training->owner);
    Bytes settings = {0};
    settings_print(training->settings, &settings);
    training->owner.settings = settings.data;
    if (group_agree(group, status) != 0)
        return -1;
    char *copy = training_path(training, "model");
    status = state_copy_files(&training->owner, copy);
    release(copy);
    if (status == 0)
        status = group_agree(group, write_settings(training));
    return status == 0 ? load_state(training) : -1;
}

// Bytes of a checkpoint: what each of the ranks that share the parameters has of it.
static int64_t checkpoint_size(const Training *training)
{
    const StateOwner *owner = &training->owner;
    size_t published = owner->published ? type_bytes(owner->published_type) : 0;
    size_t mine =
        state_snapshot_bytes(owner->parameters, owner->optimizer->moments.type, published);
    return (int64_t)mine * training->job.shard_count;
}

// The speaking rank's log and journal, cut back to what the checkpoint knew.
static int open_record(Training *training)
{
    const char *directory = training->settings->run.directory;
    if (!world_speaks(&training->job.world))
        return 0;
    training->starts = progress_begin(directory, training->state.step, training->total_steps);
    if (training->starts < 0 ||
        record_open(&training->record, training->settings, training->state.step) != 0)
        return -1;
    requests_open(&training->requests, training->settings, training->started,
                  checkpoint_size(training));
    if (training->state.step == 0 && training->record.metrics->bytes == 0)
        return 0;
    if (journal_cut(training->record.metrics, training->state.journal_bytes) != 0)
        return -1;
    return journal_cut(training->record.samples, training->state.samples_bytes);
}

static void say_wall_time(const Training *training)
{
    const WallTime *wall_time = &training->requests.wall_time;
    Bytes left = {0};
    if (!training->record.directory || isinf(wall_time->end))
        return;
    wall_time_print(wall_time->end - clock_now(), &left);
    record_say(&training->record, "wall time  %s left, by %s", left.data, wall_time->set_by);
    bytes_free(&left);
}

static void say_start(Training *training)
{
    const Record *record = &training->record;
    record_header(record, &training->job, &training->dataset);
    record_say(record,
               "stages     %lld warm-up steps of %lld contexts, %lld %s steps of %lld contexts",
               (long long)training->stages[STAGE_WARMUP].steps,
               (long long)training->stages[STAGE_WARMUP].schedule.batch_contexts,
               (long long)training->stages[STAGE_MAIN].steps,
               training->stages[STAGE_MAIN].step.algorithm->name,
               (long long)training->stages[STAGE_MAIN].schedule.batch_contexts);
    if (training->state.step > 0)
        record_say(record, "resumed    at step %lld of %lld", (long long)training->state.step,
                   (long long)training->total_steps);
    for (int i = 0; i < CHANGE_COUNT; i++)
        if (training->drift.changes[i].length > 0)
            record_say(record, "changed    %s", training->drift.changes[i].data);
    say_wall_time(training);
}

// What the learners found in the checkpoint, to the other ranks: they keep the same queue.
static void share_pipeline(Training *training)
{
    Pipeline *pipeline = &training->pipeline;
    const World *world = &training->job.world;
    int64_t place[] = {pipeline->first, pipeline->count};
    group_broadcast(&world->all, place, sizeof place, world->first[ROLE_LEARNER]);
    if (world->has[ROLE_LEARNER])
        return;
    pipeline->first = place[0];
    while (pipeline->count < place[1])
        pipeline_push(pipeline); // its trees are read by learners only
}

// The learners lock the run; the ranks note there what they wait for. Collective.
static int open_run(Training *training)
{
    const World *world = &training->job.world;
    const char *directory = training->settings->run.directory;
    int status = 0;
    if (world->has[ROLE_LEARNER]) {
        training->run = run_directory_open(&world->group[ROLE_LEARNER], directory);
        status = training->run ? 0 : -1;
    }
    if (group_agree(&world->all, status) != 0)
        return -1;
    char *ranks = training_path(training, "ranks");
    watchdog_open(&world->all, ranks);
    release(ranks);
    return 0;
}

// Whether this rank keeps to [parallel] memory. Collective.
static int check_memory(const Training *training, JobSizes sizes)
{
    const Job *job = &training->job;
    const Group *all = &job->world.all;
    RankKind kinds[RANK_KINDS];
    int kind = 0, rank = all->rank;
    sizes_kinds(training->settings, all->size, kinds);
    while (rank >= kinds[kind].ranks) // kinds stand in the order of ranks
        rank -= kinds[kind++].ranks;
    double loaded = (double)memory_peak() - (double)group_start_bytes();
    loaded = group_maximum(all, loaded > 0 ? loaded : 0);
    return sizes_check(&(MemoryQuestion){
        .shape = &job->shape,
        .adapter = &job->stored.shape,
        .settings = training->settings,
        .sizes = sizes,
        .kind = kinds[kind],
        .reference = reference_of(training) == REFERENCE_COPY,
        .grading = job->grading,
        .loaded = (size_t)loaded,
        .gpu = !job->backend.kernels->host_is_device,
    });
}

int training_open(Training *training, const Settings *settings)
{
    *training = (Training){.settings = settings, .started = clock_now()};
    Job *job = &training->job;
    requests_catch_signals();
    if (job_open(job, settings,
                 (JobOptions){.split = settings->parallel.placement == PLACEMENT_SPLIT,
                              .trains = true}) != 0)
        return -1;
    if (open_run(training) != 0)
        return -1;
    if (group_agree(&job->world.all, open_data(training)) != 0)
        return -1;
    JobSizes sizes =
        sizes_of(job, training->stages, training->evaluates ? &training->evaluation : NULL,
                 job_engines(job, job->world.count[ROLE_ROLLOUT]));
    if (group_agree(&job->world.all, check_memory(training, sizes)) != 0 ||
        group_agree(&job->world.all, job_build(job, sizes)) != 0)
        return -1;
    if (group_agree(&job->world.all, open_learner(training)) != 0)
        return -1;
    group_broadcast(&job->world.all, &training->state, sizeof training->state,
                    job->world.first[ROLE_LEARNER]);
    share_pipeline(training);
    if (group_agree(&job->world.all, open_record(training)) != 0)
        return -1;
    training->first_step = training->saved = training->state.step;
    say_start(training);
    if (training->owner.holds_published)
        training_publish_again(training);
    else
        training_publish(training);
    return 0;
}

void training_close(Training *training)
{
    record_close(&training->record);
    requests_close(&training->requests);
    metrics_free(&training->totals);
    failure_forget(&training->save_failure);
    drift_free(&training->drift);
    watchdog_close(&training->job.world.all);
    run_directory_close(training->run);
    learner_free(&training->learner);
    if (training->owner.published)
        training->job.backend.kernels->memory_free(training->owner.published);
    pipeline_free(&training->pipeline);
    state_owner_free(&training->owner);
    if (training->evaluates)
        evaluation_close(&training->evaluation);
    stages_free(training->stages);
    rule_judge_free(training->judge);
    dataset_close(&training->dataset);
    job_close(&training->job);
}
