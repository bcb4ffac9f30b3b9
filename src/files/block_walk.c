#define _GNU_SOURCE // O_DIRECT

#include "files/block_walk.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/activity.h"
#include "base/background.h"
#include "base/memory.h"
#include "files/checksum.h"
#include "files/raw.h"

enum { WINDOW_BLOCKS_MAXIMUM = 32, THREADS_MAXIMUM = 8, PAGE_BYTES = 4096 };

typedef struct {
    const BlockWalk *walk;
    int64_t block_count;
    int64_t window_blocks; // that a thread reads at once
    size_t window_bytes;   // whole pages
    atomic_llong next;     // window
    atomic_bool stopped;
} Progress;

static void set_direct(int descriptor, bool direct)
{
    int flags = fcntl(descriptor, F_GETFL);
    fcntl(descriptor, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

// Whole pages into a page-aligned buffer; what does not come like that comes through the page
// cache.
static int read_pages(const BlockWalk *walk, char *buffer, size_t bytes, int64_t offset)
{
    size_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    ssize_t came = pread(walk->descriptor, buffer, pages, (off_t)offset);
    if (came >= (ssize_t)bytes)
        return 0;
    set_direct(walk->descriptor, false);
    return raw_read_at(walk->descriptor, walk->path, buffer, bytes, offset);
}

// Reads blocks [first, end) by one call and hands them on.
static int take_run(const BlockWalk *walk, char *buffer, int64_t first, int64_t end)
{
    int64_t from = first * CHECKSUM_BLOCK_BYTES, to = end * CHECKSUM_BLOCK_BYTES;
    to = to < walk->payload_bytes ? to : walk->payload_bytes;
    int status = read_pages(walk, buffer, (size_t)(to - from), from);
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
    int64_t end = (window + 1) * progress->window_blocks;
    end = end < progress->block_count ? end : progress->block_count;
    int status = 0;
    for (int64_t first = window * progress->window_blocks, next; first < end && status == 0;
         first = next) {
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
    char *memory = allocate(progress->window_bytes + PAGE_BYTES, 1);
    char *buffer = memory + (PAGE_BYTES - (uintptr_t)memory % PAGE_BYTES) % PAGE_BYTES;
    int status = 0;
    while (status == 0 && !atomic_load(&progress->stopped)) {
        int64_t window = atomic_fetch_add(&progress->next, 1);
        if (window * progress->window_blocks >= progress->block_count)
            break;
        activity_sign();
        status = take_window(progress, buffer, window);
    }
    if (status != 0)
        atomic_store(&progress->stopped, true);
    release(memory);
    return status;
}

int block_walk(const BlockWalk *walk, int threads)
{
    Progress progress = {.walk = walk, .block_count = checksum_block_count(walk->payload_bytes)};
    Background others[THREADS_MAXIMUM];
    CHECK(threads >= 1 && threads <= THREADS_MAXIMUM, "%d threads", threads);
    // Of a small file each thread has a share: no thread, and no room, that is not needed.
    if (threads > progress.block_count)
        threads = progress.block_count > 0 ? (int)progress.block_count : 1;
    int64_t share = (progress.block_count + threads - 1) / threads;
    progress.window_blocks = share < WINDOW_BLOCKS_MAXIMUM ? share : WINDOW_BLOCKS_MAXIMUM;
    int64_t window = progress.window_blocks * CHECKSUM_BLOCK_BYTES;
    window = window < walk->payload_bytes ? window : walk->payload_bytes;
    progress.window_bytes = (size_t)(window + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    set_direct(walk->descriptor, true);
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
    set_direct(walk->descriptor, false);
    return status == 0 ? 0 : failure_repeat(&failure);
}
