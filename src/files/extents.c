#define _GNU_SOURCE // O_DIRECT

#include "files/extents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/block_walk.h"
#include "files/raw.h"

enum { DIRECT_SLICE = 8 << 20, READERS = 2 };

typedef struct {
    const char *path;
    int cached, direct; // descriptors; direct -1: the file system has no such writes
} Target;

static int open_target(Target *target, const char *file)
{
    target->cached = open(file, O_WRONLY | O_CLOEXEC);
    if (target->cached < 0)
        return fail(EXIT_CANNOT_WRITE,
                    "cannot open %s: %s (is the run's directory the same on every node?)", file,
                    strerror(errno));
    target->direct = open(file, O_WRONLY | O_DIRECT | O_CLOEXEC);
    return 0;
}

// How many bytes went past the page cache: fewer than asked where that is refused. -1: a failure.
static int64_t write_direct(const Target *target, const char *data, size_t bytes, int64_t offset)
{
    size_t done = 0;
    while (done < bytes && done % EXTENT_ALIGNMENT == 0) {
        size_t part = bytes - done < DIRECT_SLICE ? bytes - done : DIRECT_SLICE;
        ssize_t wrote = pwrite(target->direct, data + done, part, (off_t)(offset + (int64_t)done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && errno == EINVAL)
            break;
        if (wrote < 0)
            return raw_fail_write("write", target->path);
        done += (size_t)wrote;
    }
    return (int64_t)done;
}

// Bytes before the first page of the extent that can be written directly, and how many can.
static size_t direct_part(const Target *target, const Extent *extent, size_t *before)
{
    size_t into = (size_t)(extent->offset % EXTENT_ALIGNMENT);
    *before = into > 0 ? EXTENT_ALIGNMENT - into : 0;
    if (target->direct < 0 || *before >= extent->bytes ||
        (uintptr_t)(extent->data + *before) % EXTENT_ALIGNMENT != 0)
        return 0;
    return (extent->bytes - *before) / EXTENT_ALIGNMENT * EXTENT_ALIGNMENT;
}

static int write_extent(const Target *target, const Extent *extent)
{
    size_t before, part = direct_part(target, extent, &before);
    int64_t direct = 0;
    if (part > 0)
        direct =
            write_direct(target, extent->data + before, part, extent->offset + (int64_t)before);
    if (direct < 0)
        return -1;
    if (direct == 0)
        return raw_write_at(target->cached, target->path, extent->data, extent->bytes,
                            extent->offset);
    size_t after = before + (size_t)direct;
    if (raw_write_at(target->cached, target->path, extent->data, before, extent->offset))
        return -1;
    return raw_write_at(target->cached, target->path, extent->data + after, extent->bytes - after,
                        extent->offset + (int64_t)after);
}

int extents_write(const char *file, const char *path, const Extent *list, int64_t count)
{
    Target target = {.path = path};
    if (open_target(&target, file) != 0)
        return -1;
    int status = 0;
    for (int64_t i = 0; i < count && status == 0; i++)
        status = write_extent(&target, &list[i]);
    if (target.direct >= 0 && close(target.direct) != 0 && status == 0)
        status = raw_fail_write("close", path);
    if (status == 0)
        status = raw_sync(target.cached, path);
    posix_fadvise(target.cached, 0, 0, POSIX_FADV_DONTNEED);
    // Network file systems may report a lost write only here.
    if (close(target.cached) != 0 && status == 0)
        status = raw_fail_write("close", path);
    return status;
}

static void touch_blocks(const Extent *list, int64_t count, bool *touched)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t end = list[i].offset + (int64_t)list[i].bytes;
        int64_t block = list[i].offset / CHECKSUM_BLOCK_BYTES;
        for (; block * CHECKSUM_BLOCK_BYTES < end; block++)
            touched[block] = true;
    }
}

void extents_find_blocks(ExtentBlocks *blocks, int64_t payload_bytes, const Extent *list,
                         int64_t count)
{
    int64_t blocks_of_file = checksum_block_count(payload_bytes);
    *blocks = (ExtentBlocks){.payload_bytes = payload_bytes,
                             .block_count = blocks_of_file,
                             .touched = allocate((size_t)blocks_of_file, sizeof(bool)),
                             .hashes = allocate((size_t)blocks_of_file, sizeof(uint64_t))};
    touch_blocks(list, count, blocks->touched);
}

