// memory.cu - the device, its memory, copies, working memory of queues, and faults.
//
// State is static: one process uses one device, the current one of its thread at device_open.

#include "kernels/cuda/cuda.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { MOST_QUEUES = 16, SHARED_NEEDED = 150 * 1024 };

typedef struct {
    void *memory; // owned
    size_t bytes;
} Block;

typedef struct {
    Queue *queue; // borrowed
    Block blocks[SCRATCH_COUNT];
} QueueScratch;

static Device device;
static bool opened;
static int *faults; // owned, page-locked [FAULT_COUNT]
static QueueScratch queues[MOST_QUEUES];
static int queue_count;

void cuda_check(cudaError_t status, const char *call, const char *file, int line)
{
    if (status == cudaSuccess)
        return;
    die(status == cudaErrorMemoryAllocation ? EXIT_NO_MEMORY : EXIT_UNAVAILABLE,
        "the GPU failed: %s (%s) in %s at %s:%d", cudaGetErrorString(status),
        cudaGetErrorName(status), call, file, line);
}

// ---- the device ---------------------------------------------------------------------------------

static int device_fits(int index)
{
    cudaDeviceProp properties;
    cudaError_t status = cudaGetDeviceProperties(&properties, index);
    if (status != cudaSuccess)
        return fail(EXIT_UNAVAILABLE, "the GPU's properties cannot be read: %s",
                    cudaGetErrorString(status));
    if (properties.major < 8 || properties.sharedMemPerBlockOptin < SHARED_NEEDED)
        return fail(EXIT_UNAVAILABLE,
                    "the GPU '%s' has compute capability %d.%d and %zu KiB of shared memory; 8.0 "
                    "and %d KiB are needed",
                    properties.name, properties.major, properties.minor,
                    properties.sharedMemPerBlockOptin / 1024, SHARED_NEEDED / 1024);
    snprintf(device.name, sizeof device.name, "%s", properties.name);
    device.multiprocessors = properties.multiProcessorCount;
    return 0;
}

int device_open(void)
{
    if (opened)
        return 0;
    int count = 0, index = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess)
        return fail(EXIT_UNAVAILABLE, "no GPU can be used: %s", cudaGetErrorString(status));
    if (count == 0)
        return fail(EXIT_UNAVAILABLE, "no GPU can be used: the driver shows none");
    CUDA(cudaGetDevice(&index));
    if (device_fits(index))
        return -1;
    if (cublasLtCreate(&device.products) != CUBLAS_STATUS_SUCCESS)
        return fail(EXIT_UNAVAILABLE, "cuBLASLt cannot be used on the GPU '%s'", device.name);
    CUDA(cudaHostAlloc(&faults, FAULT_COUNT * sizeof *faults, cudaHostAllocMapped));
    for (int i = 0; i < FAULT_COUNT; i++)
        faults[i] = INT_MAX;
    opened = true;
    return 0;
}

const Device *device_cuda(void)
{
    return &device;
}

// ---- working memory -----------------------------------------------------------------------------

static QueueScratch *scratch_of(Queue *queue)
{
    for (int i = 0; i < queue_count; i++) {
        if (queues[i].queue == queue)
            return &queues[i];
    }
    CHECK(queue_count < MOST_QUEUES, "more than %d queues", MOST_QUEUES);
    queues[queue_count].queue = queue;
    return &queues[queue_count++];
}

void *scratch_cuda(Queue *queue, Scratch use, size_t bytes)
{
    Block *block = &scratch_of(queue)->blocks[use];
    if (bytes <= block->bytes)
        return block->memory;
    CUDA(cudaStreamSynchronize(stream_of(queue))); // kernels may still use the old block
    CUDA(cudaFree(block->memory));
    block->bytes = bytes + bytes / 4; // sizes that grow slowly do not grow it every time
    CUDA(cudaMalloc(&block->memory, block->bytes));
    return block->memory;
}

void *upload_cuda(Queue *queue, Scratch use, const void *from, size_t bytes)
{
    void *to = scratch_cuda(queue, use, bytes ? bytes : 1);
    copy_in_cuda(queue, to, from, bytes); // from pageable memory: staged when the call returns
    return to;
}

// ---- faults -------------------------------------------------------------------------------------

int *faults_cuda(void)
{
    return faults;
}

void faults_check(void)
{
    int found[FAULT_COUNT];
    for (int i = 0; i < FAULT_COUNT; i++) {
        found[i] = *static_cast<volatile int *>(&faults[i]);
        if (found[i] != INT_MAX) // a place that a kernel may be writing to is left alone
            faults[i] = INT_MAX;
    }
    if (found[FAULT_LOGITS] != INT_MAX)
        die(EXIT_BAD_DATA,
            "the logits of row %d hold NaN or infinity, so no token can be drawn: the model's "
            "weights are damaged, or training has diverged (lower the learning rate)",
            found[FAULT_LOGITS]);
    CHECK(found[FAULT_TOKEN] == INT_MAX, "the token of row %d is not in the vocabulary",
          found[FAULT_TOKEN]);
    CHECK(found[FAULT_SLOT] == INT_MAX, "the slot of row %d is not in the cache",
          found[FAULT_SLOT]);
}

// ---- memory and order ---------------------------------------------------------------------------

void *memory_make_cuda(size_t bytes)
{
    void *memory = NULL;
    cudaError_t status = cudaMalloc(&memory, bytes ? bytes : 1);
    if (status == cudaErrorMemoryAllocation)
        die(EXIT_NO_MEMORY, "the GPU '%s' has no %zu bytes left", device.name, bytes);
    CUDA(status);
    CUDA(cudaMemset(memory, 0, bytes));
    CUDA(cudaStreamSynchronize(NULL)); // zero before a kernel of any queue sees it
    return memory;
}

void memory_free_cuda(void *memory)
{
    CUDA(cudaFree(memory));
}

void *host_make_cuda(size_t bytes)
{
    void *memory = NULL;
    cudaError_t status = cudaHostAlloc(&memory, bytes ? bytes : 1, cudaHostAllocDefault);
    if (status == cudaErrorMemoryAllocation)
        die(EXIT_NO_MEMORY, "%zu bytes of host memory cannot be locked for the GPU '%s'", bytes,
            device.name);
    CUDA(status);
    memset(memory, 0, bytes);
    return memory;
}

void host_free_cuda(void *memory)
{
    CUDA(cudaFreeHost(memory));
}

static void copy_any(Queue *queue, void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    if (bytes > 0)
        CUDA(cudaMemcpyAsync(to, from, bytes, kind, stream_of(queue)));
}

void copy_in_cuda(Queue *queue, void *to, const void *host, size_t bytes)
{
    copy_any(queue, to, host, bytes, cudaMemcpyHostToDevice);
}

// Into pageable memory the copy has ended here, into page-locked memory it may not: then
// queue_wait finds the fault.
void copy_out_cuda(Queue *queue, void *host, const void *from, size_t bytes)
{
    copy_any(queue, host, from, bytes, cudaMemcpyDeviceToHost);
    faults_check();
}

void copy_cuda(Queue *queue, void *to, const void *from, size_t bytes)
{
    copy_any(queue, to, from, bytes, cudaMemcpyDeviceToDevice);
}

void fill_zero_cuda(Queue *queue, void *memory, size_t bytes)
{
    if (bytes > 0)
        CUDA(cudaMemsetAsync(memory, 0, bytes, stream_of(queue)));
}

void queue_wait_cuda(Queue *queue)
{
    CUDA(cudaStreamSynchronize(stream_of(queue)));
    faults_check();
}
