// publication.h - what learner ranks hold, unit by unit, to every rank of the job.
//
// The ranks of a node share the memory that a unit comes to: a learner rank writes its shard there,
// narrowed where it is to be bf16, and every rank reads it there. Only shards that no rank of the
// node holds travel, each once a node, from a rank that holds them: no rank funnels.

#ifndef L2A_PARALLEL_PUBLICATION_H
#define L2A_PARALLEL_PUBLICATION_H

#include "kernels/kernels.h"
#include "parallel/world.h"

typedef struct Publication Publication;

// Learner rank l holds shard l mod `shards`; `largest` elements of a unit, all shards together,
// come at most. `ranks_per_node`: as if so many consecutive ranks were a node (a test's), 0: as it
// is. `world` and `kernels` are borrowed. Where a node has too little shared memory its ranks are
// warned and each gets a copy of its own. Collective over world->all.
Publication *publication_make_mpi(const World *world, const Kernels *kernels, int shards,
                                  int64_t largest, int ranks_per_node);
void publication_free_mpi(Publication *publication); // NULL is fine; collective

// The whole unit [local * shards] in `type`, valid until the next call; shard [local] is read on
// learner ranks only, is fp32 or of that type, and is itself what a job of one rank gets.
// Collective over world->all.
Elements publish_mpi(Publication *publication, Elements shard, int64_t local, ElementType type);

#endif
