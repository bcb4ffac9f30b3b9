// state_owner.c - what a training run keeps beside its arrays: the model's files; see state.h.

#include <unistd.h>

#include "base/regular.h"
#include "files/atomic.h"
#include "files/directory.h"
#include "files/extents.h"
#include "tasks/state.h"

static const char *const side_files[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
};

enum {
    SIDE_FILES = sizeof side_files / sizeof *side_files,
    SIDE_FILE_LIMIT = 256 << 20, // bytes; a tokenizer.json has 3 to 35 MB
};

// One that is not there stays empty.
static int read_side_file(const char *directory, const char *name, Bytes *bytes)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    int status = 0;
    if (access(path.data, F_OK) == 0)
        status = regular_read(path.data, SIDE_FILE_LIMIT, bytes);
    bytes_free(&path);
    return status;
}

int state_owner_make(StateOwner *owner, const char *directory)
{
    *owner = (StateOwner){.writes = true, .files = allocate(SIDE_FILES, sizeof(SideFile))};
    for (size_t i = 0; i < SIDE_FILES; i++) {
        SideFile file = {.name = side_files[i]};
        if (read_side_file(directory, file.name, &file.bytes) != 0)
            return -1;
        if (file.bytes.length > 0)
            owner->files[owner->file_count++] = file;
    }
    return 0;
}

void state_owner_free(StateOwner *owner)
{
    for (int64_t i = 0; i < owner->file_count; i++)
        bytes_free(&owner->files[i].bytes);
    state_owner_drop_sampled(owner);
    if (owner->snapshot)
        owner->kernels->host_free(owner->snapshot);
    release(owner->files);
    release(owner->settings);
    *owner = (StateOwner){0};
}

size_t state_snapshot_bytes(const Parameters *parameters, ElementType moments,
                            size_t published_element)
{
    size_t element = sizeof(float) + 2 * type_bytes(moments) + published_element;
    return (size_t)parameters->local * element + EXTENT_ALIGNMENT;
}

void state_owner_make_snapshot(StateOwner *owner)
{
    size_t published = owner->published ? type_bytes(owner->published_type) : 0;
    owner->snapshot = owner->kernels->host_make(
        state_snapshot_bytes(owner->parameters, owner->optimizer->moments.type, published));
}

void state_owner_drop_sampled(StateOwner *owner)
{
    for (int64_t i = 0; i < owner->sampled_count; i++)
        bytes_free(&owner->sampled[i]);
    release(owner->sampled);
    owner->sampled = NULL;
    owner->sampled_count = 0;
}

static int write_files(const StateOwner *owner, const char *directory)
{
    if (directory_make(directory) != 0)
        return -1;
    int status = 0;
    for (int64_t i = 0; i < owner->file_count && status == 0; i++) {
        Bytes path = {0};
        bytes_print(&path, "%s/%s", directory, owner->files[i].name);
        status =
            atomic_write_file(path.data, owner->files[i].bytes.data, owner->files[i].bytes.length);
        bytes_free(&path);
    }
    return status;
}

int state_copy_files(const StateOwner *owner, const char *directory)
{
    return group_agree(owner->group, owner->group->rank == 0 ? write_files(owner, directory) : 0);
}
