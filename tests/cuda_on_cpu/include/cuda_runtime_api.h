// cuda_runtime_api.h - the calls of the CUDA runtime that kernels/cuda makes, as ../memory.cpp
// answers them: one device, whose memory is the host's, and streams that run at once.

#ifndef L2A_CUDA_ON_CPU_CUDA_RUNTIME_API_H
#define L2A_CUDA_ON_CPU_CUDA_RUNTIME_API_H

#include <stddef.h>

typedef struct CUstream_st *cudaStream_t;

typedef enum {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNoDevice = 100,
} cudaError_t;

typedef enum {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
} cudaMemcpyKind;

typedef enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 } cudaFuncAttribute;

enum { cudaHostAllocDefault = 0, cudaHostAllocMapped = 2 };

typedef struct {
    char name[256];
    size_t sharedMemPerBlockOptin;
    int multiProcessorCount;
    int major, minor;
} cudaDeviceProp;

const char *cudaGetErrorName(cudaError_t status);
const char *cudaGetErrorString(cudaError_t status);

cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *index);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int index);

cudaError_t cuda_on_cpu_allow_shared(const void *kernel, int bytes);

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel *kernel, cudaFuncAttribute, int bytes)
{
    return cuda_on_cpu_allow_shared(reinterpret_cast<const void *>(kernel), bytes);
}

cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cuda_on_cpu_host_memory(void **memory, size_t bytes);

template <class Type> cudaError_t cudaHostAlloc(Type **memory, size_t bytes, unsigned)
{
    return cuda_on_cpu_host_memory(reinterpret_cast<void **>(memory), bytes);
}

cudaError_t cudaFreeHost(void *memory);

cudaError_t cudaMemset(void *memory, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);

#endif
