// nccl_ranks.h - what the tests of the emulated NCCL share: ranks under mpirun, a device and a
// stream each, and communicators of them.

#ifndef L2A_TESTS_CUDA_ON_CPU_NCCL_RANKS_H
#define L2A_TESTS_CUDA_ON_CPU_NCCL_RANKS_H

#include <mpi.h>
#include <nccl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 300 }; // elements of an array, of a rank's part of one

extern int rank, ranks;
extern cudaStream_t stream;
extern ncclComm_t world;

// The cases of nccl_operations.cpp.
void operations_give_what_they_should();
void groups_exchange();
void one_rank_sends_another();
void streams_meet();
void operations_take_turns();
void graphs_hold_operations();
void streams_go_on_within_mpi();

// Ends all ranks where something does not hold.
static inline void holds(bool does, const char *what, int line)
{
    if (does)
        return;
    const char *seed = getenv("CUDA_ON_CPU_SEED");
    fprintf(stderr, "rank %d of %d, seed %s, line %d: not so: %s (%s)\n", rank, ranks,
            seed ? seed : "0", line, what, ncclGetLastError(NULL));
    MPI_Abort(MPI_COMM_WORLD, 3);
}
#define HOLDS(condition) holds((condition), #condition, __LINE__)
#define CUDA(call) HOLDS((call) == cudaSuccess)
#define NCCL(call) HOLDS((call) == ncclSuccess)

static inline cudaStream_t stream_make()
{
    cudaStream_t made;
    CUDA(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    return made;
}

static inline cudaEvent_t event_make()
{
    cudaEvent_t event;
    CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

// An id that rank 0 of the communicator makes.
static inline ncclUniqueId id_of(MPI_Comm comm)
{
    ncclUniqueId id;
    int own;
    MPI_Comm_rank(comm, &own);
    if (own == 0)
        NCCL(ncclGetUniqueId(&id));
    MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, comm);
    return id;
}

static inline ncclComm_t communicator_of(MPI_Comm comm)
{
    ncclComm_t made;
    int own, size;
    MPI_Comm_rank(comm, &own);
    MPI_Comm_size(comm, &size);
    NCCL(ncclCommInitRank(&made, size, id_of(comm), own));
    return made;
}

// An array of device memory.
template <class Type> struct Array {
    Type *device;
    size_t count;
};

template <class Type> Array<Type> array_make(size_t count)
{
    Array<Type> array = {NULL, count};
    CUDA(cudaMalloc(&array.device, count * sizeof(Type)));
    return array;
}

template <class Type, class Value>
void array_fill(Array<Type> array, cudaStream_t on, Value value_of)
{
    Type *host = static_cast<Type *>(malloc(array.count * sizeof(Type)));
    for (size_t i = 0; i < array.count; i++)
        host[i] = static_cast<Type>(value_of(static_cast<int>(i)));
    CUDA(cudaMemcpyAsync(array.device, host, array.count * sizeof(Type), cudaMemcpyHostToDevice,
                         on));
    free(host);
}

// Whether the array is so once the stream is empty.
template <class Type, class Value> bool array_is(Array<Type> array, cudaStream_t on, Value value_of)
{
    Type *host = static_cast<Type *>(malloc(array.count * sizeof(Type)));
    CUDA(cudaMemcpyAsync(host, array.device, array.count * sizeof(Type), cudaMemcpyDeviceToHost,
                         on));
    bool same = true;
    for (size_t i = 0; i < array.count; i++)
        same = same && host[i] == static_cast<Type>(value_of(static_cast<int>(i)));
    free(host);
    return same;
}

template <class Type> void array_free(Array<Type> array)
{
    CUDA(cudaFree(array.device));
}

// ---- numbers ------------------------------------------------------------------------------------

// A number of a rank that bf16 holds.
static inline int number_of(int of_rank, int i)
{
    return of_rank * 8 + i % 8;
}

static inline int number_of_own(int i)
{
    return number_of(rank, i % COUNT);
}

static inline int sum_of(int i)
{
    int sum = 0;
    for (int r = 0; r < ranks; r++)
        sum += number_of(r, i);
    return sum;
}

#endif
