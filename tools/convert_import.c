// convert_import.c - a Hugging Face directory to a checkpoint; see convert.h.

#include "tools/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/atomic.h"
#include "files/checkpoint_file.h"
#include "files/directory.h"
#include "files/raw.h"
#include "files/safetensors.h"

enum { SLICE_ELEMENTS = 1 << 20, FILE_BYTES_MAXIMUM = 1 << 28 };

// What a model's directory may hold besides its weights; only the first is indispensable.
static const char *const text_names[] = {"config.json",
                                         "generation_config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "chat_template.jinja"};

enum { TEXT_COUNT = sizeof text_names / sizeof *text_names };

typedef struct {
    SafetensorsSet *set;       // owned
    Bytes texts[TEXT_COUNT];   // owned; data NULL where there is no such file
    CheckpointTensor *tensors; // owned, with their names: weights, then texts
    int64_t weight_count, count;
} Import;

static int read_texts(Import *import, const char *directory)
{
    int status = 0;
    for (int i = 0; i < TEXT_COUNT && status == 0; i++) {
        Bytes path = {0};
        struct stat there;
        bytes_print(&path, "%s/%s", directory, text_names[i]);
        if (i == 0 || stat(path.data, &there) == 0)
            status = regular_read(path.data, FILE_BYTES_MAXIMUM, &import->texts[i]);
        bytes_free(&path);
    }
    return status;
}

static void add_tensor(Import *import, const char *group, const char *name, StoredType type,
                       int rank, const int64_t *shape)
{
    Bytes full = {0};
    bytes_print(&full, "/%s/%s", group, name);
    CheckpointTensor *tensor = &import->tensors[import->count++];
    *tensor = (CheckpointTensor){.name = full.data, .type = type, .rank = rank};
    memcpy(tensor->shape, shape, (size_t)rank * sizeof *shape);
}

static int list_tensors(Import *import, ConvertCounts *counts)
{
    import->weight_count = safetensors_count(import->set);
    import->tensors = allocate((size_t)import->weight_count + TEXT_COUNT, sizeof *import->tensors);
    for (int64_t i = 0; i < import->weight_count; i++) {
        const SafetensorsTensor *tensor = safetensors_tensor(import->set, i);
        if (!tensor->name[0] || strchr(tensor->name, '/') || strcmp(tensor->name, ".") == 0)
            return fail(EXIT_BAD_DATA, "a tensor called '%.80s' cannot be stored in HDF5",
                        tensor->name);
        add_tensor(import, "weights", tensor->name, STORED_F32, tensor->rank, tensor->shape);
        counts->elements += tensor->elements;
    }
    for (int i = 0; i < TEXT_COUNT; i++) {
        int64_t length = (int64_t)import->texts[i].length;
        if (import->texts[i].data)
            add_tensor(import, "files", text_names[i], STORED_U8, 1, &length);
    }
    counts->tensors = import->weight_count;
    counts->files = 1;
    return 0;
}

static int copy_weight(const Import *import, int64_t index, int descriptor, const char *path,
                       float *slice)
{
    int64_t elements = safetensors_tensor(import->set, index)->elements;
    for (int64_t done = 0; done < elements; done += SLICE_ELEMENTS) {
        int64_t part = elements - done < SLICE_ELEMENTS ? elements - done : SLICE_ELEMENTS;
        if (safetensors_read_f32(import->set, index, done, part, slice) ||
            checkpoint_file_write(descriptor, path, &import->tensors[index], done, part, slice))
            return -1;
    }
    return 0;
}

static int write_content(const Import *import, int descriptor, const char *path)
{
    int status = 0;
    float *slice = allocate(SLICE_ELEMENTS, sizeof *slice);
    for (int64_t i = 0; i < import->weight_count && status == 0; i++)
        status = copy_weight(import, i, descriptor, path, slice);
    int64_t next = import->weight_count;
    for (int i = 0; i < TEXT_COUNT && status == 0; i++) {
        const Bytes *text = &import->texts[i];
        if (text->data)
            status = checkpoint_file_write(descriptor, path, &import->tensors[next++], 0,
                                           (int64_t)text->length, text->data);
    }
    release(slice);
    return status;
}

static int write_checkpoint(Import *import, const char *temporary, const char *path)
{
    const CheckpointAttribute attributes[] = {
        {.name = "software", .kind = ATTRIBUTE_TEXT, .text = "l2a-convert"},
        {.name = "softwareVersion", .kind = ATTRIBUTE_TEXT, .text = L2A_VERSION},
        {.name = "comment", .kind = ATTRIBUTE_TEXT, .text = "imported; no optimiser state"}};
    int64_t payload_bytes;
    if (checkpoint_file_create(temporary, import->tensors, import->count, attributes,
                               sizeof attributes / sizeof *attributes, &payload_bytes))
        return -1;
    int descriptor = open(temporary, O_RDWR | O_CLOEXEC);
    int status = descriptor < 0 ? raw_fail_write("open", temporary)
                                : write_content(import, descriptor, path);
    if (descriptor >= 0)
        close(descriptor);
    if (status == 0)
        status = checkpoint_file_seal(temporary, payload_bytes, import->tensors, import->count);
    if (status == 0)
        status = atomic_rename(temporary, path);
    if (status)
        unlink(temporary);
    return status;
}

static void free_import(Import *import)
{
    safetensors_close(import->set);
    for (int i = 0; i < TEXT_COUNT; i++)
        bytes_free(&import->texts[i]);
    for (int64_t i = 0; i < import->count; i++)
        release((void *)(uintptr_t)import->tensors[i].name);
    release(import->tensors);
}

int convert_import(const char *directory, const char *path, ConvertCounts *counts)
{
    struct stat there;
    Import import = {0};
    if (lstat(path, &there) == 0)
        return fail(EXIT_CANNOT_CREATE, "%s is there already: give a new name, or remove it", path);
    import.set = safetensors_open(directory);
    int status = import.set ? read_texts(&import, directory) : -1;
    if (status == 0)
        status = list_tensors(&import, counts);
    if (status == 0) {
        char *temporary = atomic_temporary_name(path);
        status = write_checkpoint(&import, temporary, path);
        release(temporary);
    }
    free_import(&import);
    return status;
}
