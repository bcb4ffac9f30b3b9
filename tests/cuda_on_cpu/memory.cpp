// memory.cpp - the CUDA runtime on the host: a device, its memory between guards, copies, errors.
//
// Streams run at once, so a call has ended when it returns. As with a real device,
// CUDA_VISIBLE_DEVICES="" hides it.

#include <stdio.h>
#include <stdlib.h>

#include <map>

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

enum {
    ALIGNMENT = 256,
    SHARED_ALLOWED = 48 * 1024,       // of every kernel
    MOST_SHARED_ALLOWED = 227 * 1024, // of one that asks for it
};

static std::map<const void *, size_t> &allowances()
{
    static std::map<const void *, size_t> bytes_of_kernels;
    return bytes_of_kernels;
}

static std::map<const void *, Guarded *> &blocks()
{
    static std::map<const void *, Guarded *> by_address;
    return by_address;
}

size_t shared_allowed(const void *kernel)
{
    auto found = allowances().find(kernel);
    return found == allowances().end() ? static_cast<size_t>(SHARED_ALLOWED) : found->second;
}

// Whether the bytes lie in one block of device memory.
static bool on_device(const void *from, size_t bytes)
{
    auto after = blocks().upper_bound(from);
    if (after == blocks().begin())
        return false;
    const Guarded *block = std::prev(after)->second;
    const char *first = static_cast<const char *>(from);
    return first + bytes <= block->memory + block->bytes;
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
    allowances()[kernel] = static_cast<size_t>(bytes);
    return cudaSuccess;
}

// ---- memory -------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    Guarded *block = new Guarded();
    guarded_make(block, "device memory", bytes);
    guarded_place(block, bytes, ALIGNMENT);
    blocks()[block->memory] = block;
    *memory = block->memory;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory)
        return cudaSuccess;
    auto found = blocks().find(memory);
    if (found == blocks().end())
        return cudaErrorInvalidValue;
    guarded_free(found->second);
    delete found->second;
    blocks().erase(found);
    return cudaSuccess;
}

cudaError_t cuda_on_cpu_host_memory(void **memory, size_t bytes)
{
    *memory = calloc(1, bytes);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
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
    for (const auto &[address, block] : blocks())
        guarded_check(block);
    return cudaSuccess;
}
