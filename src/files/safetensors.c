#include "files/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/raw.h"
#include "files/safetensors_header.h"

enum { INDEX_BYTES_MAXIMUM = 100000000, SHARDS_MAXIMUM = 512, SHOWN = 80 };

typedef struct {
    char *path; // owned
    int descriptor;
} ShardFile;

typedef struct {
    SafetensorsTensor tensor;
    char *name; // owned
    int shard;
    int64_t offset; // of the first byte in the shard's file
} Tensor;

struct SafetensorsSet {
    ShardFile *shards; // owned [shard_count]
    size_t shard_count, shard_capacity;
    Tensor *tensors; // owned [count], ordered by name once opened
    size_t count, capacity;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const Tensor *)a)->name, ((const Tensor *)b)->name);
}

// Moves a shard's entries into the set; their names change hands.
static void take_entries(SafetensorsSet *set, SafetensorsEntry *entries, int64_t count,
                         int64_t data_offset)
{
    grow((void **)&set->tensors, &set->capacity, set->count + (size_t)count, sizeof *set->tensors);
    for (int64_t i = 0; i < count; i++) {
        SafetensorsEntry *entry = &entries[i];
        Tensor *tensor = &set->tensors[set->count++];
        *tensor = (Tensor){.name = entry->name,
                           .shard = (int)set->shard_count - 1,
                           .offset = data_offset + entry->begin,
                           .tensor = {.name = entry->name,
                                      .type = entry->type,
                                      .rank = entry->rank,
                                      .elements = entry->elements}};
        memcpy(tensor->tensor.shape, entry->shape, sizeof entry->shape);
        entry->name = NULL;
    }
}

static int add_shard(SafetensorsSet *set, const char *path)
{
    int64_t bytes = 0, count, data_offset;
    SafetensorsEntry *entries = NULL;
    int descriptor = regular_open(path, &bytes);
    if (descriptor < 0)
        return -1;
    grow((void **)&set->shards, &set->shard_capacity, set->shard_count + 1, sizeof *set->shards);
    set->shards[set->shard_count++] = (ShardFile){duplicate(path), descriptor};
    if (safetensors_header_read(descriptor, path, bytes, &entries, &count, &data_offset))
        return -1;
    take_entries(set, entries, count, data_offset);
    safetensors_header_free(entries, count);
    return 0;
}

static int check_unique(const SafetensorsSet *set)
{
    for (size_t i = 1; i < set->count; i++) {
        const Tensor *before = &set->tensors[i - 1], *tensor = &set->tensors[i];
        if (strcmp(before->name, tensor->name) == 0)
            return fail(EXIT_BAD_DATA, "tensor '%.*s' is in %s and in %s", SHOWN, tensor->name,
                        set->shards[before->shard].path, set->shards[tensor->shard].path);
    }
    return 0;
}

// A shard's name comes from a file that anyone may have made: it must stay in the directory.
static int check_shard_name(const char *index_path, const char *name)
{
    size_t length = strlen(name);
    static const char ending[] = ".safetensors";
    size_t ending_length = sizeof ending - 1;
    if (strchr(name, '/') || length <= ending_length || length > 255 ||
        strcmp(name + length - ending_length, ending) != 0)
        return fail(EXIT_BAD_DATA,
                    "%s: '%.*s' is not the name of a .safetensors file in the same directory",
                    index_path, SHOWN, name);
    return 0;
}

static int shard_of_file(const SafetensorsSet *set, const char *directory, const char *name)
{
    size_t skip = strlen(directory) + 1;
    for (size_t i = 0; i < set->shard_count; i++) {
        if (strcmp(set->shards[i].path + skip, name) == 0)
            return (int)i;
    }
    return -1;
}

// Opens every shard that the index names.
static int add_shards(SafetensorsSet *set, const char *directory, const char *index_path,
                      const json_t *weight_map)
{
    const char *tensor;
    const json_t *file;
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, file)
    {
        const char *name = json_string_value(file);
        if (!name)
            return fail(EXIT_BAD_DATA, "%s: the file of tensor '%.*s' is not a string", index_path,
                        SHOWN, tensor);
        if (check_shard_name(index_path, name))
            return -1;
        if (shard_of_file(set, directory, name) >= 0)
            continue;
        if (set->shard_count == SHARDS_MAXIMUM)
            return fail(EXIT_BAD_DATA, "%s names more than %d files", index_path, SHARDS_MAXIMUM);
        Bytes path = {0};
        bytes_print(&path, "%s/%s", directory, name);
        int status = add_shard(set, path.data);
        bytes_free(&path);
        if (status)
            return -1;
    }
    return 0;
}

