// collective.h - the collectives on device memory that several ranks' arithmetic needs, behind one
// table.
//
// Sums between ranks are ours, in rank order, so that the bits depend neither on the library nor on
// the topology: reduce-scatter is an exchange of shards followed by our own additions.

#ifndef L2A_PARALLEL_COLLECTIVE_H
#define L2A_PARALLEL_COLLECTIVE_H

#include "kernels/kernels.h"
#include "parallel/publication.h"
#include "parallel/world.h"

// A collective under way: between its begin and its end the buffers belong to it, and arithmetic
// that calls `progress` now and then hides it. Every rank begins and ends them in one order.
typedef struct {
    MPI_Request request;
} Transfer;

typedef struct {
    const char *name;

    // full [local * size] = every rank's shard [local], in rank order, once all_gather_end returns.
    // The shard may lie in its place in full already. Collective over group.
    void (*all_gather_begin)(const Group *group, void *full, Elements shard, int64_t local,
                             Transfer *transfer);
    void (*all_gather_end)(Transfer *transfer);

    // shard [local] += sum over ranks, in rank order, of their full[rank * local ...], when
    // reduce_scatter_end returns. `scratch` [local * size]. Collective over group.
    void (*reduce_scatter_begin)(const Group *group, const float *full, int64_t local,
                                 float *scratch, Transfer *transfer);
    void (*reduce_scatter_end)(const Group *group, const Kernels *kernels, float *shard,
                               const float *full, int64_t local, const float *scratch,
                               Transfer *transfer);

    // Lets what is under way get on; never waits.
    void (*progress)(Transfer *transfer);

    // values [count] = the sum over ranks of theirs, in rank order: the same bits on every rank.
    // `values` and `scratch` have room for `count` rounded up to a multiple of the group's size.
    // Collective over group.
    void (*sum)(const Group *group, const Kernels *kernels, float *values, int64_t count,
                float *scratch);

    // From learner ranks to all: publication.h.
    Publication *(*publication_make)(const World *world, const Kernels *kernels, int shards,
                                     int64_t largest, int ranks_per_node);
    Elements (*publish)(Publication *publication, Elements shard, int64_t local, ElementType type);
    void (*publication_free)(Publication *publication);
} Collective;

extern const Collective collective_mpi;

#endif
