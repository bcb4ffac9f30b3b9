#include "files/block_walk.h"

#include <stdatomic.h>

#include "base/background.h"
#include "base/memory.h"
#include "files/checksum.h"
#include "files/raw.h"

enum { WINDOW_BLOCKS = 4, THREADS_MAXIMUM = 8 };

typedef struct {
    const BlockWalk *walk;
    int64_t block_count;
    atomic_llong next; // window
    atomic_bool stopped;
} Progress;

// Reads blocks [first, end) by one call and hands them on.
static int take_run(const BlockWalk *walk, char *buffer, int64_t first, int64_t end)
{
    int64_t from = first * CHECKSUM_BLOCK_BYTES, to = end * CHECKSUM_BLOCK_BYTES;
    to = to < walk->payload_bytes ? to : walk->payload_bytes;
    int status = raw_read_at(walk->descriptor, walk->path, buffer, (size_t)(to - from), from);
    for (int64_t block = first; block < end && status == 0; block++) {
        int64_t begin = block * CHECKSUM_BLOCK_BYTES, left = to - begin;
        status = walk->take(walk->context, block, buffer + (begin - from),
                            (size_t)(left < CHECKSUM_BLOCK_BYTES ? left : CHECKSUM_BLOCK_BYTES));
    }
    return status;
}

static int take_window(const Progress *progress, char *buffer, int64_t window)
{
    const BlockWalk *walk = progress->walk;
    int64_t end = (window + 1) * WINDOW_BLOCKS;
    end = end < progress->block_count ? end : progress->block_count;
    int status = 0;
    for (int64_t first = window * WINDOW_BLOCKS, next; first < end && status == 0; first = next) {
        next = first + 1;
        if (!walk->wanted[first])
            continue;
        while (next < end && walk->wanted[next])
            next++;
        status = take_run(walk, buffer, first, next);
    }
    return status;
}

static int work(void *context)
{
    Progress *progress = context;
    char *buffer = allocate(WINDOW_BLOCKS, CHECKSUM_BLOCK_BYTES);
    int status = 0;
    while (status == 0 && !atomic_load(&progress->stopped)) {
        int64_t window = atomic_fetch_add(&progress->next, 1);
        if (window * WINDOW_BLOCKS >= progress->block_count)
            break;
        status = take_window(progress, buffer, window);
    }
    if (status != 0)
        atomic_store(&progress->stopped, true);
    release(buffer);
    return status;
}

int block_walk(const BlockWalk *walk, int threads)
{
    Progress progress = {.walk = walk, .block_count = checksum_block_count(walk->payload_bytes)};
    Background others[THREADS_MAXIMUM];
    CHECK(threads >= 1 && threads <= THREADS_MAXIMUM, "%d threads", threads);
    for (int i = 1; i < threads; i++)
        background_begin(&others[i], work, &progress);
    int status = work(&progress);
    Failure failure = {0};
    if (status != 0)
        failure_keep(&failure);
    for (int i = 1; i < threads; i++) {
        if (background_end(&others[i]) != 0 && status == 0) {
            status = -1;
            failure_keep(&failure);
        }
    }
    return status == 0 ? 0 : failure_repeat(&failure);
}
