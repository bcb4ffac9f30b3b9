// collective.h - the collectives on device memory that several ranks' arithmetic needs, behind one
// table.
//
// Sums between ranks are ours, in rank order, so that the bits depend neither on the library nor on
// the topology: reduce-scatter is an exchange of shards followed by our own additions.

#ifndef L2A_PARALLEL_COLLECTIVE_H
#define L2A_PARALLEL_COLLECTIVE_H

#include "kernels/kernels.h"
#include "parallel/world.h"

// A collective under way: between its begin and its end the buffers belong to it, and arithmetic
// that calls `progress` now and then hides it. Every rank begins and ends them in one order.
typedef struct {
    int64_t call; // in parallel/recorder.h
    MPI_Request request;
    struct Operation *operation; // of NCCL
} Transfer;

// How what learner ranks hold comes, unit by unit, to every rank of the job.
//
// The ranks of a node share the memory that a unit comes to: a learner rank writes its shard there,
// narrowed where it is to be bf16, and every rank reads it there. Only shards that no rank of the
// node holds travel, each once a node, from a rank that holds them: no rank funnels.
typedef struct Publication Publication;

typedef struct {
    const char *name;

    // Before the first collective of a group, which must not move from then on: makes what it needs
    // besides MPI's communicator, and group_free frees that. A second time does nothing. Collective
    // over group.
    void (*join)(const Group *group);

    // full [local * size] = every rank's shard [local], in rank order, once all_gather_end returns.
    // The shard may lie in its place in full already. Collective over group.
    void (*all_gather_begin)(const Group *group, const Kernels *kernels, void *full, Elements shard,
                             int64_t local, Transfer *transfer);
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

    // Learner rank l holds shard l mod `shards`; `largest` elements of a unit, all shards together,
    // come at most. `ranks_per_node`: as if so many consecutive ranks were a node (a test's), 0: as
    // it is. `world` and `kernels` are borrowed. Where a node has too little shared memory its
    // ranks are warned and each gets a copy of its own. Collective over world->all.
    Publication *(*publication_make)(const World *world, const Kernels *kernels, int shards,
                                     int64_t largest, int ranks_per_node);
    void (*publication_free)(Publication *publication); // NULL is fine; collective

    // The whole unit [local * shards] in `type`, valid until the next call; shard [local] is read
    // on learner ranks only, is fp32 or of that type, and is itself what a job of one rank gets.
    // Collective over world->all.
    Elements (*publish)(Publication *publication, Elements shard, int64_t local, ElementType type);
} Collective;

extern const Collective collective_mpi;

// Over NCCL, on a stream of its own beside the kernels' (kernels_cuda was called); the host does
// not wait for it. NULL and a recorded reason where there is no NCCL.
const Collective *collective_nccl(void);

// A line (base/version.h) on NCCL, which is looked for.
void collective_nccl_print_version(Bytes *out);

#endif
