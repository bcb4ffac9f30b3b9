#include "parallel/collective.h"

#include <limits.h>
#include <string.h>

#include "base/fail.h"

static int int_count(int64_t elements)
{
    CHECK(elements <= INT_MAX, "a shard of %lld elements needs more ranks", (long long)elements);
    return (int)elements;
}

static void all_gather_begin_mpi(const Group *group, float *full, const float *shard, int64_t local,
                                 Transfer *transfer)
{
    int count = int_count(local);
    transfer->request = MPI_REQUEST_NULL;
    if (group->size == 1)
        memcpy(full, shard, (size_t)local * sizeof *full);
    else
        MPI_Iallgather(shard, count, MPI_FLOAT, full, count, MPI_FLOAT, group->comm,
                       &transfer->request);
}

static void all_gather_end_mpi(Transfer *transfer)
{
    MPI_Wait(&transfer->request, MPI_STATUS_IGNORE);
}

static void reduce_scatter_begin_mpi(const Group *group, const float *full, int64_t local,
                                     float *scratch, Transfer *transfer)
{
    int count = int_count(local);
    transfer->request = MPI_REQUEST_NULL;
    if (group->size > 1)
        MPI_Ialltoall(full, count, MPI_FLOAT, scratch, count, MPI_FLOAT, group->comm,
                      &transfer->request);
}

static void reduce_scatter_end_mpi(const Group *group, const Kernels *kernels, float *shard,
                                   const float *full, int64_t local, const float *scratch,
                                   Transfer *transfer)
{
    const float *pieces = group->size > 1 ? scratch : full;
    MPI_Wait(&transfer->request, MPI_STATUS_IGNORE);
    for (int rank = 0; rank < group->size; rank++)
        kernels->add(NULL, shard, pieces + rank * local, local);
}

static void progress_mpi(Transfer *transfer)
{
    int done;
    if (transfer->request != MPI_REQUEST_NULL)
        MPI_Test(&transfer->request, &done, MPI_STATUS_IGNORE);
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

static void publish_mpi(const World *world, int shards, float *full, const float *shard,
                        int64_t local)
{
    int first = world->first[ROLE_LEARNER];
    if (world->all.size == 1) {
        memcpy(full, shard, (size_t)local * sizeof *full);
        return;
    }
    int *counts = allocate((size_t)world->all.size, sizeof *counts);
    int *starts = allocate((size_t)world->all.size, sizeof *starts);
    for (int i = 0; i < shards; i++) {
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
    .all_gather_begin = all_gather_begin_mpi,
    .all_gather_end = all_gather_end_mpi,
    .reduce_scatter_begin = reduce_scatter_begin_mpi,
    .reduce_scatter_end = reduce_scatter_end_mpi,
    .progress = progress_mpi,
    .sum = sum_mpi,
    .publish = publish_mpi,
};
