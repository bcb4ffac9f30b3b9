// sampling.h - the graded trees of a step of the main stage, flat groups replaced where that is
// asked.

#ifndef L2A_TASKS_SAMPLING_H
#define L2A_TASKS_SAMPLING_H

#include "tasks/training.h"

// Begins to sample stage step `step`; rollout ranks return when their trees are sampled, others at
// once.
void sampling_begin(Training *training, int64_t step, Rollout *rollout);

// Leaves the graded trees in `trees` on every rank. Fails as rollout_run does. Sets the metrics of
// the sampling itself. Collective over the world.
int sampling_finish(Training *training, int64_t step, Rollout *rollout, TreeList *trees,
                    Metrics *metrics);

#endif
