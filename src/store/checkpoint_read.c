// checkpoint_read.c - a checkpoint from the disk to any number of ranks; see checkpoint.h.

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/checksum.h"
#include "files/extents.h"
#include "files/raw.h"
#include "store/checkpoint.h"
#include "store/layout.h"

struct Checkpoint {
    const Group *group; // borrowed
    char *path;         // owned
    int descriptor;
    Layout layout;           // owned
    ChecksumTrailer trailer; // owned
    bool *checked;           // owned [trailer.block_count]: by this rank
    bool damaged;
};

static void broadcast_trailer(const Group *group, ChecksumTrailer *trailer)
{
    int64_t payload_bytes = trailer->payload_bytes;
    group_broadcast(group, &payload_bytes, sizeof payload_bytes, 0);
    if (group->rank != 0)
        checksum_make(trailer, payload_bytes);
    size_t count = (size_t)trailer->block_count;
    group_broadcast(group, trailer->hashes, count * sizeof *trailer->hashes, 0);
    group_broadcast(group, trailer->structure, count * sizeof *trailer->structure, 0);
}

static void take_file(Checkpoint *checkpoint, const CheckpointFile *file)
{
    const ChecksumTrailer *trailer = checkpoint_file_trailer(file);
    size_t count = (size_t)trailer->block_count;
    layout_of_file(&checkpoint->layout, file);
    checksum_make(&checkpoint->trailer, trailer->payload_bytes);
    memcpy(checkpoint->trailer.hashes, trailer->hashes, count * sizeof *trailer->hashes);
    memcpy(checkpoint->trailer.structure, trailer->structure, count * sizeof *trailer->structure);
}

// Everybody gets what rank 0 reads. Collective.
static int share_structure(Checkpoint *checkpoint)
{
    const Group *group = checkpoint->group;
    int status = 0;
    if (group->rank == 0) {
        CheckpointFile *file = checkpoint_file_open(checkpoint->path, CHECKPOINT_VERIFY_STRUCTURE);
        status = file ? 0 : -1;
        if (file)
            take_file(checkpoint, file);
        checkpoint_file_close(file);
    }
    if (group_agree(group, status))
        return -1;
    layout_broadcast(group, &checkpoint->layout, 0);
    broadcast_trailer(group, &checkpoint->trailer);
    size_t count = (size_t)checkpoint->trailer.block_count;
    checkpoint->checked = allocate(count, sizeof *checkpoint->checked);
    memcpy(checkpoint->checked, checkpoint->trailer.structure, count * sizeof(bool));
    return 0;
}

Checkpoint *checkpoint_open(const Group *group, const char *path)
{
    Checkpoint *checkpoint = allocate(1, sizeof *checkpoint);
    checkpoint->group = group;
    checkpoint->path = duplicate(path);
    checkpoint->descriptor = regular_open(path, NULL);
    int status = group_agree(group, checkpoint->descriptor < 0 ? -1 : 0);
    if (status == 0)
        status = share_structure(checkpoint);
    if (status == 0)
        return checkpoint;
    checkpoint_close(checkpoint);
    return NULL;
}

void checkpoint_close(Checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    if (checkpoint->descriptor >= 0)
        close(checkpoint->descriptor);
    layout_free(&checkpoint->layout);
    checksum_free(&checkpoint->trailer);
    release(checkpoint->checked);
    release(checkpoint->path);
    release(checkpoint);
}

