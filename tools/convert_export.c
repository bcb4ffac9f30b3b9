// convert_export.c - a checkpoint to a Hugging Face directory; see convert.h.

#include "tools/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/checkpoint_file.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "files/safetensors.h"

enum { SLICE_ELEMENTS = 1 << 20, FILE_BYTES_MAXIMUM = 1 << 30 };

static const char weights[] = "/weights/", texts[] = "/files/";

typedef struct {
    CheckpointFile *file; // owned
    const ConvertOptions *options;
    char *directory;  // owned; the temporary one
    int64_t *tensors; // owned [count]: indices in the file, in the order of their names
    int64_t count;
    int64_t *shard; // owned [count]: which file a tensor goes to
    int64_t shards;
    float *slice; // owned [SLICE_ELEMENTS]
} Export;

static int64_t elements_of(const CheckpointTensor *tensor)
{
    return stored_type_elements(tensor->type, tensor->rank, tensor->shape);
}

static const char *weight_name(const Export *export, int64_t i)
{
    return checkpoint_file_tensor(export->file, export->tensors[i])->name + sizeof weights - 1;
}

static int find_weights(Export *export)
{
    int64_t count = checkpoint_file_count(export->file);
    export->tensors = allocate((size_t)count, sizeof *export->tensors);
    export->shard = allocate((size_t)count, sizeof *export->shard);
    for (int64_t i = 0; i < count; i++) {
        const CheckpointTensor *tensor = checkpoint_file_tensor(export->file, i);
        if (strncmp(tensor->name, weights, sizeof weights - 1) != 0)
            continue;
        if (tensor->type != STORED_F32 && tensor->type != STORED_BF16 && tensor->type != STORED_F16)
            return fail(EXIT_BAD_DATA, "%s: '%s' is of type %s: that is no weight",
                        checkpoint_file_path(export->file), tensor->name,
                        stored_type_name(tensor->type));
        export->tensors[export->count++] = i;
    }
    if (export->count == 0)
        return fail(EXIT_BAD_DATA, "%s has no weights", checkpoint_file_path(export->file));
    return 0;
}

// Fills files in the order of names; a tensor larger than the limit has a file of its own.
static void plan_shards(Export *export)
{
    int64_t size = (int64_t)stored_type_bytes(export->options->type), filled = 0;
    export->shards = 1;
    for (int64_t i = 0; i < export->count; i++) {
        int64_t bytes =
            elements_of(checkpoint_file_tensor(export->file, export->tensors[i])) * size;
        if (filled > 0 && bytes > export->options->shard_size - filled) {
            export->shards++;
            filled = 0;
        }
        filled += bytes;
        export->shard[i] = export->shards - 1;
    }
}

static void print_shard_name(const Export *export, int64_t shard, Bytes *name)
{
    if (export->shards == 1)
        bytes_append_text(name, "model.safetensors");
    else
        bytes_print(name, "model-%05lld-of-%05lld.safetensors", (long long)shard + 1,
                    (long long)export->shards);
}

static int copy_tensor(const Export *export, int64_t index, SafetensorsWriter *writer)
{
    const CheckpointTensor *tensor = checkpoint_file_tensor(export->file, index);
    int64_t elements = elements_of(tensor);
    bool same = tensor->type == export->options->type; // then also the bits of NaNs are kept
    for (int64_t done = 0; done < elements; done += SLICE_ELEMENTS) {
        int64_t part = elements - done < SLICE_ELEMENTS ? elements - done : SLICE_ELEMENTS;
        int status = same
                         ? checkpoint_file_read(export->file, index, done, part, export->slice)
                         : checkpoint_file_read_f32(export->file, index, done, part, export->slice);
        if (status == 0)
            status = same ? safetensors_append(writer, export->slice, part)
                          : safetensors_append_f32(writer, export->slice, part);
        if (status)
            return -1;
    }
    return 0;
}

static int64_t declare_shard(const Export *export, int64_t shard, SafetensorsDeclaration *declared,
                             int64_t *indices)
{
    int64_t count = 0;
    for (int64_t i = 0; i < export->count; i++) {
        if (export->shard[i] != shard)
            continue;
        const CheckpointTensor *tensor = checkpoint_file_tensor(export->file, export->tensors[i]);
        declared[count] = (SafetensorsDeclaration){
            .name = weight_name(export, i), .type = export->options->type, .rank = tensor->rank};
        memcpy(declared[count].shape, tensor->shape, sizeof tensor->shape);
        indices[count++] = export->tensors[i];
    }
    return count;
}

static int write_shard(const Export *export, int64_t shard)
{
    SafetensorsDeclaration *declared = allocate((size_t) export->count, sizeof *declared);
    int64_t *indices = allocate((size_t) export->count, sizeof *indices);
    int64_t count = declare_shard(export, shard, declared, indices);
    Bytes path = {0};
    bytes_print(&path, "%s/", export->directory);
    print_shard_name(export, shard, &path);
    SafetensorsWriter *writer = safetensors_create(path.data, declared, count);
    int status = writer ? 0 : -1;
    for (int64_t i = 0; i < count && status == 0; i++)
        status = copy_tensor(export, indices[safetensors_write_order(writer, i)], writer);
    if (status == 0)
        status = safetensors_commit(writer);
    else
        safetensors_abandon(writer);
    release(declared);
    release(indices);
    bytes_free(&path);
    return status;
}

