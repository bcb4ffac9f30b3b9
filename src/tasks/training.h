// training.h - all that a training run holds, and the parts of its step loop.
//
// training.c opens, resumes and closes; training_loop.c and, of checkpoints, training_save.c have
// what the loop of train.c calls; training_say.c what is said; training_stop.c how it ends.

#ifndef L2A_TASKS_TRAINING_H
#define L2A_TASKS_TRAINING_H

#include "base/fail.h"
#include "tasks/drift.h"
#include "tasks/evaluation.h"
#include "tasks/phases.h"
#include "tasks/pipeline.h"
#include "tasks/record.h"
#include "tasks/requests.h"
#include "tasks/sizes.h"
#include "tasks/state.h"

typedef struct {
    const Settings *settings; // borrowed
    Job job;
    Learner learner; // on learner ranks
    Dataset dataset;
    RuleJudge *judge; // owned
    bool evaluates;
    Evaluation evaluation;
    StagePlan stages[STAGE_COUNT];
    int64_t total_steps;
    Stage stage;       // of the step under way
    Pipeline pipeline; // of the main stage
    StateOwner owner;  // on learner ranks
    RunDirectory *run; // owned, on learner ranks
    RunState state;
    Drift drift;       // since the checkpoint that the run goes on from; on learner ranks
    Record record;     // on the rank that speaks
    Requests requests; // on the rank that speaks
    int64_t starts;    // in a row that began where this one did; on the rank that speaks
    Phases phases;     // of this start of the program, on this rank
    Metrics totals;    // of this start of the program: rows of trees
    double started;
    int64_t first_step; // of this start of the program
    // Of checkpoints, on learner ranks:
    int64_t saved, saving;           // steps of the newest and of the one under way
    bool saving_best;                // the latter is the best so far
    double save_stall, save_seconds; // what the run waited for it, and what it takes in all
    Failure save_failure;            // the last one
} Training;

// Opens everything and resumes where the run stopped. Collective.
int training_open(Training *training, const Settings *settings);
void training_close(Training *training);

// "RUN/name"; to be released.
char *training_path(const Training *training, const char *name);

Stage training_stage(const Training *training, int64_t step);

int64_t training_stage_step(const Training *training); // the step under way, counted in its stage

// One step (train.c): sessions, responses, rewards, advantages, gradient, update, publication.
// Fills the metrics but for the evaluation's. A failure may come after the update is done:
// state.step says so. Collective.
int train_step(Training *training, Metrics *metrics);

// The packed weights of all rollout ranks become those of the learner.
void training_publish(Training *training);

// The weights that rollout ranks had before, after others were lent to them. Collective.
void training_publish_again(Training *training);

// Whether that is due after the step that has just been done.
bool training_publishes(const Training *training);

// Whether the recorded failure of a step, a gradient that is not finite, is met by going back to
// the weights and moments of the newest checkpoint, and doing so: the data go on, what the lost
// steps taught is lost. Collective over the world.
bool training_rolls_back(const Training *training);
int training_roll_back(Training *training);

// Keeps the batch of a step that failed as RUN/not-finite-STEP.jsonl.
void training_dump(const Training *training, const TreeList *trees);

// Called when the main stage begins: moments to zero, the policy frozen as the reference.
int training_enter_main(Training *training);

// Begins to write a checkpoint of the state beside the run, once the one before is done.
// Collective.
void training_checkpoint(Training *training, bool is_best);

// Looks how the checkpoint under way goes, waits for its end if `wait`, and says what came of it. A
// failure is a warning: the run goes on and tries again at the next interval. Collective over the
// learners; does nothing on other ranks, or where there is none.
void training_follow_checkpoint(Training *training, bool wait);

// Waits until the steps that are done are in a checkpoint, and tries a few times where that fails:
// then EXIT_CANNOT_CREATE or EXIT_CANNOT_WRITE, or EXIT_NO_PROGRESS where this start of the program
// saved none at all. Collective.
int training_secure(Training *training);

// After a failure: ends the checkpoint under way, and where a judge that does not reply was the
// reason, the steps that were done go into one. The recorded failure stays. Collective.
void training_keep_steps(Training *training);
// Whether the settings want an evaluation after `step` steps.
bool training_evaluates_at(const Training *training, int64_t step);

// Whether one is wanted of the state as it is, and has not been done.
bool training_owes_evaluation(const Training *training);

// Evaluates and adds val/* to the metrics; `*better` when keep_best's metric improved. Keeps the
// result under RUN/evaluation-NAME.json (start, warm-up or final), in the place of an earlier one.
// Fails as rollout_run does. Collective.
int training_evaluate(Training *training, Metrics *metrics, bool *better);

// Before the first step, what is owed: the evaluation at the start, or one that the start before
// was stopped in front of.
int training_evaluate_owed(Training *training);

// Prints the table of the kept evaluations (start, warm-up, final) and the RESULT line. Collective.
void training_table(Training *training);

// The line of a step; its phases are added to the times.
void training_say_step(Training *training, int64_t step, const Metrics *metrics);

// What is asked of the run, the most urgent wish of any rank. Between steps; collective.
Request training_request(Training *training);

// Whether all steps and evaluations are done, or evaluations find nothing better any more.
bool training_is_finished(const Training *training);

// Whether evaluations still find something better, as far as the settings ask.
bool training_is_patient(const Training *training);

// The exit status of a run that ended in good order, finished or asked to stop, with all its steps
// in a checkpoint; says what stopped it. EXIT_AGAIN, or EXIT_NO_PROGRESS where that would lead
// nowhere: this start was stopped before its first step, as the one before it was, or by a file
// STOP that is still there. Collective.
int training_exit_status(const Training *training);

#endif
