// collective_nccl.cu - the collectives over NCCL.
//
// As over MPI, sums between ranks are ours: shards are exchanged and then added in rank order, by
// the kernels' stream.

#include "parallel/communicator_nccl.h"

#include <stdio.h>

extern "C" {
#include "base/version.h"
}

static bool is_alone(const Group *group)
{
    return group->size == 1;
}

static void all_gather_begin_nccl(const Group *group, const Kernels *kernels, void *full,
                                  Elements shard, int64_t local, Transfer *transfer)
{
    size_t elements = static_cast<size_t>(local);
    transfer->operation = NULL;
    if (is_alone(group)) {
        if (shard.data != full)
            kernels->copy(NULL, full, shard.data, elements * type_bytes(shard.type));
        return;
    }
    Operation *operation = operation_begin(
        group, "all-gather", local * static_cast<int64_t>(type_bytes(shard.type)));
    CUDA(cudaStreamWaitEvent(operations_stream(), operation->ready, 0));
    NCCL(ncclAllGather(shard.data, full, elements, nccl_type(shard.type),
                       operation->communicator->comm, operations_stream()));
    operation_given(operation);
    transfer->operation = operation;
}

static void all_gather_end_nccl(Transfer *transfer)
{
    if (!transfer->operation)
        return;
    CUDA(cudaStreamWaitEvent(stream_of(NULL), transfer->operation->done, 0));
    operation_end(transfer->operation);
    transfer->operation = NULL;
}

// pieces [local * size]: what every rank has for this one, in rank order.
static void exchange_begin(const Group *group, const float *full, int64_t local, float *pieces,
                           Transfer *transfer)
{
    size_t elements = static_cast<size_t>(local);
    Operation *operation = operation_begin(group, "exchange of shards",
                                           local * static_cast<int64_t>(sizeof *full));
    ncclComm_t comm = operation->communicator->comm;
    CUDA(cudaStreamWaitEvent(operations_stream(), operation->ready, 0));
    NCCL(ncclGroupStart());
    for (int rank = 0; rank < group->size; rank++) {
        NCCL(ncclSend(full + rank * local, elements, ncclFloat, rank, comm, operations_stream()));
        NCCL(ncclRecv(pieces + rank * local, elements, ncclFloat, rank, comm, operations_stream()));
    }
    NCCL(ncclGroupEnd());
    operation_given(operation);
    transfer->operation = operation;
}

static void exchange_end(Transfer *transfer)
{
    CUDA(cudaStreamWaitEvent(stream_of(NULL), transfer->operation->done, 0));
    operation_end(transfer->operation);
    transfer->operation = NULL;
}

static void reduce_scatter_begin_nccl(const Group *group, const float *full, int64_t local,
                                      float *scratch, Transfer *transfer)
{
    transfer->operation = NULL;
    if (!is_alone(group))
        exchange_begin(group, full, local, scratch, transfer);
}

static void reduce_scatter_end_nccl(const Group *group, const Kernels *kernels, float *shard,
                                    const float *full, int64_t local, const float *scratch,
                                    Transfer *transfer)
{
    const float *pieces = is_alone(group) ? full : scratch;
    if (!is_alone(group))
        exchange_end(transfer);
    for (int rank = 0; rank < group->size; rank++)
        kernels->add(NULL, shard, pieces + rank * local, local);
}

static void progress_nccl(Transfer *transfer)
{
    (void)transfer; // the device gets on by itself
    operations_watch();
}

// Each rank adds up a share of the numbers; all of them then get every share.
static void sum_nccl(const Group *group, const Kernels *kernels, float *values, int64_t count,
                     float *scratch)
{
    if (is_alone(group))
        return;
    Transfer transfer;
    int64_t share = (count + group->size - 1) / group->size;
    float *mine = values + group->rank * share;
    exchange_begin(group, values, share, scratch, &transfer);
    exchange_end(&transfer);
    kernels->copy(NULL, mine, scratch, static_cast<size_t>(share) * sizeof *mine);
    for (int rank = 1; rank < group->size; rank++)
        kernels->add(NULL, mine, scratch + rank * share, share);
    all_gather_begin_nccl(group, kernels, values, elements_f32(mine), share, &transfer);
    all_gather_end_nccl(&transfer);
}

static const Collective table = {
    .name = "nccl",
    .join = communicator_join,
    .all_gather_begin = all_gather_begin_nccl,
    .all_gather_end = all_gather_end_nccl,
    .reduce_scatter_begin = reduce_scatter_begin_nccl,
    .reduce_scatter_end = reduce_scatter_end_nccl,
    .progress = progress_nccl,
    .sum = sum_nccl,
    .publication_make = publication_make_nccl,
    .publication_free = publication_free_nccl,
    .publish = publish_nccl,
};

extern "C" const Collective *collective_nccl(void)
{
    return nccl_load() == 0 ? &table : NULL;
}

// 22809 is 2.28.9
static void print_version(int version, char text[32])
{
    snprintf(text, 32, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

extern "C" void collective_nccl_print_version(Bytes *out)
{
    char compiled[32], running[32];
    int version = 0;
    print_version(NCCL_VERSION_CODE, compiled);
    bool found = nccl_load() == 0 && ncclGetVersion(&version) == ncclSuccess;
    print_version(version, running);
    version_print_library("NCCL", compiled, found ? running : NULL, out);
}
