// device.cu - the GPU of this process: how it is found, opened and waited for.
//
// State is static: one process uses one device.

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/libraries.h"

#include <stdio.h>
#include <string.h>

enum { SHARED_NEEDED = 150 * 1024 };

static Device device;
static bool opened;
static void (*watch)(void);

void cuda_check(cudaError_t status, const char *call, const char *file, int line)
{
    if (status == cudaSuccess)
        return;
    die(status == cudaErrorMemoryAllocation ? EXIT_NO_MEMORY : EXIT_UNAVAILABLE,
        "GPU %d '%s' failed: %s (%s) in %s at %s:%d", device.gpu.device, device.gpu.name,
        cudaGetErrorString(status), cudaGetErrorName(status), call, file, line);
}

extern "C" int kernels_cuda_count(void)
{
    int count = 0, driver = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0)
        return count;
    bool absent = cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0;
    fail(EXIT_UNAVAILABLE, "no GPU can be used: %s",
         absent                  ? "this machine has no NVIDIA driver"
         : status == cudaSuccess ? "the driver shows none"
                                 : cudaGetErrorString(status));
    return 0;
}

static int device_fits(int index)
{
    cudaDeviceProp properties;
    cudaError_t status = cudaGetDeviceProperties(&properties, index);
    if (status != cudaSuccess)
        return fail(EXIT_UNAVAILABLE, "the properties of GPU %d cannot be read: %s", index,
                    cudaGetErrorString(status));
    if (properties.major < 8 || properties.sharedMemPerBlockOptin < SHARED_NEEDED)
        return fail(EXIT_UNAVAILABLE,
                    "GPU %d '%s' has compute capability %d.%d and %zu KiB of shared memory; 8.0 "
                    "and %d KiB are needed",
                    index, properties.name, properties.major, properties.minor,
                    properties.sharedMemPerBlockOptin / 1024, SHARED_NEEDED / 1024);
    device.gpu = {};
    device.gpu.device = index;
    device.gpu.memory = properties.totalGlobalMem;
    memcpy(device.gpu.identity, properties.uuid.bytes, sizeof device.gpu.identity);
    snprintf(device.gpu.name, sizeof device.gpu.name, "%s", properties.name);
    device.multiprocessors = properties.multiProcessorCount;
    return 0;
}

static int device_open(int index)
{
    if (kernels_cuda_count() == 0 || device_fits(index) || cublaslt_load())
        return -1;
    cudaError_t status = cudaSetDevice(index);
    if (status == cudaSuccess)
        status = cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking);
    if (status != cudaSuccess)
        return fail(EXIT_UNAVAILABLE, "GPU %d '%s' cannot be used: %s", index, device.gpu.name,
                    cudaGetErrorString(status));
    if (cublasLtCreate(&device.products) != CUBLAS_STATUS_SUCCESS)
        return fail(EXIT_UNAVAILABLE, "cuBLASLt cannot be used on GPU %d '%s'", index,
                    device.gpu.name);
    opened = true;
    return 0;
}

extern "C" const Kernels *kernels_cuda(int index)
{
    CHECK(!opened || index == device.gpu.device, "GPU %d after GPU %d", index, device.gpu.device);
    return opened || device_open(index) == 0 ? table_cuda() : NULL;
}

extern "C" const Gpu *kernels_cuda_gpu(void)
{
    return &device.gpu;
}

const Device *device_cuda(void)
{
    return &device;
}

void device_set_watch(void (*function)(void))
{
    watch = function;
}

// Watches as long as `status`, of what is waited for, says so; whether all is over.
template <class Status> static bool watched(Status status)
{
    while (watch) {
        cudaError_t now = status();
        if (now != cudaErrorNotReady) {
            CUDA(now);
            return true;
        }
        watch();
    }
    return false;
}

void device_wait(cudaStream_t stream)
{
    if (!watched([stream] { return cudaStreamQuery(stream); }))
        CUDA(cudaStreamSynchronize(stream));
}

void device_wait_event(cudaEvent_t event)
{
    if (!watched([event] { return cudaEventQuery(event); }))
        CUDA(cudaEventSynchronize(event));
}
