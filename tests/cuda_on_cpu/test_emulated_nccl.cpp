// test_emulated_nccl.cpp - the emulated NCCL, under mpirun: operations (nccl_operations.cpp), how
// communicators begin, fail and end, and what is wrong and must be found out.
//
//     test_emulated_nccl CASE    one of the table below; nccl.sh runs them all

#include "tests/cuda_on_cpu/nccl_ranks.h"

int rank, ranks;
cudaStream_t stream;
ncclComm_t world;

// ---- communicators ------------------------------------------------------------------------------

static void settle(ncclComm_t comm)
{
    ncclResult_t error;
    do {
        NCCL(ncclCommGetAsyncError(comm, &error));
    } while (error == ncclInProgress);
    NCCL(error);
}

// Calls return ncclInProgress; until that is over the communicator may not be used.
static void calls_need_not_block()
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t comm;
    ncclUniqueId id = id_of(MPI_COMM_WORLD);
    HOLDS(ncclCommInitRankConfig(&comm, ranks, id, rank, &config) == ncclInProgress);
    if (ranks > 1 && rank == 0)
        HOLDS(ncclGroupStart() == ncclSuccess && ncclGroupEnd() == ncclSuccess);
    settle(comm);
    int count, own, device;
    HOLDS(ncclCommCount(comm, &count) == ncclSuccess && count == ranks);
    HOLDS(ncclCommUserRank(comm, &own) == ncclSuccess && own == rank);
    HOLDS(ncclCommCuDevice(comm, &device) == ncclSuccess && device == rank);
    Array<float> x = array_make<float>(COUNT);
    array_fill(x, stream, number_of_own);
    CUDA(cudaStreamSynchronize(stream));
    HOLDS(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, comm, stream) ==
          ncclInProgress);
    const char *seed = getenv("CUDA_ON_CPU_SEED");
    if (!seed || strcmp(seed, "0") == 0) // the stream has not got it yet
        HOLDS(cudaStreamQuery(stream) == cudaSuccess);
    HOLDS(ncclSend(x.device, COUNT, ncclFloat, 0, comm, stream) == ncclInvalidArgument);
    settle(comm);
    HOLDS(array_is(x, stream, sum_of));
    NCCL(ncclGroupStart());
    NCCL(ncclSend(x.device, COUNT, ncclFloat, (rank + 1) % ranks, comm, stream));
    Array<float> y = array_make<float>(COUNT);
    NCCL(ncclRecv(y.device, COUNT, ncclFloat, (rank + ranks - 1) % ranks, comm, stream));
    HOLDS(ncclGroupEnd() == ncclInProgress);
    settle(comm);
    HOLDS(array_is(y, stream, sum_of));
    HOLDS(ncclCommFinalize(comm) == ncclInProgress);
    settle(comm);
    NCCL(ncclCommDestroy(comm));
    array_free(x);
    array_free(y);
}

// A group of initialisations; a communicator with work on its way is finalised.
static void communicators_begin_and_end()
{
    ncclComm_t first, second;
    ncclUniqueId one = id_of(MPI_COMM_WORLD), two = id_of(MPI_COMM_WORLD);
    NCCL(ncclGroupStart());
    NCCL(ncclCommInitRank(&first, ranks, one, rank));
    NCCL(ncclCommInitRank(&second, ranks, two, ranks - 1 - rank));
    NCCL(ncclGroupEnd());
    Array<float> to = array_make<float>(static_cast<size_t>(ranks) * COUNT);
    array_fill(to, stream, number_of_own);
    int place = ranks - 1 - rank;
    NCCL(ncclAllGather(to.device + place * COUNT, to.device, COUNT, ncclFloat, second, stream));
    NCCL(ncclCommFinalize(second));
    HOLDS(cudaStreamQuery(stream) == cudaSuccess);
    HOLDS(ncclAllGather(to.device, to.device, 1, ncclFloat, second, stream) == ncclInvalidUsage);
    HOLDS(array_is(to, stream, [](int i) { return number_of(ranks - 1 - i / COUNT, i % COUNT); }));
    NCCL(ncclCommDestroy(second));
    NCCL(ncclCommDestroy(first));
    array_free(to);
}

