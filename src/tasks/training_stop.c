// training_stop.c - who stops a run and what its end means; see training.h.

#include "base/fail.h"
#include "tasks/training.h"

bool training_is_patient(const Training *training)
{
    int64_t patience = training->settings->checkpoint.patience;
    return patience == 0 || training->state.since_best < patience;
}

bool training_is_finished(const Training *training)
{
    bool all = training->state.step >= training->total_steps && !training_owes_evaluation(training);
    return all || !training_is_patient(training);
}

Request training_request(Training *training)
{
    int64_t step = training->state.step;
    bool owed = training_owes_evaluation(training);
    bool steps = !owed && step < training->total_steps;
    bool evaluates = owed || (steps && training_evaluates_at(training, step + 1));
    Request mine = requests_look(&training->requests, steps, evaluates);
    return (Request)group_maximum(&training->job.world.all, mine);
}

static void say_stop(const Training *training)
{
    const Bytes *reason = &training->requests.reason;
    record_say(&training->record, "stopped at step %lld of %lld: %s",
               (long long)training->state.step, (long long)training->total_steps,
               reason->length > 0 ? reason->data : "another rank was sent a signal");
}

// Of a stop with nothing gained: whether the next start would fare the same.
static int fail_without_progress(const Training *training)
{
    const char *directory = training->settings->run.directory;
    bool speaks = world_speaks(&training->job.world);
    int status = 0;
    if (speaks && training->requests.file_asks)
        status =
            fail(EXIT_NO_PROGRESS,
                 "%s/STOP was there before the first step: remove it and start again", directory);
    else if (speaks && training->starts > 1)
        status = fail(EXIT_NO_PROGRESS,
                      "%lld starts in a row were stopped at step %lld before they could save "
                      "anything; the log in %s says by what: starting again would do the same",
                      (long long)training->starts, (long long)training->state.step, directory);
    return group_agree(&training->job.world.all, status);
}

int training_exit_status(const Training *training)
{
    const World *world = &training->job.world;
    bool gained = world->has[ROLE_LEARNER] && training->saved > training->first_step;
    if (training_is_finished(training))
        return EXIT_DONE;
    say_stop(training);
    if (group_maximum(&world->all, gained) > 0 || fail_without_progress(training) == 0)
        return EXIT_AGAIN;
    return EXIT_NO_PROGRESS;
}
