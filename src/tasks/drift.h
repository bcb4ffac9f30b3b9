// drift.h - what is otherwise now than when the checkpoint was written that a run goes on from.
//
// Settings are compared by value, in the classes of input/settings_change.h; the training data and
// the model's files by their content; and the arithmetic of products by its name.

#ifndef L2A_TASKS_DRIFT_H
#define L2A_TASKS_DRIFT_H

#include "input/settings_change.h"
#include "tasks/state.h"

typedef struct {
    Bytes changes[CHANGE_COUNT]; // owned: "optimizer.learning_rate from 1e-3 to 2e-3; ..."
} Drift;

// EXIT_BAD_SETTINGS where something differs that never may, or that run.accept_changes does not
// allow. Collective over the learners.
int drift_check(Drift *drift, const StateOwner *owner, const Settings *settings,
                Checkpoint *checkpoint);

// Whether the run takes another course than the one that the checkpoint was on.
bool drift_changes_course(const Drift *drift);

void drift_free(Drift *drift);

#endif
