// collective_mpi.h - what the collectives over MPI share; inside `parallel` only.

#ifndef L2A_PARALLEL_COLLECTIVE_MPI_H
#define L2A_PARALLEL_COLLECTIVE_MPI_H

#include "parallel/collective.h"

// A number of elements as MPI counts them; dies where it does not fit.
int mpi_count(int64_t elements);

MPI_Datatype mpi_type(ElementType type);

// publication_mpi.c
Publication *publication_make_mpi(const World *world, const Kernels *kernels, int shards,
                                  int64_t largest, int ranks_per_node);
void publication_free_mpi(Publication *publication);
Elements publish_mpi(Publication *publication, Elements shard, int64_t local, ElementType type);

#endif
