// backend_choice.h - CPU or GPU: what [parallel] backend asks for and what the ranks' machines
// have.
//
// A rank computes on one GPU, and no two ranks of a job share one: the k-th rank of a node takes
// the k-th GPU that it sees, or the only one where Slurm shows each rank its own.

#ifndef L2A_TASKS_BACKEND_CHOICE_H
#define L2A_TASKS_BACKEND_CHOICE_H

#include "input/settings.h"
#include "parallel/backend.h"

// The same choice on every rank. Fails with EXIT_UNAVAILABLE where what is asked for is not there,
// or a node has more ranks than GPUs. Collective over all.
int backend_choose(Backend *backend, const Settings *settings, const Group *all);

#endif
