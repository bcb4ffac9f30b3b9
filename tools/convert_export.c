// convert_export.c - a checkpoint to a Hugging Face directory; see convert.h.

#include "tools/convert_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/directory.h"

enum { SLICE_ELEMENTS = 1 << 20, FILE_BYTES_MAXIMUM = 1 << 30 };

static const char texts[] = "/files/";

typedef struct {
    Source source;
    const ConvertOptions *options;
    char *directory; // owned; the temporary one
    int64_t *shard;  // owned: which file a tensor goes to
    int64_t shards;
    float *slice; // owned [SLICE_ELEMENTS]
} Export;

// Fills files in the order of names; a tensor larger than the limit has a file of its own.
static void plan_shards(Export *export)
{
    int64_t size = (int64_t)stored_type_bytes(export->options->type), filled = 0;
    export->shard = allocate((size_t) export->source.count, sizeof *export->shard);
    export->shards = 1;
    for (int64_t i = 0; i < export->source.count; i++) {
        int64_t bytes = export->source.tensors[i].elements * size;
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
    if (export->options->adapter)
        bytes_append_text(name, "adapter_model.safetensors");
    else if (export->shards == 1)
        bytes_append_text(name, "model.safetensors");
    else
        bytes_print(name, "model-%05lld-of-%05lld.safetensors", (long long)shard + 1,
                    (long long)export->shards);
}

static int copy_tensor(Export *export, int64_t i, SafetensorsWriter *writer)
{
    Source *source = &export->source;
    const SourceTensor *tensor = &source->tensors[i];
    // Then also the bits of NaNs are kept.
    bool same = tensor->type == export->options->type && tensor->a < 0;
    for (int64_t done = 0; done < tensor->elements; done += SLICE_ELEMENTS) {
        int64_t left = tensor->elements - done;
        int64_t part = left < SLICE_ELEMENTS ? left : SLICE_ELEMENTS;
        int status = same ? source_read_stored(source, i, done, part, export->slice)
                          : source_read_f32(source, i, done, part, export->slice);
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
    for (int64_t i = 0; i < export->source.count; i++) {
        if (export->shard[i] != shard)
            continue;
        const SourceTensor *tensor = &export->source.tensors[i];
        declared[count] = (SafetensorsDeclaration){
            .name = tensor->name, .type = export->options->type, .rank = tensor->rank};
        memcpy(declared[count].shape, tensor->shape, sizeof tensor->shape);
        indices[count++] = i;
    }
    return count;
}

static int write_shard(Export *export, int64_t shard)
{
    SafetensorsDeclaration *declared = allocate((size_t) export->source.count, sizeof *declared);
    int64_t *indices = allocate((size_t) export->source.count, sizeof *indices);
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
    for (int64_t i = 0; i < export->source.count; i++) {
        Bytes name = {0};
        print_shard_name(export, export->shard[i], &name);
        json_object_set_new(map, export->source.tensors[i].name, json_string(name.data));
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
    const CheckpointTensor *tensor = checkpoint_file_tensor(export->source.file, index);
    const char *name = tensor->name + sizeof texts - 1;
    int64_t bytes = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
    if (tensor->type != STORED_U8 || tensor->rank != 1 || bytes > FILE_BYTES_MAXIMUM ||
        strchr(name, '/') || name[0] == '.')
        return fail(EXIT_BAD_DATA, "%s: '%s' is not the text of a file",
                    checkpoint_file_path(export->source.file), tensor->name);
    Bytes text = {0}, path = {0};
    char *content = allocate((size_t)bytes, 1);
    bytes_print(&path, "%s/%s", export->directory, name);
    int status = checkpoint_file_read(export->source.file, index, 0, bytes, content);
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
    for (int64_t i = 0; i < checkpoint_file_count(export->source.file) && status == 0; i++) {
        const char *name = checkpoint_file_tensor(export->source.file, i)->name;
        if (strncmp(name, texts, sizeof texts - 1) == 0)
            status = write_text(export, i);
    }
    return status;
}

static int write_adapter_config(const Export *export)
{
    Bytes path = {0}, text = {0};
    bytes_print(&path, "%s/adapter_config.json", export->directory);
    int status = source_adapter_config(&export->source, &text);
    if (status == 0)
        status = atomic_write_file(path.data, text.data, text.length);
    bytes_free(&path);
    bytes_free(&text);
    return status;
}

static int write_directory(Export *export, ConvertCounts *counts)
{
    plan_shards(export);
    *counts = (ConvertCounts){.tensors = export->source.count, .files = export->shards};
    for (int64_t i = 0; i < export->source.count; i++)
        counts->elements += export->source.tensors[i].elements;
    int status = 0;
    for (int64_t shard = 0; shard < export->shards && status == 0; shard++)
        status = write_shard(export, shard);
    if (status == 0 && export->options->adapter)
        return write_adapter_config(export);
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
    return source_open(&export->source, from, export->options);
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
    source_close(&export.source);
    release(export.directory);
    release(export.shard);
    release(export.slice);
    return status;
}