void extents_free_blocks(ExtentBlocks *blocks)
{
    release(blocks->touched);
    release(blocks->hashes);
    *blocks = (ExtentBlocks){0};
}

typedef struct {
    const char *path;
    const Extent *list;
    int64_t count;
    ExtentBlocks *blocks;
} Comparison;

// What an extent and a block have in common; 0: nothing.
static size_t common_part(const Extent *extent, int64_t block, size_t bytes, size_t *in_extent,
                          size_t *in_block)
{
    int64_t from = block * CHECKSUM_BLOCK_BYTES, to = from + (int64_t)bytes;
    int64_t first = extent->offset > from ? extent->offset : from;
    int64_t end = extent->offset + (int64_t)extent->bytes;
    int64_t last = end < to ? end : to;
    *in_extent = (size_t)(first - extent->offset);
    *in_block = (size_t)(first - from);
    return last > first ? (size_t)(last - first) : 0;
}

static int compare_block(void *context, int64_t block, const char *data, size_t bytes)
{
    const Comparison *comparison = context;
    comparison->blocks->hashes[block] = checksum_of_block(data, bytes);
    for (int64_t i = 0; i < comparison->count; i++) {
        const Extent *extent = &comparison->list[i];
        size_t in_extent, in_block;
        size_t common = common_part(extent, block, bytes, &in_extent, &in_block);
        if (common > 0 && memcmp(data + in_block, extent->data + in_extent, common) != 0)
            return fail(EXIT_CANNOT_WRITE,
                        "%s reads back other than it was written, in '%s': the disk or the memory "
                        "is faulty",
                        comparison->path, extent->name);
    }
    return 0;
}

int extents_compare(const char *file, const char *path, const Extent *list, int64_t count,
                    ExtentBlocks *blocks)
{
    int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail(EXIT_CANNOT_WRITE, "cannot read %s back: %s", path, strerror(errno));
    Comparison comparison = {.path = path, .list = list, .count = count, .blocks = blocks};
    int status = block_walk(&(BlockWalk){.descriptor = descriptor,
                                         .path = path,
                                         .payload_bytes = blocks->payload_bytes,
                                         .wanted = blocks->touched,
                                         .take = compare_block,
                                         .context = &comparison},
                            READERS);
    close(descriptor);
    return status == 0 ? 0 : fail_as(EXIT_CANNOT_WRITE);
}

typedef struct {
    const ChecksumTrailer *trailer;
    const char *path;
    const Extent *list;
    int64_t count;
    bool *checked;
    atomic_llong bad_block;
} Reading;

static int read_block(void *context, int64_t block, const char *data, size_t bytes)
{
    Reading *reading = context;
    if (!checksum_matches(reading->trailer, block, data, bytes)) {
        atomic_store(&reading->bad_block, block);
        return checksum_fail(reading->path, reading->trailer, block);
    }
    for (int64_t i = 0; i < reading->count; i++) {
        const Extent *extent = &reading->list[i];
        size_t in_extent, in_block;
        size_t common = common_part(extent, block, bytes, &in_extent, &in_block);
        if (common > 0)
            memcpy(extent->data + in_extent, data + in_block, common);
    }
    reading->checked[block] = true;
    return 0;
}

int extents_read(int descriptor, const char *path, const ChecksumTrailer *trailer,
                 const Extent *list, int64_t count, bool *checked, int64_t *bad_block)
{
    Reading reading = {trailer, path, list, count, checked, -1};
    bool *touched = allocate((size_t)trailer->block_count, sizeof *touched);
    touch_blocks(list, count, touched);
    int status = block_walk(&(BlockWalk){.descriptor = descriptor,
                                         .path = path,
                                         .payload_bytes = trailer->payload_bytes,
                                         .wanted = touched,
                                         .take = read_block,
                                         .context = &reading},
                            READERS);
    release(touched);
    *bad_block = atomic_load(&reading.bad_block);
    if (*bad_block >= 0)
        checksum_fail(path, trailer, *bad_block); // threads may have met several
    return status;
}
