// checkpoint_write.c - a checkpoint from the ranks to the disk; see checkpoint.h.
//
// Every phase ends in an agreement, so that all ranks leave together, and the file gets its name
// only after the last one. Ranks close and open the file between writing and reading back: on a
// network file system that makes each see what the others wrote.

#define _GNU_SOURCE // posix_fadvise

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/checksum.h"
#include "files/raw.h"
#include "store/checkpoint.h"
#include "store/layout.h"

enum { SLICE_BYTES = 4 << 20 };

typedef struct {
    const Group *group; // borrowed
    const char *path;   // borrowed
    Bytes temporary;    // owned
    Layout layout;      // owned
    int64_t payload_bytes;
    const CheckpointItem *items; // borrowed
    int64_t count;
} Writing;

int64_t checkpoint_bytes(const CheckpointItem *items, int64_t count)
{
    enum { STRUCTURE_BYTES = 4096 }; // of HDF5, and the alignment, for each tensor
    Layout layout;
    if (layout_of_items(&layout, items, count))
        die_failed();
    int64_t bytes = 1 << 18;
    for (int64_t i = 0; i < layout.count; i++) {
        const CheckpointTensor *tensor = &layout.tensors[i];
        bytes += stored_type_elements(tensor->type, tensor->rank, tensor->shape) *
                     (int64_t)stored_type_bytes(tensor->type) +
                 STRUCTURE_BYTES;
    }
    layout_free(&layout);
    return bytes + checksum_block_count(bytes) * (int64_t)sizeof(uint64_t);
}

// Everybody learns the layout; nothing is created yet. Collective.
static int plan(Writing *writing)
{
    int status = 0;
    if (writing->group->rank == 0)
        status = layout_of_items(&writing->layout, writing->items, writing->count);
    if (group_agree(writing->group, status))
        return -1;
    layout_broadcast(writing->group, &writing->layout, 0);
    return layout_check_cover(writing->group, &writing->layout, writing->items, writing->count);
}

// Rank 0 makes the file, everybody learns its name and the offsets. Collective.
static int create(Writing *writing, const CheckpointAttribute *attributes, int64_t attribute_count)
{
    const Group *group = writing->group;
    Layout *layout = &writing->layout;
    int status = 0;
    if (group->rank == 0) {
        char *temporary = atomic_temporary_name(writing->path);
        bytes_append_text(&writing->temporary, temporary);
        release(temporary);
        status = checkpoint_file_create(writing->temporary.data, layout->tensors, layout->count,
                                        attributes, attribute_count, &writing->payload_bytes);
    }
    if (group_agree(group, status)) {
        bytes_free(&writing->temporary); // there is nothing to remove
        return -1;
    }
    group_broadcast_bytes(group, &writing->temporary, 0);
    group_broadcast(group, &writing->payload_bytes, sizeof writing->payload_bytes, 0);
    int64_t *offsets = allocate((size_t)layout->count, sizeof *offsets);
    for (int64_t i = 0; i < layout->count; i++)
        offsets[i] = layout->tensors[i].offset;
    group_broadcast(group, offsets, (size_t)layout->count * sizeof *offsets, 0);
    for (int64_t i = 0; i < layout->count; i++)
        layout->tensors[i].offset = offsets[i];
    release(offsets);
    return 0;
}

