// training_save.c - what the step loop has to do with checkpoints; see training.h.

#include <unistd.h>

#include "base/activity.h"
#include "base/clock.h"
#include "tasks/training.h"

// The steps that were sampled ahead, as bytes for the checkpoint.
static void hold_pipeline(Training *training)
{
    StateOwner *owner = &training->owner;
    const Pipeline *pipeline = &training->pipeline;
    state_owner_drop_sampled(owner);
    owner->sampled = allocate((size_t)pipeline->count, sizeof *owner->sampled);
    owner->sampled_count = pipeline->count;
    for (int64_t i = 0; i < pipeline->count; i++)
        pipeline_write(pipeline, i, &owner->sampled[i]);
}

// How long the journals are at this step. Collective over the learners.
static int note_journals(Training *training)
{
    int status = record_catch_up(&training->record);
    if (training->record.directory) {
        training->state.journal_bytes = training->record.metrics->bytes;
        training->state.samples_bytes = training->record.samples->bytes;
    }
    return group_agree(&training->learner.group, status);
}

// What came of a checkpoint.
static void say_checkpoint(Training *training, int status)
{
    long long step = (long long)training->saving;
    state_owner_drop_sampled(&training->owner);
    if (status != 0) {
        failure_keep(&training->save_failure);
        if (training->learner.group.rank == 0)
            warn("no checkpoint at step %lld: %s; the run goes on", step, fail_message());
        return;
    }
    training->saved = training->saving;
    wall_time_took(&training->requests.wall_time, WORK_CHECKPOINT, training->save_seconds);
    record_say(&training->record, "checkpoint step %lld, %.1f s; the run waited %.2f s for it",
               step, training->save_seconds, training->save_stall);
}

void training_checkpoint(Training *training, bool is_best)
{
    if (!training->job.world.has[ROLE_LEARNER])
        return;
    double since = clock_now();
    activity_begin("copying a checkpoint");
    training_follow_checkpoint(training, true);
    const Settings *settings = training->settings;
    KeepPolicy policy = {.keep_last = settings->checkpoint.keep_last,
                         .keep_every = settings->checkpoint.keep_every,
                         .keep_best = settings->checkpoint.keep_best[0] != 0};
    double begun = clock_now();
    training->saving = training->state.step;
    training->saving_best = is_best;
    training->owner.holds_published = training->owner.published && !training_publishes(training);
    hold_pipeline(training);
    int status = note_journals(training);
    if (status == 0)
        status = state_save(&training->owner, training->run, &training->state, is_best, policy);
    training->save_stall = clock_now() - since;
    phases_add(&training->phases, PHASE_CHECKPOINT, training->save_stall);
    training->save_seconds = clock_now() - begun;
    if (status != 0)
        say_checkpoint(training, status);
}

void training_follow_checkpoint(Training *training, bool wait)
{
    if (!training->run || !run_directory_saves(training->run))
        return;
    if (!wait && !run_directory_save_progress(training->run))
        return;
    double seconds;
    int status = run_directory_save_end(training->run, &seconds);
    training->save_seconds += seconds;
    say_checkpoint(training, status);
}

// Collective.
static bool has_unsaved_steps(const Training *training)
{
    const World *world = &training->job.world;
    bool unsaved = world->has[ROLE_LEARNER] && training->saved < training->state.step;
    return group_maximum(&world->all, unsaved) > 0;
}

// The failure of the last save as that of the run, on every rank. Collective.
static int fail_unsaved(Training *training)
{
    int status = 0;
    if (training->job.world.has[ROLE_LEARNER]) {
        status = failure_repeat(&training->save_failure);
        if (training->saved == training->first_step)
            fail_as(EXIT_NO_PROGRESS);
        fail_context("steps %lld to %lld are in no checkpoint; the same command does them again, "
                     "from step %lld on",
                     (long long)training->saved + 1, (long long)training->state.step,
                     (long long)training->saved);
    }
    return group_agree(&training->job.world.all, status);
}

int training_secure(Training *training)
{
    static const unsigned waits[] = {1, 3, 9}; // seconds
    training_follow_checkpoint(training, true);
    for (size_t i = 0; has_unsaved_steps(training); i++) {
        if (i == sizeof waits / sizeof *waits)
            return fail_unsaved(training);
        sleep(waits[i]);
        training_checkpoint(training, training->saving_best);
        training_follow_checkpoint(training, true);
    }
    return 0;
}

void training_keep_steps(Training *training)
{
    Failure failure = {0};
    failure_keep(&failure);
    bool learns = training->job.world.has[ROLE_LEARNER];
    bool worth = failure.code == EXIT_UNAVAILABLE && training->state.step > training->first_step;
    training_follow_checkpoint(training, true);
    if (worth && learns && training->saved < training->state.step)
        training_checkpoint(training, false);
    training_follow_checkpoint(training, true);
    failure_repeat(&failure);
}
