// test_emulated_nccl.cpp - the emulated NCCL, under mpirun: operations against what they are to
// give, how communicators begin, fail and end, and what is wrong and must be found out.
//
//     test_emulated_nccl CASE    one of the table below; nccl.sh runs them all

#include "tests/cuda_on_cpu/nccl_ranks.h"

enum { COUNT = 300 };

static cudaStream_t stream;
static ncclComm_t world;

// ---- operations ---------------------------------------------------------------------------------

// A number of a rank that bf16 holds.
static int number_of(int of_rank, int i)
{
    return of_rank * 8 + i % 8;
}

static int number_of_own(int i)
{
    return number_of(rank, i % COUNT);
}

template <class Type> static int shown(int number)
{
    if (sizeof(Type) != 2)
        return number;
    float x = static_cast<float>(number); // bf16, by its bits
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return static_cast<int>(bits >> 16);
}

template <class Type> static void gathers(ncclDataType_t type)
{
    Array<Type> from = array_make<Type>(COUNT);
    Array<Type> to = array_make<Type>(static_cast<size_t>(ranks) * COUNT);
    auto expected = [](int i) { return shown<Type>(number_of(i / COUNT, i % COUNT)); };
    auto own = [](int i) { return shown<Type>(number_of_own(i)); };
    array_fill(from, stream, own);
    NCCL(ncclAllGather(from.device, to.device, COUNT, type, world, stream));
    HOLDS(array_is(to, stream, expected));
    array_fill(to, stream, own);
    NCCL(ncclAllGather(to.device + rank * COUNT, to.device, COUNT, type, world, stream));
    HOLDS(array_is(to, stream, expected));
    HOLDS(array_is(from, stream, own));
    array_free(from);
    array_free(to);
}

template <class Type> static void broadcasts(ncclDataType_t type)
{
    Array<Type> from = array_make<Type>(COUNT), to = array_make<Type>(COUNT);
    for (int root = 0; root < ranks; root++) {
        auto expected = [=](int i) { return shown<Type>(number_of(root, i)); };
        array_fill(from, stream, [](int i) { return shown<Type>(number_of(rank, i)); });
        NCCL(ncclBroadcast(from.device, to.device, COUNT, type, root, world, stream));
        HOLDS(array_is(to, stream, expected));
        NCCL(ncclBroadcast(from.device, from.device, COUNT, type, root, world, stream));
        HOLDS(array_is(from, stream, expected));
    }
    array_free(from);
    array_free(to);
}

static int sum_of(int i)
{
    int sum = 0;
    for (int r = 0; r < ranks; r++)
        sum += number_of(r, i);
    return sum;
}

template <class Type> static void reductions(ncclDataType_t type)
{
    size_t all = static_cast<size_t>(ranks) * COUNT;
    Array<Type> from = array_make<Type>(all), to = array_make<Type>(all);
    Array<Type> shard = array_make<Type>(COUNT);
    auto own = [](int i) { return shown<Type>(number_of(rank, i)); };
    auto sum = [](int i) { return shown<Type>(sum_of(i)); };
    auto mine = [](int i) { return shown<Type>(sum_of(rank * COUNT + i)); };
    array_fill(from, stream, own);
    NCCL(ncclAllReduce(from.device, to.device, all, type, ncclSum, world, stream));
    HOLDS(array_is(to, stream, sum));
    NCCL(ncclAllReduce(from.device, to.device, all, type, ncclMax, world, stream));
    HOLDS(array_is(to, stream, [](int i) { return shown<Type>(number_of(ranks - 1, i)); }));
    NCCL(ncclAllReduce(from.device, to.device, all, type, ncclMin, world, stream));
    HOLDS(array_is(to, stream, [](int i) { return shown<Type>(number_of(0, i)); }));
    NCCL(ncclReduceScatter(from.device, shard.device, COUNT, type, ncclSum, world, stream));
    HOLDS(array_is(shard, stream, mine));
    Array<Type> place = {from.device + rank * COUNT, COUNT};
    NCCL(ncclReduceScatter(from.device, place.device, COUNT, type, ncclSum, world, stream));
    HOLDS(array_is(place, stream, mine));
    array_fill(from, stream, own);
    NCCL(ncclAllReduce(from.device, from.device, all, type, ncclSum, world, stream));
    HOLDS(array_is(from, stream, sum));
    array_free(from);
    array_free(to);
    array_free(shard);
}

static void operations_give_what_they_should()
{
    gathers<float>(ncclFloat);
    gathers<uint16_t>(ncclBfloat16);
    gathers<uint8_t>(ncclUint8);
    gathers<int64_t>(ncclInt64);
    broadcasts<float>(ncclFloat);
    broadcasts<uint8_t>(ncclUint8);
    reductions<float>(ncclFloat);
    reductions<uint16_t>(ncclBfloat16);
    reductions<int32_t>(ncclInt32);
    reductions<int64_t>(ncclInt64);
}

