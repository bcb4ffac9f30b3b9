// device.cpp - the CUDA runtime's devices, errors, and what every call begins with.
//
// CUDA_VISIBLE_DEVICES is a list of numbers, as with real devices: the one behind the first that
// does not exist is not looked at, and "" hides all.

#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "tests/cuda_on_cpu/streams.h"

namespace cuda_on_cpu
{

enum {
    SHARED_ALLOWED = 48 * 1024,       // of every kernel
    MOST_SHARED_ALLOWED = 227 * 1024, // of one that asks for it
    MOST_ALLOWANCES = 64,
    MULTIPROCESSORS = 3,
};

struct Allowance {
    const void *kernel;
    size_t bytes;
};

// A plain array: MemorySanitizer does not see into the C++ library's trees.
static Allowance allowances[MOST_ALLOWANCES];
static int allowance_count;
static int current;
static bool failed;

size_t shared_allowed(const void *kernel)
{
    for (int i = 0; i < allowance_count; i++) {
        if (allowances[i].kernel == kernel)
            return allowances[i].bytes;
    }
    return SHARED_ALLOWED;
}

// The numbers of the devices that the program sees.
static std::vector<int> devices_read()
{
    std::vector<int> visible;
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    for (int i = 0; !list && i < settings().devices; i++)
        visible.push_back(i);
    while (list && *list) {
        char *end;
        long number = strtol(list, &end, 10);
        if (end == list || (*end && *end != ',') || number < 0 || number >= settings().devices)
            break;
        visible.push_back(static_cast<int>(number));
        list = *end ? end + 1 : end;
    }
    return visible;
}

static const std::vector<int> &devices()
{
    static const std::vector<int> read = devices_read();
    return read;
}

static bool exists(int index)
{
    return index >= 0 && index < static_cast<int>(devices().size());
}

int device_current()
{
    return current;
}

bool device_has_failed()
{
    return failed;
}

// After a failure every call fails alike, as with a real device.
cudaError_t call_begins(const char *call)
{
    static int calls;
    const Failure &failure = settings().fails;
    if (devices().empty())
        return cudaErrorNoDevice;
    if (failure.rank == process_rank && strcmp(call, failure.call) == 0)
        failed = failed || ++calls == failure.number;
    if (failed)
        return cudaErrorUnknown;
    streams_go_on();
    return cudaSuccess;
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

// ---- errors and versions ------------------------------------------------------------------------

const char *cudaGetErrorName(cudaError_t status)
{
#define NAME(status)                                                                               \
    case status:                                                                                   \
        return #status
    switch (status) {
        NAME(cudaSuccess);
        NAME(cudaErrorInvalidValue);
        NAME(cudaErrorMemoryAllocation);
        NAME(cudaErrorInvalidConfiguration);
        NAME(cudaErrorNoDevice);
        NAME(cudaErrorInvalidDevice);
        NAME(cudaErrorInvalidResourceHandle);
        NAME(cudaErrorIllegalState);
        NAME(cudaErrorNotReady);
        NAME(cudaErrorNotSupported);
        NAME(cudaErrorStreamCaptureUnsupported);
        NAME(cudaErrorStreamCaptureInvalidated);
        NAME(cudaErrorStreamCaptureMerge);
        NAME(cudaErrorStreamCaptureUnmatched);
        NAME(cudaErrorStreamCaptureUnjoined);
        NAME(cudaErrorStreamCaptureIsolation);
        NAME(cudaErrorCapturedEvent);
        NAME(cudaErrorUnknown);
    }
#undef NAME
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t status)
{
    return cudaGetErrorName(status);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

// ---- devices ------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = static_cast<int>(devices().size());
    return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int index)
{
    if (cudaError_t status = call_begins("cudaSetDevice"))
        return status;
    if (!exists(index))
        return cudaErrorInvalidDevice;
    current = index;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *index)
{
    *index = current;
    return devices().empty() ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int index)
{
    if (!exists(index))
        return cudaErrorInvalidDevice;
    int number = devices()[static_cast<size_t>(index)];
    *properties = {};
    snprintf(properties->name, sizeof properties->name, "CUDA on the CPU");
    snprintf(properties->uuid.bytes, sizeof properties->uuid.bytes, "cuda-on-cpu-%d", number);
    properties->totalGlobalMem = settings().memory_bytes;
    properties->sharedMemPerBlockOptin = MOST_SHARED_ALLOWED;
    properties->multiProcessorCount = MULTIPROCESSORS;
    properties->major = 8;
    properties->pciBusID = number + 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize()
{
    if (cudaError_t status = call_begins("cudaDeviceSynchronize"))
        return status;
    if (cudaError_t status = capture_refuses())
        return status;
    streams_drain();
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