static void print_shape(Bytes *text, int rank, const int64_t *shape)
{
    bytes_append_text(text, "[");
    for (int i = 0; i < rank; i++)
        bytes_print(text, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
    bytes_append_text(text, "]");
}

static int fail_shape(const Checkpoint *checkpoint, const CheckpointItem *item,
                      const CheckpointTensor *tensor)
{
    Bytes stored = {0}, wanted = {0};
    print_shape(&stored, tensor->rank, tensor->shape);
    print_shape(&wanted, item->rank, item->shape);
    fail(EXIT_BAD_DATA, "%s: '%s' has shape %s, this run needs %s: it is of another model",
         checkpoint->path, item->name, stored.data, wanted.data);
    bytes_free(&stored);
    bytes_free(&wanted);
    return -1;
}

static bool widens(const CheckpointTensor *tensor, const CheckpointItem *item)
{
    return item->type == STORED_F32 && (tensor->type == STORED_BF16 || tensor->type == STORED_F16);
}

static bool narrows(const CheckpointTensor *tensor, const CheckpointItem *item)
{
    return item->type == STORED_BF16 && tensor->type == STORED_F32;
}

// Where an item stands in the file and goes to; what is to be widened comes to the end of its
// place, what is to be narrowed to memory of its own.
static int place_item(const Checkpoint *checkpoint, const CheckpointItem *item, Extent *extent)
{
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, item->name);
    if (!tensor)
        return fail(EXIT_BAD_DATA, "%s has no '%s': it is of another model or of other settings",
                    checkpoint->path, item->name);
    if (tensor->rank != item->rank ||
        memcmp(tensor->shape, item->shape, (size_t)item->rank * sizeof *item->shape) != 0)
        return fail_shape(checkpoint, item, tensor);
    if (tensor->type != item->type && !widens(tensor, item) && !narrows(tensor, item))
        return fail(EXIT_BAD_DATA, "%s: '%s' is stored as %s, this run needs %s", checkpoint->path,
                    item->name, stored_type_name(tensor->type), stored_type_name(item->type));
    int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
    CHECK(item->first >= 0 && item->count >= 0 && item->first <= elements &&
              item->count <= elements - item->first,
          "elements [%lld, +%lld) of '%s'", (long long)item->first, (long long)item->count,
          item->name);
    size_t size = stored_type_bytes(tensor->type), count = (size_t)item->count;
    *extent = (Extent){.name = tensor->name,
                       .offset = tensor->offset + item->first * (int64_t)size,
                       .bytes = count * size};
    extent->data = narrows(tensor, item)
                       ? allocate(count, size)
                       : (char *)item->data + count * (stored_type_bytes(item->type) - size);
    return 0;
}

// In slices, each out of the way of what it becomes.
static void widen_item(const Checkpoint *checkpoint, const CheckpointItem *item,
                       const Extent *extent)
{
    enum { SLICE = 4096 };
    uint16_t halves[SLICE];
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, item->name);
    for (int64_t done = 0; widens(tensor, item) && done < item->count; done += SLICE) {
        int64_t part = item->count - done < SLICE ? item->count - done : SLICE;
        memcpy(halves, extent->data + (size_t)done * sizeof *halves, (size_t)part * sizeof *halves);
        stored_type_to_f32(tensor->type, halves, part, (float *)item->data + done);
    }
}

// What place_item made for an item; `came`: it was filled.
static void end_item(const Checkpoint *checkpoint, const CheckpointItem *item, const Extent *extent,
                     bool came)
{
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, item->name);
    if (!extent->data)
        return;
    if (came)
        widen_item(checkpoint, item, extent);
    if (came && narrows(tensor, item))
        stored_type_from_f32(STORED_BF16, (const float *)(const void *)extent->data, item->count,
                             item->data);
    if (narrows(tensor, item))
        release(extent->data);
}

// What a rank met while it read: the same on every rank, damage with the tensor. Collective.
static int agree_on_blocks(Checkpoint *checkpoint, int status, int64_t bad_block)
{
    const Layout *layout = &checkpoint->layout;
    if (bad_block >= 0) {
        Failure failure = {0};
        failure_keep(&failure);
        fail(failure.code, "%s, in %s", failure.message,
             checkpoint_file_owner(layout->tensors, layout->count, bad_block * CHECKSUM_BLOCK_BYTES,
                                   CHECKSUM_BLOCK_BYTES));
        failure_forget(&failure);
    }
    status = group_agree(checkpoint->group, status);
    checkpoint->damaged = checkpoint->damaged || status != 0;
    return status;
}

