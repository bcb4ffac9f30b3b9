// stages.h - the stages of a run: the warm-up (sft on what the experts said), then the algorithm.
//
// Both count over one row of steps; a stage without steps is left out. The reference of the second
// stage is the policy it starts from.

#ifndef L2A_TASKS_STAGES_H
#define L2A_TASKS_STAGES_H

#include "learner/learner.h"
#include "tasks/schedule.h"

typedef enum { STAGE_WARMUP, STAGE_MAIN, STAGE_COUNT } Stage;

typedef struct {
    SessionSchedule schedule;
    StepSettings step;
    int64_t steps;
    bool samples; // its trees are rolled out; else made of what the samples say
    bool pairs;   // of a chosen and a rejected response
} StagePlan;

// How the steps of a stage learn. `total_steps` of the schedule, and the temperature where
// responses are sampled, are left to stages_make.
StepSettings stages_step_settings(const Settings *settings, Stage stage);

void stages_make(StagePlan stages[STAGE_COUNT], const Dataset *dataset, const Settings *settings);
void stages_free(StagePlan stages[STAGE_COUNT]);

// Refuses a stage that has nothing to learn from in the data set (read from `path`): sft or dpo
// where no sample but those of stops tells what the expert said, dpo without rejected responses.
int stages_check(const StagePlan stages[STAGE_COUNT], const Dataset *dataset, const char *path);

// What the main stage is held to: nothing, the base alone of an adapter that still adds nothing
// when the stage begins, or a frozen copy of the policy as it is then.
typedef enum { REFERENCE_NONE, REFERENCE_BASE, REFERENCE_COPY } Reference;

// `begins_adapter`: the run trains an adapter that begins with it.
Reference stages_reference(const StagePlan stages[STAGE_COUNT], bool begins_adapter);

#endif