static void calls_that_cannot_be_are_refused()
{
    float host[COUNT];
    Array<float> x = array_make<float>(COUNT);
    HOLDS(ncclSend(host, COUNT, ncclFloat, 0, world, stream) == ncclInvalidArgument);
    HOLDS(ncclSend(x.device, COUNT + 1, ncclFloat, 0, world, stream) == ncclInvalidArgument);
    HOLDS(ncclSend(x.device, COUNT, ncclFloat, ranks, world, stream) == ncclInvalidArgument);
    HOLDS(ncclRecv(x.device, COUNT, static_cast<ncclDataType_t>(77), 0, world, stream) ==
          ncclInvalidArgument);
    NCCL(ncclGroupStart());
    HOLDS(ncclSend(host, COUNT, ncclFloat, 0, world, stream) == ncclInvalidArgument);
    HOLDS(ncclGroupEnd() == ncclInvalidArgument);
    HOLDS(ncclGroupEnd() == ncclInvalidUsage);
    array_free(x);
}

static void two_ranks_of_one_device_are_refused()
{
    ncclComm_t comm;
    if (rank == 1)
        CUDA(cudaSetDevice(0));
    ncclResult_t result = ncclCommInitRank(&comm, ranks, id_of(MPI_COMM_WORLD), rank);
    HOLDS(result == (rank < 2 ? ncclInvalidUsage : ncclSuccess));
    HOLDS(rank > 1 || strstr(ncclGetLastError(comm), "Duplicate GPU detected"));
    NCCL(ncclCommAbort(comm));
    CUDA(cudaSetDevice(rank));
}

// ---- what fails ---------------------------------------------------------------------------------

static ncclResult_t error_of(ncclComm_t comm)
{
    ncclResult_t error = ncclSuccess;
    while (error == ncclSuccess || error == ncclInProgress)
        NCCL(ncclCommGetAsyncError(comm, &error));
    return error;
}

// Of a receive that nobody answers.
static void aborted_operations_end()
{
    ncclComm_t comm = communicator_of(MPI_COMM_WORLD);
    Array<float> x = array_make<float>(COUNT);
    cudaEvent_t received = event_make();
    array_fill(x, stream, number_of_own);
    NCCL(ncclRecv(x.device, COUNT, ncclFloat, (rank + 1) % ranks, comm, stream));
    CUDA(cudaEventRecord(received, stream));
    for (int i = 0; i < 200; i++)
        HOLDS(cudaEventQuery(received) == cudaErrorNotReady);
    NCCL(ncclCommAbort(comm));
    CUDA(cudaEventSynchronize(received));
    HOLDS(!array_is(x, stream, number_of_own));
    array_free(x);
}

// CUDA_ON_CPU_NCCL_FAIL=1:2: the second operation of rank 1.
static void a_lost_peer_is_noticed()
{
    ncclComm_t comm = communicator_of(MPI_COMM_WORLD);
    Array<float> x = array_make<float>(COUNT);
    array_fill(x, stream, number_of_own);
    NCCL(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, comm, stream));
    HOLDS(array_is(x, stream, sum_of));
    NCCL(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, comm, stream));
    HOLDS(error_of(comm) == (rank == 1 ? ncclSystemError : ncclRemoteError));
    HOLDS(cudaStreamQuery(stream) == cudaErrorNotReady);
    HOLDS(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, comm, stream) ==
          (rank == 1 ? ncclSystemError : ncclRemoteError));
    NCCL(ncclCommAbort(comm));
    CUDA(cudaStreamSynchronize(stream));
    communicators_begin_and_end();
    array_free(x);
}

// CUDA_ON_CPU_NCCL_HANG=1: calls that do not fit never end.
static void a_hang_can_be_aborted()
{
    ncclComm_t comm = communicator_of(MPI_COMM_WORLD);
    Array<float> x = array_make<float>(COUNT);
    array_fill(x, stream, number_of_own);
    NCCL(ncclBroadcast(x.device, x.device, COUNT, ncclFloat, rank == 0, comm, stream));
    for (int i = 0; i < 200; i++)
        HOLDS(cudaStreamQuery(stream) == cudaErrorNotReady);
    MPI_Barrier(MPI_COMM_WORLD); // who has looked often enough must not end what others look at
    NCCL(ncclCommAbort(comm));
    CUDA(cudaStreamSynchronize(stream));
    array_free(x);
}

