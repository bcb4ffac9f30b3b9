#include "parallel/collective.h"

#include <limits.h>
#include <string.h>

#include "base/fail.h"

static int int_count(int64_t elements)
{
    CHECK(elements <= INT_MAX, "a shard of %lld elements needs more ranks", (long long)elements);
    return (int)elements;
}

static void all_gather_mpi(const Group *group, float *full, const float *shard, int64_t local)
{
    int count = int_count(local);
    if (group->size == 1)
        memcpy(full, shard, (size_t)local * sizeof *full);
    else
        MPI_Allgather(shard, count, MPI_FLOAT, full, count, MPI_FLOAT, group->comm);
}

static void reduce_scatter_mpi(const Group *group, const Kernels *kernels, float *shard,
                               const float *full, int64_t local, float *scratch)
{
    int count = int_count(local);
    const float *pieces = full;
    if (group->size > 1) {
        MPI_Alltoall(full, count, MPI_FLOAT, scratch, count, MPI_FLOAT, group->comm);
        pieces = scratch;
    }
    for (int rank = 0; rank < group->size; rank++)
        kernels->add(NULL, shard, pieces + rank * local, local);
}

static void publish_mpi(const World *world, float *full, const float *shard, int64_t local)
{
    int learners = world->count[ROLE_LEARNER], first = world->first[ROLE_LEARNER];
    if (world->all.size == 1) {
        memcpy(full, shard, (size_t)local * sizeof *full);
        return;
    }
    int *counts = allocate((size_t)world->all.size, sizeof *counts);
    int *starts = allocate((size_t)world->all.size, sizeof *starts);
    for (int i = 0; i < learners; i++) {
        counts[first + i] = int_count(local);
        starts[first + i] = int_count(i * local);
    }
    MPI_Allgatherv(shard, counts[world->all.rank], MPI_FLOAT, full, counts, starts, MPI_FLOAT,
                   world->all.comm);
    release(counts);
    release(starts);
}

const Collective collective_mpi = {
    .name = "mpi",
    .all_gather = all_gather_mpi,
    .reduce_scatter = reduce_scatter_mpi,
    .publish = publish_mpi,
};
