// memory.cu - device memory, copies, working memory of queues, and faults.

#include "kernels/cuda/cuda.h"

#include <limits.h>
#include <string.h>

enum { MOST_LOCKED = 64 };

typedef struct {
    void *memory; // owned
    size_t bytes;
} Block;

typedef struct {
    Queue *queue; // borrowed
    Block blocks[SCRATCH_COUNT];
    int64_t moves; // of blocks
} QueueScratch;

// Host memory that was made here.
typedef struct {
    char *memory; // owned
    size_t bytes;
} Locked;

static int *faults; // owned, page-locked [FAULT_COUNT]
static Locked locked[MOST_LOCKED];
static int locked_count;
static QueueScratch queues[MOST_QUEUES];
static int queue_count;

// ---- working memory -----------------------------------------------------------------------------

int queue_number(Queue *queue)
{
    for (int i = 0; i < queue_count; i++) {
        if (queues[i].queue == queue)
            return i;
    }
    CHECK(queue_count < MOST_QUEUES, "more than %d queues", MOST_QUEUES);
    queues[queue_count].queue = queue;
    return queue_count++;
}

void *scratch_cuda(Queue *queue, Scratch use, size_t bytes)
{
    QueueScratch *scratch = &queues[queue_number(queue)];
    Block *block = &scratch->blocks[use];
    if (bytes <= block->bytes)
        return block->memory;
    device_wait(stream_of(queue)); // kernels may still use the old block
    CUDA(cudaFree(block->memory));
    block->bytes = scratch_grown(bytes);
    CUDA(cudaMalloc(&block->memory, block->bytes));
    scratch->moves++;
    return block->memory;
}

int64_t scratch_moves(Queue *queue)
{
    return queues[queue_number(queue)].moves;
}

// ---- faults -------------------------------------------------------------------------------------

int *faults_cuda(void)
{
    if (!faults) {
        CUDA(cudaHostAlloc(&faults, FAULT_COUNT * sizeof *faults, cudaHostAllocMapped));
        for (int i = 0; i < FAULT_COUNT; i++)
            faults[i] = INT_MAX;
    }
    return faults;
}

void faults_check(void)
{
    int found[FAULT_COUNT];
    if (!faults)
        return;
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
        die(EXIT_NO_MEMORY, "the GPU '%s' has no %zu bytes left", device_cuda()->gpu.name, bytes);
    CUDA(status);
    CUDA(cudaMemsetAsync(memory, 0, bytes, stream_of(NULL)));
    device_wait(stream_of(NULL)); // zero before a kernel of any queue sees it
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
            device_cuda()->gpu.name);
    CUDA(status);
    memset(memory, 0, bytes);
    CHECK(locked_count < MOST_LOCKED, "more than %d blocks of host memory", MOST_LOCKED);
    locked[locked_count++] = {static_cast<char *>(memory), bytes};
    return memory;
}

void host_free_cuda(void *memory)
{
    int i = 0;
    while (i < locked_count && locked[i].memory != memory)
        i++;
    CHECK(i < locked_count, "host memory that is not ours");
    locked[i] = locked[--locked_count];
    CUDA(cudaFreeHost(memory));
}

static bool is_locked(const void *host)
{
    const char *at = static_cast<const char *>(host);
    for (int i = 0; i < locked_count; i++) {
        if (at >= locked[i].memory && at < locked[i].memory + locked[i].bytes)
            return true;
    }
    return false;
}

// `to` and `from`: whether they are device memory. Between two places of the host it copies itself,
// once the queue has come so far.
static void copy_any(Queue *queue, void *out, bool to, const void *in, bool from, size_t bytes)
{
    if (bytes == 0)
        return;
    if (!to && !from) {
        device_wait(stream_of(queue));
        memcpy(out, in, bytes);
        return;
    }
    cudaMemcpyKind kind = !from ? cudaMemcpyHostToDevice
                          : to  ? cudaMemcpyDeviceToDevice
                                : cudaMemcpyDeviceToHost;
    CUDA(cudaMemcpyAsync(out, in, bytes, kind, stream_of(queue)));
}

void copy_in_cuda(Queue *queue, void *to, const void *host, size_t bytes)
{
    copy_any(queue, to, !is_locked(to), host, false, bytes);
}

// Other memory than host_make's is waited for inside the call, where nobody would watch: so before.
void copy_out_cuda(Queue *queue, void *host, const void *from, size_t bytes)
{
    if (!is_locked(host))
        device_wait(stream_of(queue));
    copy_any(queue, host, false, from, !is_locked(from), bytes);
    faults_check();
}

void copy_cuda(Queue *queue, void *to, const void *from, size_t bytes)
{
    copy_any(queue, to, !is_locked(to), from, !is_locked(from), bytes);
}

void fill_zero_cuda(Queue *queue, void *memory, size_t bytes)
{
    if (is_locked(memory)) {
        device_wait(stream_of(queue));
        memset(memory, 0, bytes);
    } else if (bytes > 0) {
        CUDA(cudaMemsetAsync(memory, 0, bytes, stream_of(queue)));
    }
}

void queue_wait_cuda(Queue *queue)
{
    device_wait(stream_of(queue));
    faults_check();
}