// Every rank sends every other one its number, twice: a group is one operation.
static void groups_exchange()
{
    size_t all = static_cast<size_t>(ranks) * COUNT;
    Array<float> from = array_make<float>(2 * all), to = array_make<float>(2 * all);
    array_fill(from, stream, [](int i) { return rank * 10000 + i; });
    NCCL(ncclGroupStart());
    for (int peer = 0; peer < ranks; peer++) {
        for (int half = 0; half < 2; half++) {
            size_t place = (static_cast<size_t>(half * ranks + peer)) * COUNT;
            NCCL(ncclSend(from.device + place, COUNT, ncclFloat, peer, world, stream));
            NCCL(ncclRecv(to.device + place, COUNT, ncclFloat, peer, world, stream));
        }
    }
    NCCL(ncclGroupEnd());
    HOLDS(array_is(to, stream, [](int i) {
        int half = i / COUNT / ranks, peer = i / COUNT % ranks;
        return peer * 10000 + (half * ranks + rank) * COUNT + i % COUNT;
    }));
    array_free(from);
    array_free(to);
}

static void one_rank_sends_another()
{
    Array<float> array = array_make<float>(COUNT);
    array_fill(array, stream, number_of_own);
    if (rank == 0)
        NCCL(ncclSend(array.device, COUNT, ncclFloat, 1, world, stream));
    else if (rank == 1)
        NCCL(ncclRecv(array.device, COUNT, ncclFloat, 0, world, stream));
    int expected = rank == 1 ? 0 : rank;
    HOLDS(array_is(array, stream, [=](int i) { return number_of(expected, i); }));
    array_free(array);
}

// Operations of two communicators on two streams, ordered by events where they meet.
static void streams_meet()
{
    MPI_Comm half;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
    int own, size;
    MPI_Comm_rank(half, &own);
    MPI_Comm_size(half, &size);
    ncclComm_t inner = communicator_of(half);
    cudaStream_t side = stream_make();
    cudaEvent_t written = event_make(), gathered = event_make();
    Array<float> x = array_make<float>(COUNT), sum = array_make<float>(COUNT);
    Array<float> all = array_make<float>(static_cast<size_t>(ranks) * COUNT);
    for (int round = 0; round < 3; round++) {
        array_fill(x, stream, [=](int i) { return number_of(rank, i) + round; });
        CUDA(cudaEventRecord(written, stream));
        CUDA(cudaStreamWaitEvent(side, written, 0)); // WRITTEN
        NCCL(ncclAllGather(x.device, all.device, COUNT, ncclFloat, world, side));
        CUDA(cudaEventRecord(gathered, side));
        NCCL(ncclAllReduce(x.device, sum.device, COUNT, ncclFloat, ncclSum, inner, stream));
        CUDA(cudaStreamWaitEvent(stream, gathered, 0)); // GATHERED
        HOLDS(
            array_is(all, stream, [=](int i) { return number_of(i / COUNT, i % COUNT) + round; }));
        HOLDS(array_is(sum, stream, [=](int i) {
            int total = 0;
            for (int r = rank % 2; r < ranks; r += 2)
                total += number_of(r, i) + round;
            return total;
        }));
    }
    array_free(x);
    array_free(sum);
    array_free(all);
    NCCL(ncclCommDestroy(inner));
    MPI_Comm_free(&half);
}

// A graph of operations, launched again and again.
static void graphs_hold_operations()
{
    Array<float> x = array_make<float>(COUNT), y = array_make<float>(COUNT);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    NCCL(ncclAllReduce(x.device, y.device, COUNT, ncclFloat, ncclMax, world, stream));
    NCCL(ncclAllReduce(y.device, x.device, COUNT, ncclFloat, ncclSum, world, stream));
    CUDA(cudaStreamEndCapture(stream, &graph));
    CUDA(cudaGraphInstantiate(&exec, graph, 0));
    for (int round = 0; round < 3; round++) {
        array_fill(x, stream, [=](int i) { return number_of(rank, i) + round; });
        CUDA(cudaGraphLaunch(exec, stream));
        HOLDS(
            array_is(x, stream, [=](int i) { return ranks * (number_of(ranks - 1, i) + round); }));
    }
    CUDA(cudaGraphExecDestroy(exec));
    CUDA(cudaGraphDestroy(graph));
    array_free(x);
    array_free(y);
}

// ---- the host elsewhere -------------------------------------------------------------------------

