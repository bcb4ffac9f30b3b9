#include "parallel/collective_mpi.h"

#include <limits.h>

#include "base/fail.h"
#include "parallel/recorder.h"

int mpi_count(int64_t elements)
{
    CHECK(elements <= INT_MAX, "a shard of %lld elements needs more ranks", (long long)elements);
    return (int)elements;
}

MPI_Datatype mpi_type(ElementType type)
{
    return type == TYPE_BF16 ? MPI_UINT16_T : MPI_FLOAT;
}

static void join_mpi(const Group *group)
{
    (void)group;
}

static void begin(const Group *group, const char *what, int64_t bytes, Transfer *transfer)
{
    transfer->call = recorder_enter(group->record, what, bytes);
    transfer->request = MPI_REQUEST_NULL;
}

static void end(Transfer *transfer)
{
    recorder_wait(transfer->call);
    MPI_Wait(&transfer->request, MPI_STATUS_IGNORE);
    recorder_leave(transfer->call);
}

static void all_gather_begin_mpi(const Group *group, const Kernels *kernels, void *full,
                                 Elements shard, int64_t local, Transfer *transfer)
{
    int count = mpi_count(local);
    MPI_Datatype type = mpi_type(shard.type);
    bool in_place =
        shard.data == elements_from((Elements){full, shard.type}, group->rank * local).data;
    begin(group, "all-gather", local * (int64_t)type_bytes(shard.type), transfer);
    if (group->size > 1)
        MPI_Iallgather(in_place ? MPI_IN_PLACE : shard.data, count, type, full, count, type,
                       group->comm, &transfer->request);
    else if (!in_place)
        kernels->copy(NULL, full, shard.data, (size_t)local * type_bytes(shard.type));
}

static void all_gather_end_mpi(Transfer *transfer)
{
    end(transfer);
}

static void reduce_scatter_begin_mpi(const Group *group, const float *full, int64_t local,
                                     float *scratch, Transfer *transfer)
{
    int count = mpi_count(local);
    begin(group, "reduce-scatter", local * (int64_t)sizeof *full, transfer);
    if (group->size > 1)
        MPI_Ialltoall(full, count, MPI_FLOAT, scratch, count, MPI_FLOAT, group->comm,
                      &transfer->request);
}

static void reduce_scatter_end_mpi(const Group *group, const Kernels *kernels, float *shard,
                                   const float *full, int64_t local, const float *scratch,
                                   Transfer *transfer)
{
    const float *pieces = group->size > 1 ? scratch : full;
    end(transfer);
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
    int share = mpi_count((count + group->size - 1) / group->size);
    float *mine = values + (int64_t)group->rank * share;
    int64_t call = recorder_enter(group->record, "sum", count * (int64_t)sizeof *values);
    recorder_wait(call);
    MPI_Alltoall(values, share, MPI_FLOAT, scratch, share, MPI_FLOAT, group->comm);
    kernels->copy(NULL, mine, scratch, (size_t)share * sizeof *mine);
    for (int64_t rank = 1; rank < group->size; rank++)
        kernels->add(NULL, mine, scratch + rank * share, share);
    MPI_Allgather(MPI_IN_PLACE, share, MPI_FLOAT, values, share, MPI_FLOAT, group->comm);
    recorder_leave(call);
}

const Collective collective_mpi = {
    .name = "mpi",
    .join = join_mpi,
    .all_gather_begin = all_gather_begin_mpi,
    .all_gather_end = all_gather_end_mpi,
    .reduce_scatter_begin = reduce_scatter_begin_mpi,
    .reduce_scatter_end = reduce_scatter_end_mpi,
    .progress = progress_mpi,
    .sum = sum_mpi,
    .publication_make = publication_make_mpi,
    .publication_free = publication_free_mpi,
    .publish = publish_mpi,
};
