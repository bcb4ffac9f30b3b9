// upload.cu - from the host to working memory without waiting.
//
// A queue has a ring of page-locked areas. An area is filled again when the event behind its last
// copy says that this copy is over, so that the host waits only where it is a whole ring ahead.

#include "kernels/cuda/cuda.h"

enum { AREAS = 4 };

typedef struct {
    void *memory; // owned, page-locked
    size_t bytes;
    cudaEvent_t copied; // owned, behind the last copy; NULL: never used
} Area;

typedef struct {
    Area areas[AREAS];
    int next;
} Ring;

static Ring rings[MOST_QUEUES];

static Area *area_due(Queue *queue)
{
    Ring *ring = &rings[queue_number(queue)];
    return &ring->areas[ring->next];
}

void *upload_begin(Queue *queue, size_t bytes)
{
    CHECK(!graph_is_open(queue), "a plan of attention is due inside a graph");
    Area *area = area_due(queue);
    if (area->copied)
        device_wait_event(area->copied);
    else
        CUDA(cudaEventCreateWithFlags(&area->copied, cudaEventDisableTiming));
    if (bytes <= area->bytes)
        return area->memory;
    CUDA(cudaFreeHost(area->memory));
    area->bytes = scratch_grown(bytes);
    CUDA(cudaHostAlloc(&area->memory, area->bytes, cudaHostAllocDefault));
    return area->memory;
}

void *upload_end(Queue *queue, Scratch use, size_t bytes)
{
    Area *area = area_due(queue);
    Ring *ring = &rings[queue_number(queue)];
    void *to = scratch_cuda(queue, use, bytes);
    CUDA(cudaMemcpyAsync(to, area->memory, bytes, cudaMemcpyHostToDevice, stream_of(queue)));
    CUDA(cudaEventRecord(area->copied, stream_of(queue)));
    ring->next = (ring->next + 1) % AREAS;
    return to;
}