static int open_temporary(const Writing *writing)
{
    int descriptor = open(writing->temporary.data, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return fail(EXIT_CANNOT_WRITE,
                    "cannot open %s: %s (is the run's directory the same on every node?)",
                    writing->temporary.data, strerror(errno));
    return descriptor;
}

// Where an item's bytes stand in the file.
static int64_t item_offset(const Writing *writing, const CheckpointItem *item)
{
    const CheckpointTensor *tensor =
        &writing->layout.tensors[layout_find(&writing->layout, item->name)];
    return tensor->offset + item->first * (int64_t)stored_type_bytes(item->type);
}

static int write_items(const Writing *writing)
{
    int descriptor = open_temporary(writing);
    if (descriptor < 0)
        return -1;
    int status = 0;
    for (int64_t i = 0; i < writing->count && status == 0; i++) {
        const CheckpointItem *item = &writing->items[i];
        size_t bytes = (size_t)item->count * stored_type_bytes(item->type);
        if (bytes > 0)
            status = raw_write_at(descriptor, writing->path, item->data, bytes,
                                  item_offset(writing, item));
    }
    if (status == 0)
        status = raw_sync(descriptor, writing->path);
    // Read back from the disk, not from what the system still remembers.
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    if (close(descriptor) != 0 && status == 0)
        status = raw_fail_write("close", writing->path);
    return status;
}

static int compare_item(const Writing *writing, int descriptor, const CheckpointItem *item,
                        char *slice)
{
    const char *data = item->data;
    size_t bytes = (size_t)item->count * stored_type_bytes(item->type);
    if (bytes == 0)
        return 0;
    int64_t offset = item_offset(writing, item);
    for (size_t done = 0; done < bytes; done += SLICE_BYTES) {
        size_t part = bytes - done < SLICE_BYTES ? bytes - done : SLICE_BYTES;
        if (raw_read_at(descriptor, writing->path, slice, part, offset + (int64_t)done))
            return -1;
        if (memcmp(slice, data + done, part) != 0)
            return fail(EXIT_CANNOT_WRITE,
                        "%s reads back other than it was written, in '%s': the disk or the memory "
                        "is faulty",
                        writing->path, item->name);
    }
    return 0;
}

static int compare_items(const Writing *writing)
{
    int descriptor = open_temporary(writing);
    if (descriptor < 0)
        return -1;
    int status = 0;
    char *slice = allocate(SLICE_BYTES, 1);
    for (int64_t i = 0; i < writing->count && status == 0; i++)
        status = compare_item(writing, descriptor, &writing->items[i], slice);
    release(slice);
    close(descriptor);
    return status;
}

// Hashes of all blocks on rank 0, each computed by one rank. Collective.
static int hash_blocks(const Writing *writing, ChecksumTrailer *trailer)
{
    const Group *group = writing->group;
    int64_t blocks = checksum_block_count(writing->payload_bytes);
    int64_t share = (blocks + group->size - 1) / group->size;
    int64_t first = share * group->rank < blocks ? share * group->rank : blocks;
    int64_t count = blocks - first < share ? blocks - first : share;
    uint64_t *mine = allocate((size_t)share, sizeof *mine);
    *trailer = (ChecksumTrailer){writing->payload_bytes, blocks, NULL};
    trailer->hashes = allocate((size_t)(share * group->size), sizeof *trailer->hashes);
    int descriptor = open_temporary(writing);
    int status = descriptor < 0 ? -1
                                : checksum_hash_blocks(descriptor, writing->path,
                                                       writing->payload_bytes, first, count, mine);
    if (descriptor >= 0)
        close(descriptor);
    status = group_agree(group, status);
    if (status == 0)
        group_gather(group, mine, (size_t)share * sizeof *mine, trailer->hashes, 0);
    release(mine);
    return status;
}

static int finish(const Writing *writing, const ChecksumTrailer *trailer)
{
    int descriptor = open_temporary(writing);
    if (descriptor < 0)
        return -1;
    int status = checksum_write_trailer(descriptor, writing->path, trailer);
    if (status == 0)
        status = raw_sync(descriptor, writing->path);
    if (close(descriptor) != 0 && status == 0)
        status = raw_fail_write("close", writing->path);
    return status ? -1 : atomic_rename(writing->temporary.data, writing->path);
}

// The phases after the file exists. Collective.
static int fill(const Writing *writing)
{
    const Group *group = writing->group;
    ChecksumTrailer trailer = {0};
    int status = group_agree(group, write_items(writing));
    if (status == 0)
        status = group_agree(group, compare_items(writing));
    if (status == 0)
        status = hash_blocks(writing, &trailer);
    if (status == 0)
        status = group_agree(group, group->rank == 0 ? finish(writing, &trailer) : 0);
    checksum_free(&trailer);
    return status;
}

int checkpoint_write(const Group *group, const char *path, const CheckpointItem *items,
                     int64_t count, const CheckpointAttribute *attributes, int64_t attribute_count)
{
    Writing writing = {.group = group, .path = path, .items = items, .count = count};
    int status = plan(&writing);
    if (status == 0)
        status = create(&writing, attributes, attribute_count);
    if (status == 0) {
        status = fill(&writing);
        if (status && group->rank == 0)
            unlink(writing.temporary.data);
    }
    layout_free(&writing.layout);
    bytes_free(&writing.temporary);
    return status;
}