// The tensors of the index and of the shards must be the same, each in the shard that is named.
static int check_index(const SafetensorsSet *set, const char *directory, const char *index_path,
                       const json_t *weight_map)
{
    const char *name;
    const json_t *file;
    for (size_t i = 0; i < set->count; i++) {
        const Tensor *tensor = &set->tensors[i];
        if (!json_object_get(weight_map, tensor->name))
            return fail(EXIT_BAD_DATA, "%s does not name tensor '%.*s' of %s", index_path, SHOWN,
                        tensor->name, set->shards[tensor->shard].path);
    }
    json_object_foreach((json_t *)(uintptr_t)weight_map, name, file)
    {
        int64_t index = safetensors_find(set, name);
        int shard = shard_of_file(set, directory, json_string_value(file));
        if (index < 0 || set->tensors[index].shard != shard)
            return fail(EXIT_BAD_DATA, "%s names tensor '%.*s' in %s, which does not have it",
                        index_path, SHOWN, name, json_string_value(file));
    }
    return 0;
}

static int order_tensors(SafetensorsSet *set)
{
    if (set->count > 0)
        qsort(set->tensors, set->count, sizeof *set->tensors, compare_names);
    return check_unique(set);
}

static int open_index(SafetensorsSet *set, const char *directory, const char *index_path)
{
    Bytes text = {0};
    json_error_t error;
    if (regular_read(index_path, INDEX_BYTES_MAXIMUM, &text)) {
        bytes_free(&text);
        return -1;
    }
    json_t *root = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
    bytes_free(&text);
    if (!root)
        return fail(EXIT_BAD_DATA, "%s:%d: %s", index_path, error.line, error.text);
    const json_t *weight_map = json_object_get(root, "weight_map");
    int status = -1;
    if (json_object_size(weight_map) == 0)
        fail(EXIT_BAD_DATA, "%s has no weight_map", index_path);
    else if (add_shards(set, directory, index_path, weight_map) == 0 && order_tensors(set) == 0)
        status = check_index(set, directory, index_path, weight_map);
    json_decref(root);
    return status;
}

static int open_directory(SafetensorsSet *set, const char *directory)
{
    Bytes single = {0}, index = {0};
    struct stat status;
    int result;
    bytes_print(&single, "%s/model.safetensors", directory);
    bytes_print(&index, "%s/model.safetensors.index.json", directory);
    if (stat(single.data, &status) == 0)
        result = add_shard(set, single.data) || order_tensors(set) ? -1 : 0;
    else if (stat(index.data, &status) == 0)
        result = open_index(set, directory, index.data);
    else
        result = fail(EXIT_NO_INPUT,
                      "there is no model.safetensors and no model.safetensors.index.json in %s (a "
                      "model in .bin files must be converted to safetensors first)",
                      directory);
    bytes_free(&single);
    bytes_free(&index);
    return result;
}

SafetensorsSet *safetensors_open(const char *directory_or_file)
{
    struct stat status;
    SafetensorsSet *set = allocate(1, sizeof *set);
    bool is_directory = stat(directory_or_file, &status) == 0 && S_ISDIR(status.st_mode);
    int result = is_directory ? open_directory(set, directory_or_file)
                              : add_shard(set, directory_or_file) || order_tensors(set);
    if (result == 0)
        return set;
    safetensors_close(set);
    return NULL;
}

void safetensors_close(SafetensorsSet *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->shard_count; i++) {
        close(set->shards[i].descriptor);
        release(set->shards[i].path);
    }
    for (size_t i = 0; i < set->count; i++)
        release(set->tensors[i].name);
    release(set->shards);
    release(set->tensors);
    release(set);
}

int64_t safetensors_count(const SafetensorsSet *set)
{
    return (int64_t)set->count;
}

const SafetensorsTensor *safetensors_tensor(const SafetensorsSet *set, int64_t index)
{
    CHECK(index >= 0 && index < (int64_t)set->count, "tensor %lld", (long long)index);
    return &set->tensors[index].tensor;
}

int64_t safetensors_find(const SafetensorsSet *set, const char *name)
{
    int64_t low = 0, high = (int64_t)set->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(set->tensors[middle].name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

// The tensor with [first, first + count) checked to lie in it.
static const Tensor *checked_slice(const SafetensorsSet *set, int64_t index, int64_t first,
                                   int64_t count)
{
    const SafetensorsTensor *tensor = safetensors_tensor(set, index);
    CHECK(first >= 0 && count >= 0 && first <= tensor->elements &&
              count <= tensor->elements - first,
          "elements [%lld, +%lld) of '%s'", (long long)first, (long long)count, tensor->name);
    return &set->tensors[index];
}

int safetensors_read_stored(const SafetensorsSet *set, int64_t index, int64_t first, int64_t count,
                            void *out)
{
    const Tensor *tensor = checked_slice(set, index, first, count);
    const ShardFile *shard = &set->shards[tensor->shard];
    size_t size = stored_type_bytes(tensor->tensor.type);
    return raw_read_at(shard->descriptor, shard->path, out, (size_t)count * size,
                       tensor->offset + first * (int64_t)size);
}

int safetensors_read_f32(const SafetensorsSet *set, int64_t index, int64_t first, int64_t count,
                         float *out)
{
    const Tensor *tensor = checked_slice(set, index, first, count);
    const ShardFile *shard = &set->shards[tensor->shard];
    int64_t size = (int64_t)stored_type_bytes(tensor->tensor.type);
    return raw_read_f32(shard->descriptor, shard->path, tensor->tensor.type,
                        tensor->offset + first * size, count, out);
}
