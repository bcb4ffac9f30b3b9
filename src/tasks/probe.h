// probe.h - how long a run may take on this machine: a few rows of its first step, through one and
// two layers of its model's shape with random weights, on one rank of the CPU and without MPI.
//
// What all layers take goes on from these two; of a large vocabulary a part is computed. What is not
// counted: ranks that wait for each other, a served judge, checkpoints, evaluations.

#ifndef L2A_TASKS_PROBE_H
#define L2A_TASKS_PROBE_H

#include "tasks/checked.h"

typedef struct {
    double sampling, update; // seconds of a step of the main stage, all responses of full length
    double warmup;           // of a warm-up step
    double took;             // of the probe
} ProbeTimes;

// Of a run that trains a model of our own.
ProbeTimes probe_run(Checked *checked);

// "time" lines for `check`.
void probe_print(const Checked *checked, const ProbeTimes *times, Bytes *out);

#endif
