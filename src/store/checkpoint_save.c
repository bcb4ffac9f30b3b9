// checkpoint_save.c - a checkpoint from the ranks to the disk, behind their backs; see
// checkpoint.h.
//
// MPI belongs to the callers' thread: it plans, and tells every rank where everything goes. A
// thread of each rank does one phase after the other: rank 0's makes the file with HDF5, all write
// and read back with plain file operations, rank 0's gives the file its trailer and its name. Every
// phase ends in an agreement, so that all ranks leave together. Ranks close and open the file
// between writing and reading back: on a network file system that makes each see what the others
// wrote.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/background.h"
#include "base/clock.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/checksum.h"
#include "files/extents.h"
#include "files/raw.h"
#include "store/checkpoint.h"
#include "store/layout.h"

typedef enum { PHASE_CREATE, PHASE_WRITE, PHASE_COMPARE, PHASE_FINISH, PHASE_OVER } Phase;

struct CheckpointSave {
    const Group *group; // borrowed
    char *path;         // owned
    Bytes temporary;    // owned; empty: none was made
    Layout layout;      // owned
    int64_t payload_bytes;
    Extent *extents; // owned; data borrowed; at offsets in their tensors until the file is made
    int64_t extent_count;
    ExtentBlocks blocks; // of this rank's extents; on rank 0 then of all
    CheckpointHooks hooks;
    Phase phase;
    double seconds; // of this rank's phases so far
    Background background;
    Failure failure; // of a save that is over
};

// ---- the callers' thread ------------------------------------------------------------------------

// Everybody learns the layout; nothing is created yet. Collective.
static int plan(CheckpointSave *save, const CheckpointContent *content)
{
    int status = 0;
    if (save->group->rank == 0)
        status = layout_of_content(&save->layout, content);
    if (group_agree(save->group, status))
        return -1;
    layout_broadcast(save->group, &save->layout, 0);
    return layout_check_cover(save->group, &save->layout, content->items, content->count);
}

static void list_extents(CheckpointSave *save, const CheckpointContent *content)
{
    save->extents = allocate((size_t)content->count, sizeof *save->extents);
    for (int64_t i = 0; i < content->count; i++) {
        const CheckpointItem *item = &content->items[i];
        const CheckpointTensor *tensor =
            &save->layout.tensors[layout_find(&save->layout, item->name)];
        size_t size = stored_type_bytes(item->type);
        if (item->count > 0)
            save->extents[save->extent_count++] = (Extent){.name = tensor->name,
                                                           .offset = item->first * (int64_t)size,
                                                           .bytes = (size_t)item->count * size,
                                                           .data = item->data};
    }
}

// Everybody learns the file's name and the offsets. Collective.
static void place_extents(CheckpointSave *save)
{
    const Group *group = save->group;
    Layout *layout = &save->layout;
    group_broadcast_bytes(group, &save->temporary, 0);
    group_broadcast(group, &save->payload_bytes, sizeof save->payload_bytes, 0);
    int64_t *offsets = allocate((size_t)layout->count, sizeof *offsets);
    for (int64_t i = 0; i < layout->count; i++)
        offsets[i] = layout->tensors[i].offset;
    group_broadcast(group, offsets, (size_t)layout->count * sizeof *offsets, 0);
    for (int64_t i = 0; i < layout->count; i++)
        layout->tensors[i].offset = offsets[i];
    release(offsets);
    for (int64_t i = 0; i < save->extent_count; i++) {
        Extent *extent = &save->extents[i];
        extent->offset += layout->tensors[layout_find(layout, extent->name)].offset;
    }
    extents_find_blocks(&save->blocks, save->payload_bytes, save->extents, save->extent_count);
}

typedef struct {
    int64_t block;
    uint64_t hash;
} BlockHash;

static int take_hashes(CheckpointSave *save, const BlockHash *found, int64_t count)
{
    ExtentBlocks *blocks = &save->blocks;
    for (int64_t i = 0; i < count; i++) {
        int64_t block = found[i].block;
        if (blocks->touched[block] && blocks->hashes[block] != found[i].hash)
            return fail(EXIT_CANNOT_WRITE,
                        "two ranks read block %lld of %s differently: the file system does not "
                        "show every node the same",
                        (long long)block, save->path);
        blocks->touched[block] = true;
        blocks->hashes[block] = found[i].hash;
    }
    return 0;
}

// Rank 0 learns the hashes of all blocks that anybody touched. Collective.
static int gather_hashes(CheckpointSave *save)
{
    Bytes mine = {0}, all = {0};
    for (int64_t block = 0; block < save->blocks.block_count; block++) {
        BlockHash hash = {block, save->blocks.hashes[block]};
        if (save->blocks.touched[block])
            bytes_append(&mine, &hash, sizeof hash);
    }
    size_t *starts = allocate((size_t)save->group->size + 1, sizeof *starts);
    group_all_gather_bytes(save->group, &mine, &all, starts);
    int status = 0;
    if (save->group->rank == 0)
        status = take_hashes(save, (const BlockHash *)(void *)all.data,
                             (int64_t)(all.length / sizeof(BlockHash)));
    release(starts);
    bytes_free(&mine);
    bytes_free(&all);
    return group_agree(save->group, status);
}