int checkpoint_read(Checkpoint *checkpoint, const CheckpointItem *items, int64_t count)
{
    Extent *extents = allocate((size_t)count, sizeof *extents);
    int64_t bad_block = -1;
    int status = 0;
    for (int64_t i = 0; i < count && status == 0; i++)
        status = place_item(checkpoint, &items[i], &extents[i]);
    status = group_agree(checkpoint->group, status);
    if (status == 0) {
        status = extents_read(checkpoint->descriptor, checkpoint->path, &checkpoint->trailer,
                              extents, count, checkpoint->checked, &bad_block);
        status = agree_on_blocks(checkpoint, status, bad_block);
    }
    for (int64_t i = 0; i < count; i++)
        end_item(checkpoint, &items[i], &extents[i], status == 0);
    release(extents);
    return status;
}

// The blocks of this rank's share that no rank has read. Collective.
static bool *find_unread(const Checkpoint *checkpoint)
{
    const Group *group = checkpoint->group;
    int64_t count = checkpoint->trailer.block_count;
    bool *all = allocate((size_t)(count * group->size), sizeof *all);
    bool *unread = allocate((size_t)count, sizeof *unread);
    group_all_gather(group, checkpoint->checked, (size_t)count * sizeof *all, all);
    for (int64_t block = 0; block < count; block++) {
        bool checked = false;
        for (int rank = 0; rank < group->size; rank++)
            checked = checked || all[rank * count + block];
        unread[block] = !checked && block % group->size == group->rank;
    }
    release(all);
    return unread;
}

int checkpoint_verify(Checkpoint *checkpoint)
{
    int64_t bad_block;
    bool *unread = find_unread(checkpoint);
    int status = checksum_verify(checkpoint->descriptor, checkpoint->path, &checkpoint->trailer,
                                 unread, &bad_block);
    release(unread);
    return agree_on_blocks(checkpoint, status, bad_block);
}

bool checkpoint_damaged(const Checkpoint *checkpoint)
{
    return checkpoint->damaged;
}

const CheckpointTensor *checkpoint_tensor(const Checkpoint *checkpoint, const char *name)
{
    int64_t index = layout_find(&checkpoint->layout, name);
    return index < 0 ? NULL : &checkpoint->layout.tensors[index];
}

int64_t checkpoint_count(const Checkpoint *checkpoint)
{
    return checkpoint->layout.count;
}

const CheckpointTensor *checkpoint_tensor_at(const Checkpoint *checkpoint, int64_t index)
{
    CHECK(index >= 0 && index < checkpoint->layout.count, "tensor %lld", (long long)index);
    return &checkpoint->layout.tensors[index];
}

const CheckpointAttribute *checkpoint_attribute(const Checkpoint *checkpoint, const char *name)
{
    for (int64_t i = 0; i < checkpoint->layout.attribute_count; i++) {
        if (strcmp(checkpoint->layout.attributes[i].name, name) == 0)
            return &checkpoint->layout.attributes[i];
    }
    return NULL;
}

// The attribute if it is there and of that kind.
static const CheckpointAttribute *demand(const Checkpoint *checkpoint, const char *name,
                                         AttributeKind kind)
{
    const CheckpointAttribute *attribute = checkpoint_attribute(checkpoint, name);
    if (attribute && attribute->kind == kind)
        return attribute;
    fail(EXIT_BAD_DATA, "%s has no %s attribute '%s'", checkpoint->path,
         kind == ATTRIBUTE_TEXT      ? "text"
         : kind == ATTRIBUTE_INTEGER ? "whole-number"
                                     : "real-number",
         name);
    return NULL;
}

int checkpoint_text(const Checkpoint *checkpoint, const char *name, const char **text)
{
    const CheckpointAttribute *attribute = demand(checkpoint, name, ATTRIBUTE_TEXT);
    if (attribute)
        *text = attribute->text;
    return attribute ? 0 : -1;
}

int checkpoint_integer(const Checkpoint *checkpoint, const char *name, int64_t *value)
{
    const CheckpointAttribute *attribute = demand(checkpoint, name, ATTRIBUTE_INTEGER);
    if (attribute)
        *value = attribute->integer;
    return attribute ? 0 : -1;
}

int checkpoint_real(const Checkpoint *checkpoint, const char *name, double *value)
{
    const CheckpointAttribute *attribute = demand(checkpoint, name, ATTRIBUTE_REAL);
    if (attribute)
        *value = attribute->real;
    return attribute ? 0 : -1;
}