// The last rank asks its stream for a gather and goes into a call of MPI; the others come there
// once they have what they need of it.
template <class Meet> static void gathers_before(Meet meet)
{
    Array<float> to = array_make<float>(static_cast<size_t>(ranks) * COUNT);
    array_fill(to, stream, number_of_own);
    NCCL(ncclAllGather(to.device + rank * COUNT, to.device, COUNT, ncclFloat, world, stream));
    if (rank < ranks - 1)
        CUDA(cudaStreamSynchronize(stream));
    meet();
    HOLDS(array_is(to, stream, [](int i) { return number_of(i / COUNT, i % COUNT); }));
    array_free(to);
}

static void streams_go_on_within_mpi()
{
    static int one, other, many[64];
    gathers_before([] { MPI_Barrier(MPI_COMM_WORLD); });
    gathers_before([] { MPI_Bcast(&one, 1, MPI_INT, 0, MPI_COMM_WORLD); });
    gathers_before([] { MPI_Allreduce(&one, &other, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD); });
    gathers_before(
        [] { MPI_Gather(&one, 1, MPI_INT, many, 1, MPI_INT, ranks - 1, MPI_COMM_WORLD); });
    gathers_before([] { MPI_Allgather(&one, 1, MPI_INT, many, 1, MPI_INT, MPI_COMM_WORLD); });
    gathers_before([] {
        static int others[64];
        MPI_Alltoall(others, 1, MPI_INT, many, 1, MPI_INT, MPI_COMM_WORLD);
    });
    gathers_before([] {
        MPI_Comm copy, part, node;
        MPI_Comm_dup(MPI_COMM_WORLD, &copy);
        MPI_Comm_split(copy, 0, 0, &part);
        MPI_Comm_split_type(part, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
        MPI_Comm_free(&node);
        MPI_Comm_free(&part);
        MPI_Comm_free(&copy);
    });
    gathers_before([] {
        MPI_Win window;
        void *memory;
        MPI_Win_allocate_shared(64, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &memory, &window);
        gathers_before([&] { MPI_Win_free(&window); });
    });
    // The last rank waits for a message that the first one sends afterwards.
    gathers_before([] {
        MPI_Request request;
        if (rank == ranks - 1) {
            MPI_Irecv(&other, 1, MPI_INT, 0, 1, MPI_COMM_WORLD, &request);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
        } else if (rank == 0) {
            MPI_Isend(&one, 1, MPI_INT, ranks - 1, 1, MPI_COMM_WORLD, &request);
            MPI_Waitall(1, &request, MPI_STATUSES_IGNORE);
        }
    });
    gathers_before([] {
        MPI_Request request = MPI_REQUEST_NULL;
        if (rank == ranks - 1)
            MPI_Irecv(&other, 1, MPI_INT, 0, 1, MPI_COMM_WORLD, &request);
        else if (rank == 0)
            MPI_Isend(&one, 1, MPI_INT, ranks - 1, 1, MPI_COMM_WORLD, &request);
        for (int done = 0; !done;)
            MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    });
    gathers_before([] {
        MPI_Request request;
        if (rank == 0)
            MPI_Isend(&one, 1, MPI_INT, ranks - 1, 1, MPI_COMM_WORLD, &request);
        if (rank == ranks - 1) {
            MPI_Message message;
            for (int found = 0; !found;)
                MPI_Improbe(0, 1, MPI_COMM_WORLD, &found, &message, MPI_STATUS_IGNORE);
            MPI_Mrecv(&other, 1, MPI_INT, &message, MPI_STATUS_IGNORE);
        }
        if (rank == 0)
            MPI_Wait(&request, MPI_STATUS_IGNORE);
    });
}

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
    HOLDS(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, comm, stream) ==
          ncclInProgress);
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
    NCCL(ncclCommAbort(comm));
    CUDA(cudaStreamSynchronize(stream));
    array_free(x);
}

// Two communicators, in another order on the first rank. CUDA_ON_CPU_NCCL_ALONE=1: each waits for
// the other.
static void communicators_have_no_order()
{
    ncclComm_t other = communicator_of(MPI_COMM_WORLD);
    cudaStream_t side = stream_make();
    Array<float> x = array_make<float>(COUNT), y = array_make<float>(COUNT);
    bool turned = rank == 0;
    NCCL(ncclAllReduce(x.device, x.device, COUNT, ncclFloat, ncclSum, turned ? other : world,
                       stream));
    while (cudaStreamQuery(stream) != cudaSuccess && !turned) {
    }
    NCCL(
        ncclAllReduce(y.device, y.device, COUNT, ncclFloat, ncclSum, turned ? world : other, side));
    CUDA(cudaDeviceSynchronize());
    NCCL(ncclCommDestroy(other));
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
