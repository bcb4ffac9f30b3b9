// group.h - a named set of ranks and the collective calls on host memory.
//
// MPI is walled into this module. Every communicator has one error handler, installed once, that
// ends the program; so these calls have no status to check. All calls are collective over the
// group, and each notes that it waits (parallel/recorder.h).

#ifndef L2A_PARALLEL_GROUP_H
#define L2A_PARALLEL_GROUP_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

typedef struct {
    MPI_Comm comm; // owned
    int rank, size;
    int record; // its number in parallel/recorder.h
} Group;

// Starts MPI (if nobody did) and makes die() end every rank; stops it.
void group_start(int *argc, char ***argv);
size_t group_start_bytes(void); // resident memory that the start of MPI has taken
void group_stop(void);

Group group_world(void);

// The ranks that pass the same colour >= 0, in the order of `group`; colour < 0: no group (size 0).
// `name` is what messages call them: "the learner ranks".
Group group_split(const Group *group, int colour, const char *name);
void group_free(Group *group);

// The ranks of `group` that share this rank's node, in its order; how many they are.
Group group_of_node(const Group *group);
int group_node_size(const Group *group);

// -1 on every rank when any rank passes a status other than 0, else 0. The message and code of the
// lowest failing rank are then recorded on every rank.
int group_agree(const Group *group, int status);

void group_barrier(const Group *group);
void group_broadcast(const Group *group, void *data, size_t bytes, int root);
void group_broadcast_bytes(const Group *group, Bytes *bytes, int root); // of any length
void group_gather(const Group *group, const void *send, size_t bytes, void *receive, int root);
void group_all_gather(const Group *group, const void *send, size_t bytes, void *receive);

// Everybody's bytes, joined in rank order, on every rank; `starts` [size + 1] are the bounds.
void group_all_gather_bytes(const Group *group, const Bytes *send, Bytes *receive, size_t *starts);

// Sum in rank order: the same bits on every rank. Element by element of values [count].
void group_sum(const Group *group, double *values, int64_t count);
double group_maximum(const Group *group, double value);

#endif
