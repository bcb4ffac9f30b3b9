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

// Each rank adds up a share of the numbers; all of them then get every share.
static void sum_mpi(const Group *group, const Kernels *kernels, float *values, int64_t count,
                    float *scratch)
{
    if (group->size == 1)
        return;
    int share = int_count((count + group->size - 1) / group->size);
    float *mine = values + (int64_t)group->rank * share;
    MPI_Alltoall(values, share, MPI_FLOAT, scratch, share, MPI_FLOAT, group->comm);
    kernels->copy(NULL, mine, scratch, (size_t)share * sizeof *mine);
    for (int64_t rank = 1; rank < group->size; rank++)
        kernels->add(NULL, mine, scratch + rank * share, share);
    MPI_Allgather(MPI_IN_PLACE, share, MPI_FLOAT, values, share, MPI_FLOAT, group->comm);
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
    .sum = sum_mpi,
    .publish = publish_mpi,
};