// Two communicators, in another order on the first rank. CUDA_ON_CPU_NCCL_ALONE=1: each waits for
// the other.
static void communicators_have_no_order()
{
    ncclComm_t one = communicator_of(MPI_COMM_WORLD), two = communicator_of(MPI_COMM_WORLD);
    ncclComm_t first = rank == 0 ? two : one, second = rank == 0 ? one : two;
    cudaStream_t side = stream_make();
    Array<float> x = array_make<float>(COUNT), y = array_make<float>(COUNT);
    const char *alone = getenv("CUDA_ON_CPU_NCCL_ALONE");
    NCCL(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, first, stream));
    for (int i = 0; i < 400 && alone; i++) // without a look the second stream could come first
        HOLDS(cudaStreamQuery(stream) == cudaErrorNotReady);
    while (rank > 0 && !alone && cudaStreamQuery(stream) == cudaErrorNotReady) {
    }
    NCCL(ncclAllReduce(y.device, y.device, COUNT, ncclFloat, ncclSum, second, side));
    for (int i = 0; i < 400 && alone; i++)
        HOLDS(cudaStreamQuery(side) == cudaErrorNotReady);
    if (alone)
        MPI_Barrier(MPI_COMM_WORLD); // as above
    NCCL((alone ? ncclCommAbort : ncclCommDestroy)(one));
    NCCL((alone ? ncclCommAbort : ncclCommDestroy)(two));
    CUDA(cudaDeviceSynchronize());
    array_free(x);
    array_free(y);
}

// ---- what ends the program ----------------------------------------------------------------------

static void kinds_differ()
{
    Array<float> x = array_make<float>(static_cast<size_t>(ranks) * COUNT);
    if (rank == 0)
        NCCL(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, world, stream));
    else
        NCCL(ncclAllGather(x.device, x.device, COUNT, ncclFloat, world, stream));
    CUDA(cudaStreamSynchronize(stream));
}

static void counts_differ()
{
    Array<float> x = array_make<float>(COUNT);
    NCCL(ncclAllReduce(x.device, x.device, rank == 0 ? COUNT : COUNT - 1, ncclFloat, ncclSum, world,
                       stream));
    CUDA(cudaStreamSynchronize(stream));
}

static void roots_differ()
{
    Array<float> x = array_make<float>(COUNT);
    NCCL(ncclBroadcast(x.device, x.device, COUNT, ncclFloat, rank == 0, world, stream));
    CUDA(cudaStreamSynchronize(stream));
}

template <bool SOURCE> static void memory_is_written_meanwhile()
{
    Array<float> from = array_make<float>(COUNT), to = array_make<float>(COUNT);
    cudaStream_t side = stream_make();
    for (int round = 0; round < 20; round++) {
        NCCL(ncclAllReduce(from.device, to.device, COUNT, ncclFloat, ncclSum, world, stream));
        array_fill(SOURCE ? from : to, side, [=](int) { return round; });
        CUDA(cudaDeviceSynchronize());
    }
}

static void a_group_uses_memory_twice()
{
    Array<float> x = array_make<float>(COUNT);
    NCCL(ncclGroupStart());
    NCCL(ncclSend(x.device, COUNT, ncclFloat, (rank + 1) % ranks, world, stream));
    NCCL(ncclRecv(x.device, COUNT, ncclFloat, (rank + ranks - 1) % ranks, world, stream));
    NCCL(ncclGroupEnd());
    CUDA(cudaStreamSynchronize(stream));
}

static void mpi_reads_device_memory()
{
    Array<float> x = array_make<float>(COUNT);
    MPI_Bcast(x.device, COUNT, MPI_FLOAT, 0, MPI_COMM_WORLD);
}

static const struct {
    const char *name;
    void (*run)();
} CASES[] = {
#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }
    CASE(operations_give_what_they_should),
    CASE(groups_exchange),
    CASE(one_rank_sends_another),
    CASE(streams_meet),
    CASE(operations_take_turns),
    CASE(graphs_hold_operations),
    CASE(streams_go_on_within_mpi),
    CASE(calls_need_not_block),
    CASE(communicators_begin_and_end),
    CASE(calls_that_cannot_be_are_refused),
    CASE(two_ranks_of_one_device_are_refused),
    CASE(aborted_operations_end),
    {NULL, NULL}, // above: what a run without a name runs
    CASE(a_lost_peer_is_noticed),
    CASE(a_hang_can_be_aborted),
    CASE(communicators_have_no_order),
    CASE(kinds_differ),
    CASE(counts_differ),
    CASE(roots_differ),
    {"a_source_is_written_meanwhile", memory_is_written_meanwhile<true>},
    {"a_destination_is_written_meanwhile", memory_is_written_meanwhile<false>},
    CASE(a_group_uses_memory_twice),
    CASE(mpi_reads_device_memory),
};

int main(int count, char **arguments)
{
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    CUDA(cudaSetDevice(rank));
    stream = stream_make();
    world = communicator_of(MPI_COMM_WORLD);
    bool ran = false;
    for (const auto &c : CASES) {
        if (count < 2 && !c.name)
            break;
        if (count > 1 && (!c.name || strcmp(c.name, arguments[1]) != 0))
            continue;
        c.run();
        ran = true;
    }
    HOLDS(ran);
    NCCL(ncclCommDestroy(world));
    MPI_Finalize();
    return 0;
}