static int write_index(const Export *export, int64_t elements)
{
    if (export->shards == 1)
        return 0;
    json_t *map = json_object();
    for (int64_t i = 0; i < export->count; i++) {
        Bytes name = {0};
        print_shard_name(export, export->shard[i], &name);
        json_object_set_new(map, weight_name(export, i), json_string(name.data));
        bytes_free(&name);
    }
    json_int_t bytes = elements * (int64_t)stored_type_bytes(export->options->type);
    json_t *root = json_pack("{s:{s:I,s:I},s:o}", "metadata", "total_parameters",
                             (json_int_t)elements, "total_size", bytes, "weight_map", map);
    CHECK(root, "the index cannot be made");
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    Bytes path = {0}, content = {0};
    bytes_print(&path, "%s/model.safetensors.index.json", export->directory);
    bytes_print(&content, "%s\n", text);
    int status = atomic_write_file(path.data, content.data, content.length);
    free(text); // jansson's
    json_decref(root);
    bytes_free(&path);
    bytes_free(&content);
    return status;
}

// The value of "torch_dtype" or "dtype" becomes the written type; all else stays byte for byte.
static void set_config_type(Bytes *text, StoredType type)
{
    static const char *const keys[] = {"\"torch_dtype\"", "\"dtype\""};
    static const char *const values[] = {"\"float32\"", "\"bfloat16\"", "\"float16\""};
    const char *wanted = values[type == STORED_F32 ? 0 : 1];
    for (int key = 0; key < 2; key++) {
        for (char *at = strstr(text->data, keys[key]); at; at = strstr(at, keys[key])) {
            at += strlen(keys[key]);
            char *value = at + strspn(at, " \t\r\n:");
            for (int i = 0; i < 3; i++) {
                if (strncmp(value, values[i], strlen(values[i])) != 0)
                    continue;
                size_t before = (size_t)(value - text->data);
                Bytes changed = {0};
                bytes_append(&changed, text->data, before);
                bytes_append_text(&changed, wanted);
                bytes_append_text(&changed, value + strlen(values[i]));
                bytes_free(text);
                *text = changed;
                at = changed.data + before;
                break;
            }
        }
    }
}

static int write_text(const Export *export, int64_t index)
{
    const CheckpointTensor *tensor = checkpoint_file_tensor(export->file, index);
    const char *name = tensor->name + sizeof texts - 1;
    int64_t bytes = elements_of(tensor);
    if (tensor->type != STORED_U8 || tensor->rank != 1 || bytes > FILE_BYTES_MAXIMUM ||
        strchr(name, '/') || name[0] == '.')
        return fail(EXIT_BAD_DATA, "%s: '%s' is not the text of a file",
                    checkpoint_file_path(export->file), tensor->name);
    Bytes text = {0}, path = {0};
    char *content = allocate((size_t)bytes, 1);
    bytes_print(&path, "%s/%s", export->directory, name);
    int status = checkpoint_file_read(export->file, index, 0, bytes, content);
    bytes_append(&text, content, (size_t)bytes);
    if (status == 0 && strcmp(name, "config.json") == 0 && strlen(text.data) == text.length)
        set_config_type(&text, export->options->type);
    if (status == 0)
        status = atomic_write_file(path.data, text.data, text.length);
    release(content);
    bytes_free(&text);
    bytes_free(&path);
    return status;
}

static int write_texts(const Export *export)
{
    int status = 0;
    for (int64_t i = 0; i < checkpoint_file_count(export->file) && status == 0; i++) {
        const char *name = checkpoint_file_tensor(export->file, i)->name;
        if (strncmp(name, texts, sizeof texts - 1) == 0)
            status = write_text(export, i);
    }
    return status;
}

static int write_directory(Export *export, ConvertCounts *counts)
{
    plan_shards(export);
    *counts = (ConvertCounts){.tensors = export->count, .files = export->shards};
    for (int64_t i = 0; i < export->count; i++)
        counts->elements += elements_of(checkpoint_file_tensor(export->file, export->tensors[i]));
    int status = 0;
    for (int64_t shard = 0; shard < export->shards && status == 0; shard++)
        status = write_shard(export, shard);
    if (status == 0)
        status = write_index(export, counts->elements);
    return status ? -1 : write_texts(export);
}

static int open_export(Export *export, const char *from, const char *directory)
{
    struct stat status;
    if (lstat(directory, &status) == 0)
        return fail(EXIT_CANNOT_CREATE, "%s is there already: give a new name, or remove it",
                    directory);
    char *path = run_files_resolve(from, export->options->best);
    if (!path)
        return -1;
    export->file = checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL);
    release(path);
    return export->file ? find_weights(export) : -1;
}

int convert_export(const char *from, const char *directory, const ConvertOptions *options,
                   ConvertCounts *counts)
{
    Export export = {.options = options, .slice = allocate(SLICE_ELEMENTS, sizeof *export.slice)};
    int status = open_export(&export, from, directory);
    if (status == 0) {
        export.directory = atomic_temporary_name(directory);
        status = directory_make_new(export.directory);
    }
    if (status == 0) {
        status = write_directory(&export, counts);
        if (status == 0)
            status = atomic_rename(export.directory, directory);
        char *reason = duplicate(fail_message());
        if (status && access(export.directory, F_OK) == 0 &&
            directory_remove_tree(export.directory))
            warn("%s", fail_message());
        if (status)
            fail(fail_code(), "%s", reason);
        release(reason);
    }
    checkpoint_file_close(export.file);
    release(export.directory);
    release(export.tensors);
    release(export.shard);
    release(export.slice);
    return status;
}
