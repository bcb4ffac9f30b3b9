// memory.c - device memory of the CPU, which is the host's, and working memory of threads.

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/cpu/cpu.h"

enum { COPY_CHUNK = 256 * 1024, COPY_PARALLEL = 1024 * 1024 };

void *memory_make_cpu(size_t bytes)
{
    return allocate(bytes, 1);
}

void memory_free_cpu(void *memory)
{
    release(memory);
}

void copy_cpu(Queue *queue, void *to, const void *from, size_t bytes)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (bytes >= COPY_PARALLEL)
    for (size_t first = 0; first < bytes; first += COPY_CHUNK) {
        size_t length = bytes - first < COPY_CHUNK ? bytes - first : COPY_CHUNK;
        memcpy((char *)to + first, (const char *)from + first, length);
    }
}

void copy_in_cpu(Queue *queue, void *device, const void *host, size_t bytes)
{
    copy_cpu(queue, device, host, bytes);
}

void copy_out_cpu(Queue *queue, void *host, const void *device, size_t bytes)
{
    copy_cpu(queue, host, device, bytes);
}

void fill_zero_cpu(Queue *queue, void *device, size_t bytes)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (bytes >= COPY_PARALLEL)
    for (size_t first = 0; first < bytes; first += COPY_CHUNK) {
        size_t length = bytes - first < COPY_CHUNK ? bytes - first : COPY_CHUNK;
        memset((char *)device + first, 0, length);
    }
}

void queue_wait_cpu(Queue *queue)
{
    (void)queue;
}

static pthread_key_t scratch_key;

static void make_scratch_key(void)
{
    pthread_key_create(&scratch_key, release);
}

// A thread's own, because rows of one call are shared out among threads; its size is settled by the
// first call at a given width. It goes with its thread: OpenMP ends those that a smaller team
// leaves.
void *scratch_cpu(size_t bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local void *memory;
    static _Thread_local size_t capacity;
    if (bytes > capacity) {
        release(memory);
        memory = allocate(bytes, 1);
        capacity = bytes;
        pthread_once(&once, make_scratch_key);
        pthread_setspecific(scratch_key, memory);
    }
    return memory;
}
