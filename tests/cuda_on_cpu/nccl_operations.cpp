// nccl_operations.cpp - cases of test_emulated_nccl.cpp: operations, alone, in groups, on two
// streams, in graphs, and while the host is in MPI.

#include "tests/cuda_on_cpu/nccl_ranks.h"

// ---- operations ---------------------------------------------------------------------------------

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

// 256 + 2 i and a half of the last place: to even.
static void narrow_sums_are_rounded()
{
    Array<uint16_t> x = array_make<uint16_t>(COUNT);
    array_fill(x, stream,
               [](int i) { return shown<uint16_t>(rank == 0 ? 256 + 2 * (i % 64) : 1); });
    NCCL(ncclAllReduce(x.device, x.device, COUNT, ncclBfloat16, ncclSum, world, stream));
    HOLDS(array_is(x, stream, [](int i) { return shown<uint16_t>(256 + 2 * (i % 64 + i % 2)); }));
    array_free(x);
}

void operations_give_what_they_should()
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
    narrow_sums_are_rounded();
}

// Every rank sends every other one its number, twice: a group is one operation.
void groups_exchange()
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

void one_rank_sends_another()
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
void streams_meet()
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

// A communicator's operations run in the order of their calls, on whatever stream.
void operations_take_turns()
{
    cudaStream_t side = stream_make();
    Array<float> x = array_make<float>(COUNT), y = array_make<float>(COUNT);
    array_fill(x, stream, number_of_own);
    array_fill(y, side, number_of_own);
    for (size_t count = 1; count < 20; count++) {
        NCCL(ncclAllReduce(x.device, x.device, count, ncclFloat, ncclMax, world, stream));
        NCCL(ncclAllReduce(y.device, y.device, COUNT - count, ncclFloat, ncclMax, world, side));
    }
    CUDA(cudaDeviceSynchronize());
    HOLDS(array_is(x, stream, [](int i) { return number_of(i < 19 ? ranks - 1 : rank, i); }));
    HOLDS(array_is(y, side, [](int i) { return number_of(i < COUNT - 1 ? ranks - 1 : rank, i); }));
    array_free(x);
    array_free(y);
}

// A graph of operations, launched again and again.
void graphs_hold_operations()
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

void streams_go_on_within_mpi()
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
        MPI_Comm copy;
        MPI_Comm_dup(MPI_COMM_WORLD, &copy);
        MPI_Comm_free(&copy);
    });
    gathers_before([] {
        MPI_Comm part;
        MPI_Comm_split(MPI_COMM_WORLD, 0, 0, &part);
        MPI_Comm_free(&part);
    });
    gathers_before([] {
        MPI_Comm node;
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
        MPI_Comm_free(&node);
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