// ---- a thread of the save -----------------------------------------------------------------------

static int create(CheckpointSave *save)
{
    Layout *layout = &save->layout;
    char *temporary = atomic_temporary_name(save->path);
    int status =
        checkpoint_file_create(temporary, layout->tensors, layout->count, layout->attributes,
                               layout->attribute_count, &save->payload_bytes);
    if (status == 0)
        bytes_append_text(&save->temporary, temporary);
    release(temporary);
    return status;
}

// The hashes of all blocks: those that hold nobody's data, only structure, are still missing.
static int make_trailer(const CheckpointSave *save, int descriptor, ChecksumTrailer *trailer)
{
    int status = 0;
    checksum_make(trailer, save->payload_bytes);
    checkpoint_file_note_structure(trailer, save->layout.tensors, save->layout.count);
    for (int64_t block = 0; block < trailer->block_count && status == 0; block++) {
        trailer->hashes[block] = save->blocks.hashes[block];
        if (!save->blocks.touched[block])
            status = checksum_hash_blocks(descriptor, save->path, save->payload_bytes, block, 1,
                                          &trailer->hashes[block]);
    }
    return status == 0 ? 0 : fail_as(EXIT_CANNOT_WRITE);
}

static int seal(const CheckpointSave *save, int descriptor)
{
    ChecksumTrailer trailer;
    int status = make_trailer(save, descriptor, &trailer);
    if (status == 0)
        status = checksum_write_trailer(descriptor, save->path, &trailer);
    if (status == 0)
        status = raw_sync(descriptor, save->path);
    checksum_free(&trailer);
    return status;
}

static int finish(const CheckpointSave *save)
{
    const char *file = save->temporary.data;
    int descriptor = open(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return fail(EXIT_CANNOT_WRITE, "cannot open %s: %s", file, strerror(errno));
    int status = seal(save, descriptor);
    if (close(descriptor) != 0 && status == 0)
        status = raw_fail_write("close", save->path);
    if (status == 0 && save->hooks.before)
        status = save->hooks.before(save->hooks.context);
    if (status == 0)
        status = atomic_rename(file, save->path);
    if (status == 0 && save->hooks.after)
        status = save->hooks.after(save->hooks.context);
    return status;
}

static int work_on_phase(CheckpointSave *save)
{
    switch (save->phase) {
    case PHASE_CREATE:
        return save->group->rank == 0 ? create(save) : 0;
    case PHASE_WRITE:
        return extents_write(save->temporary.data, save->path, save->extents, save->extent_count);
    case PHASE_COMPARE:
        return extents_compare(save->temporary.data, save->path, save->extents, save->extent_count,
                               &save->blocks);
    default:
        return save->group->rank == 0 ? finish(save) : 0;
    }
}

static int do_phase(void *context)
{
    CheckpointSave *save = context;
    double begun = clock_now();
    int status = work_on_phase(save);
    save->seconds += clock_now() - begun;
    return status;
}

// ---- the callers' thread again ------------------------------------------------------------------

static void free_save(CheckpointSave *save)
{
    failure_forget(&save->failure);
    extents_free_blocks(&save->blocks);
    layout_free(&save->layout);
    bytes_free(&save->temporary);
    release(save->extents);
    release(save->path);
    release(save);
}

CheckpointSave *checkpoint_save_begin(const Group *group, const char *path,
                                      CheckpointContent content, CheckpointHooks hooks)
{
    CheckpointSave *save = allocate(1, sizeof *save);
    *save = (CheckpointSave){.group = group, .path = duplicate(path), .hooks = hooks};
    if (plan(save, &content) != 0) {
        free_save(save);
        return NULL;
    }
    list_extents(save, &content);
    background_begin(&save->background, do_phase, save);
    return save;
}

// Ends a phase, waiting for this rank's part of it, and begins the next. Collective.
static void pass_on(CheckpointSave *save)
{
    int status = group_agree(save->group, background_end(&save->background));
    if (status == 0 && save->phase == PHASE_CREATE)
        place_extents(save);
    if (status == 0 && save->phase == PHASE_COMPARE)
        status = gather_hashes(save);
    save->phase = status == 0 ? save->phase + 1 : PHASE_OVER;
    if (save->phase != PHASE_OVER) {
        background_begin(&save->background, do_phase, save);
    } else if (status != 0) {
        failure_keep(&save->failure);
        if (save->group->rank == 0 && save->temporary.length > 0)
            unlink(save->temporary.data);
    }
}

bool checkpoint_save_progress(CheckpointSave *save)
{
    while (save->phase != PHASE_OVER &&
           group_maximum(save->group, !background_done(&save->background)) == 0)
        pass_on(save);
    return save->phase == PHASE_OVER;
}

int checkpoint_save_end(CheckpointSave *save, double *seconds)
{
    while (save->phase != PHASE_OVER)
        pass_on(save);
    if (seconds)
        *seconds = save->seconds;
    int status = save->failure.message ? failure_repeat(&save->failure) : 0;
    free_save(save);
    return status;
}

int checkpoint_write(const Group *group, const char *path, CheckpointContent content)
{
    CheckpointSave *save = checkpoint_save_begin(group, path, content, (CheckpointHooks){0});
    return save ? checkpoint_save_end(save, NULL) : -1;
}
