// collective.h - the collectives on device memory that several ranks' arithmetic needs, behind one
// table.
//
// Sums between ranks are ours, in rank order, so that the bits depend neither on the library nor on
// the topology: reduce-scatter is an exchange of shards followed by our own additions.

#ifndef L2A_PARALLEL_COLLECTIVE_H
#define L2A_PARALLEL_COLLECTIVE_H

#include "kernels/kernels.h"
#include "parallel/world.h"

typedef struct {
    const char *name;

    // full [local * size] = every rank's shard [local], in rank order.
    // Collective over group.
    void (*all_gather)(const Group *group, float *full, const float *shard, int64_t local);

    // shard [local] += sum over ranks, in rank order, of their full[rank * local ...].
    // `scratch` [local * size]. Collective over group.
    void (*reduce_scatter)(const Group *group, const Kernels *kernels, float *shard,
                           const float *full, int64_t local, float *scratch);

    // values [count] = the sum over ranks of theirs, in rank order: the same bits on every rank.
    // `values` and `scratch` have room for `count` rounded up to a multiple of the group's size.
    // Collective over group.
    void (*sum)(const Group *group, const Kernels *kernels, float *values, int64_t count,
                float *scratch);

    // full [local * learners] on every rank of the world = the learner ranks' shards, in order;
    // shard is read on learner ranks only. Collective over world->all.
    void (*publish)(const World *world, float *full, const float *shard, int64_t local);
} Collective;

extern const Collective collective_mpi;

#endif
