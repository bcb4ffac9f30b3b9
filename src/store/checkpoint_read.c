// checkpoint_read.c - a checkpoint from the disk to any number of ranks; see checkpoint.h.

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/checksum.h"
#include "files/raw.h"
#include "store/checkpoint.h"
#include "store/layout.h"

struct Checkpoint {
    const Group *group; // borrowed
    char *path;         // owned
    int descriptor;
    Layout layout;
};

// Everybody gets the trailer that rank 0 reads. Collective.
static int share_trailer(const Checkpoint *checkpoint, ChecksumTrailer *trailer)
{
    const Group *group = checkpoint->group;
    int status = 0;
    if (group->rank == 0) {
        int64_t bytes = 0;
        int descriptor = raw_open(checkpoint->path, &bytes);
        status = descriptor < 0
                     ? -1
                     : checksum_read_trailer(descriptor, checkpoint->path, bytes, trailer);
        if (descriptor >= 0)
            close(descriptor);
    }
    if (group_agree(group, status))
        return -1;
    group_broadcast(group, &trailer->payload_bytes, sizeof trailer->payload_bytes, 0);
    group_broadcast(group, &trailer->block_count, sizeof trailer->block_count, 0);
    if (group->rank != 0)
        trailer->hashes = allocate((size_t)trailer->block_count, sizeof *trailer->hashes);
    group_broadcast(group, trailer->hashes, (size_t)trailer->block_count * sizeof *trailer->hashes,
                    0);
    return 0;
}

// Rank 0 looks again at a damaged file, alone, to name the tensor as well.
static void name_damage(const Checkpoint *checkpoint)
{
    checkpoint_file_close(checkpoint_file_open(checkpoint->path, CHECKPOINT_VERIFY_ALL));
}

// Each rank verifies its share of the blocks. Collective.
static int verify(const Checkpoint *checkpoint)
{
    const Group *group = checkpoint->group;
    ChecksumTrailer trailer = {0};
    int64_t bad_block;
    int status = share_trailer(checkpoint, &trailer);
    if (status == 0) {
        int64_t share = (trailer.block_count + group->size - 1) / group->size;
        int64_t first =
            share * group->rank < trailer.block_count ? share * group->rank : trailer.block_count;
        int64_t count = trailer.block_count - first < share ? trailer.block_count - first : share;
        status = checksum_verify_blocks(checkpoint->descriptor, checkpoint->path, &trailer, first,
                                        count, &bad_block);
        status = group_agree(group, status);
        if (status) {
            if (group->rank == 0)
                name_damage(checkpoint);
            group_agree(group, status); // rank 0 speaks for all
        }
    }
    checksum_free(&trailer);
    return status;
}

// Collective.
static int share_layout(Checkpoint *checkpoint)
{
    int status = 0;
    if (checkpoint->group->rank == 0) {
        CheckpointFile *file = checkpoint_file_open(checkpoint->path, CHECKPOINT_VERIFY_TRAILER);
        status = file ? 0 : -1;
        if (file)
            layout_of_file(&checkpoint->layout, file);
        checkpoint_file_close(file);
    }
    if (group_agree(checkpoint->group, status))
        return -1;
    layout_broadcast(checkpoint->group, &checkpoint->layout, 0);
    return 0;
}

Checkpoint *checkpoint_open(const Group *group, const char *path, bool with_verification)
{
    Checkpoint *checkpoint = allocate(1, sizeof *checkpoint);
    checkpoint->group = group;
    checkpoint->path = duplicate(path);
    checkpoint->descriptor = raw_open(path, NULL);
    int status = group_agree(group, checkpoint->descriptor < 0 ? -1 : 0);
    if (status == 0 && with_verification)
        status = verify(checkpoint);
    if (status == 0)
        status = share_layout(checkpoint);
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

static int read_item(const Checkpoint *checkpoint, const CheckpointItem *item)
{
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, item->name);
    if (!tensor)
        return fail(EXIT_BAD_DATA, "%s has no '%s': it is of another model or of other settings",
                    checkpoint->path, item->name);
    if (tensor->rank != item->rank ||
        memcmp(tensor->shape, item->shape, (size_t)item->rank * sizeof *item->shape) != 0)
        return fail_shape(checkpoint, item, tensor);
    int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
    CHECK(item->first >= 0 && item->count >= 0 && item->first <= elements &&
              item->count <= elements - item->first,
          "elements [%lld, +%lld) of '%s'", (long long)item->first, (long long)item->count,
          item->name);
    size_t size = stored_type_bytes(tensor->type);
    int64_t offset = tensor->offset + item->first * (int64_t)size;
    if (tensor->type == item->type)
        return raw_read_at(checkpoint->descriptor, checkpoint->path, item->data,
                           (size_t)item->count * size, offset);
    if (item->type == STORED_F32 && (tensor->type == STORED_BF16 || tensor->type == STORED_F16))
        return raw_read_f32(checkpoint->descriptor, checkpoint->path, tensor->type, offset,
                            item->count, item->data);
    return fail(EXIT_BAD_DATA, "%s: '%s' is stored as %s, this run needs %s", checkpoint->path,
                item->name, stored_type_name(tensor->type), stored_type_name(item->type));
}

int checkpoint_read(const Checkpoint *checkpoint, const CheckpointItem *items, int64_t count)
{
    int status = 0;
    for (int64_t i = 0; i < count && status == 0; i++)
        status = read_item(checkpoint, &items[i]);
    return group_agree(checkpoint->group, status);
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
