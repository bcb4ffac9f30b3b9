// memory.cpp - the CUDA runtime on the host: a device, its memory between guards, copies, errors.
//
// Streams run at once, so a call has ended when it returns. As with a real device,
// CUDA_VISIBLE_DEVICES="" hides it.

#include <stdio.h>
#include <stdlib.h>

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

enum {
    ALIGNMENT = 256,
    SHARED_ALLOWED = 48 * 1024,       // of every kernel
    MOST_SHARED_ALLOWED = 227 * 1024, // of one that asks for it
};

enum { MOST_ALLOWANCES = 64, MOST_BLOCKS = 4096 };

struct Allowance {
    const void *kernel;
    size_t bytes;
};

// Plain arrays: MemorySanitizer does not see into the C++ library's trees.
static Allowance allowances[MOST_ALLOWANCES];
static int allowance_count;
static Guarded *blocks[MOST_BLOCKS]; // owned
static int block_count;

size_t shared_allowed(const void *kernel)
{
    for (int i = 0; i < allowance_count; i++) {
        if (allowances[i].kernel == kernel)
            return allowances[i].bytes;
    }
    return SHARED_ALLOWED;
}

// Whether the bytes lie in one block of device memory.
static bool on_device(const void *from, size_t bytes)
{
    const char *first = static_cast<const char *>(from);
    for (int i = 0; i < block_count; i++) {
        const char *memory = blocks[i]->memory;
        if (first >= memory && first + bytes <= memory + blocks[i]->bytes)
            return true;
    }
    return false;
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

// ---- errors -------------------------------------------------------------------------------------

const char *cudaGetErrorName(cudaError_t status)
{
    switch (status) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
        return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    }
    return "an unknown error";
}

const char *cudaGetErrorString(cudaError_t status)
{
    return cudaGetErrorName(status);
}

// ---- the device ---------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *count)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    *count = visible && !*visible ? 0 : 1;
    return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDevice(int *index)
{
    *index = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
    *properties = {};
    snprintf(properties->name, sizeof properties->name, "CUDA on the CPU");
    properties->sharedMemPerBlockOptin = MOST_SHARED_ALLOWED;
    properties->multiProcessorCount = 3;
    properties->major = 8;
    return cudaSuccess;
}

cudaError_t cuda_on_cpu_allow_shared(const void *kernel, int bytes)
{
    if (bytes < 0 || bytes > MOST_SHARED_ALLOWED)
        return cudaErrorInvalidValue;
    if (allowance_count == MOST_ALLOWANCES)
        wrong("more than %d kernels ask for shared memory", MOST_ALLOWANCES);
    allowances[allowance_count++] = {kernel, static_cast<size_t>(bytes)};
    return cudaSuccess;
}

// ---- memory -------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    if (block_count == MOST_BLOCKS)
        return cudaErrorMemoryAllocation;
    Guarded *block = new Guarded();
    guarded_make(block, "device memory", bytes);
    guarded_place(block, bytes, ALIGNMENT);
    blocks[block_count++] = block;
    *memory = block->memory;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory)
        return cudaSuccess;
    for (int i = 0; i < block_count; i++) {
        if (blocks[i]->memory != memory)
            continue;
        guarded_free(blocks[i]);
        delete blocks[i];
        blocks[i] = blocks[--block_count];
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
}

cudaError_t cuda_on_cpu_host_memory(void **memory, size_t bytes)
{
    *memory = calloc(1, bytes);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *memory)
{
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    return cudaMemsetAsync(memory, value, bytes, NULL);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t)
{
    if (!on_device(memory, bytes))
        return cudaErrorInvalidValue;
    memset(memory, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t)
{
    if ((kind != cudaMemcpyHostToDevice && !on_device(from, bytes)) ||
        (kind != cudaMemcpyDeviceToHost && !on_device(to, bytes)))
        return cudaErrorInvalidValue;
    if (kind == cudaMemcpyDeviceToHost) // what is read back is what tests look at
        __msan_check_mem_is_initialized(from, bytes);
    memmove(to, from, bytes);
    return cudaSuccess;
}

// Also the time to look at the marks around all memory.
cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    for (int i = 0; i < block_count; i++)
        guarded_check(blocks[i]);
    return cudaSuccess;
}
