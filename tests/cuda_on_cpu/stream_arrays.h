// stream_arrays.h - what tests of streams and graphs share: small arrays, two kernels, and two
// streams that may meet.

#ifndef L2A_TESTS_CUDA_ON_CPU_STREAM_ARRAYS_H
#define L2A_TESTS_CUDA_ON_CPU_STREAM_ARRAYS_H

#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 64 };

static inline void cuda_check(cudaError_t status, const char *call, const char *file, int line)
{
    if (status == cudaSuccess)
        return;
    fprintf(stderr, "%s: %s at %s:%d\n", cudaGetErrorName(status), call, file, line);
    exit(1);
}
#define CUDA(call) cuda_check((call), #call, __FILE__, __LINE__)

static inline cudaStream_t stream_of(cudaStream_t stream)
{
    return stream;
}
#include "kernels/cuda/launch.h"

__global__ static inline void fill(int *out, int value)
{
    out[threadIdx.x] = value;
}

__global__ static inline void add_one(int *out, const int *x)
{
    out[threadIdx.x] = x[threadIdx.x] + 1;
}

static inline cudaStream_t stream_make()
{
    cudaStream_t stream;
    CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static inline cudaEvent_t event_make()
{
    cudaEvent_t event;
    CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

static inline int *device_make(int value)
{
    int *memory;
    CUDA(cudaMalloc(&memory, COUNT * sizeof *memory));
    LAUNCH(fill, 1, COUNT, 0, NULL, memory, value);
    CUDA(cudaStreamSynchronize(NULL));
    return memory;
}

static inline int *host_make(int value)
{
    int *memory;
    CUDA(cudaHostAlloc(&memory, COUNT * sizeof *memory, cudaHostAllocDefault));
    for (int i = 0; i < COUNT; i++)
        memory[i] = value;
    return memory;
}

static inline bool all_are(const int *host, int value)
{
    for (int i = 0; i < COUNT; i++) {
        if (host[i] != value)
            return false;
    }
    return true;
}

static inline void copy(int *to, const int *from, cudaMemcpyKind kind, cudaStream_t stream)
{
    CUDA(cudaMemcpyAsync(to, from, COUNT * sizeof *to, kind, stream));
}

// What device memory holds once the stream is empty.
static inline bool device_is(const int *device, int value, cudaStream_t stream)
{
    int host[COUNT];
    copy(host, device, cudaMemcpyDeviceToHost, stream);
    return all_are(host, value);
}

struct Pair {
    cudaStream_t first, second;
    cudaEvent_t event;
    int *x, *y;
};

static inline Pair pair_make()
{
    Pair pair = {stream_make(), stream_make(), event_make(), device_make(1), device_make(1)};
    return pair;
}

#endif
