#include "files/safetensors_header.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/raw.h"

enum {
    HEADER_BYTES_MAXIMUM = 100000000,
    TENSORS_MAXIMUM = 1000000,
    NAME_BYTES_MAXIMUM = 1024,
    SHOWN = 80, // characters of a foreign name in a message
};

// All types of the format; those this program cannot use are refused by name.
static const char *const known_types[] = {
    "BOOL",    "F4",          "F6_E2M3",     "F6_E3M2", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
    "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",     "U16", "F16", "BF16",    "I32",
    "U32",     "F32",         "C64",         "F64",     "I64", "U64"};

static int parse_type(const char *path, const char *name, const json_t *value, StoredType *type)
{
    const char *text = json_string_value(value);
    if (!text)
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s' has no dtype", path, SHOWN, name);
    *type = stored_type_of_name(text);
    if (*type == STORED_F32 || *type == STORED_F16 || *type == STORED_BF16)
        return 0;
    for (size_t i = 0; i < sizeof known_types / sizeof *known_types; i++) {
        if (strcmp(text, known_types[i]) == 0)
            return fail(EXIT_BAD_DATA,
                        "%s: tensor '%.*s' has type %s; only F32, F16 and BF16 can be used "
                        "(quantised models cannot)",
                        path, SHOWN, name, text);
    }
    return fail(EXIT_BAD_DATA, "%s: tensor '%.*s' has the unknown type '%.*s'", path, SHOWN, name,
                SHOWN, text);
}

static int parse_shape(const char *path, const json_t *value, SafetensorsEntry *entry)
{
    if (!json_is_array(value))
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s' has no shape", path, SHOWN, entry->name);
    if (json_array_size(value) > STORED_RANK_MAXIMUM)
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s' has %zu dimensions; at most %d are allowed",
                    path, SHOWN, entry->name, json_array_size(value), STORED_RANK_MAXIMUM);
    entry->rank = (int)json_array_size(value);
    for (int i = 0; i < entry->rank; i++) {
        const json_t *size = json_array_get(value, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return fail(EXIT_BAD_DATA, "%s: tensor '%.*s': its shape is not of whole numbers >= 0",
                        path, SHOWN, entry->name);
        entry->shape[i] = json_integer_value(size);
    }
    entry->elements = stored_type_elements(entry->type, entry->rank, entry->shape);
    if (entry->elements < 0)
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s': its shape is too large", path, SHOWN,
                    entry->name);
    return 0;
}

static int parse_offsets(const char *path, const json_t *value, int64_t data_bytes,
                         SafetensorsEntry *entry)
{
    const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0)
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s': data_offsets are not two whole numbers >= 0",
                    path, SHOWN, entry->name);
    entry->begin = json_integer_value(begin);
    entry->end = json_integer_value(end);
    if (entry->end < entry->begin)
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s': its data end before they begin", path, SHOWN,
                    entry->name);
    if (entry->end > data_bytes)
        return fail(EXIT_BAD_DATA,
                    "%s: tensor '%.*s': its data end at byte %lld of %lld: the file was cut short",
                    path, SHOWN, entry->name, (long long)entry->end, (long long)data_bytes);
    int64_t bytes = entry->elements * (int64_t)stored_type_bytes(entry->type);
    if (entry->end - entry->begin != bytes)
        return fail(EXIT_BAD_DATA,
                    "%s: tensor '%.*s': type and shape need %lld bytes, its data have %lld", path,
                    SHOWN, entry->name, (long long)bytes, (long long)(entry->end - entry->begin));
    return 0;
}

static int parse_entry(const char *path, const char *name, const json_t *value, int64_t data_bytes,
                       SafetensorsEntry *entry)
{
    if (strlen(name) > NAME_BYTES_MAXIMUM)
        return fail(EXIT_BAD_DATA,
                    "%s: tensor '%.*s...': its name has %zu bytes; at most %d are "
                    "allowed",
                    path, SHOWN, name, strlen(name), NAME_BYTES_MAXIMUM);
    if (!json_is_object(value))
        return fail(EXIT_BAD_DATA, "%s: tensor '%.*s' is not described by an object", path, SHOWN,
                    name);
    if (json_object_size(value) != 3)
        return fail(EXIT_BAD_DATA,
                    "%s: tensor '%.*s' must be described by dtype, shape and data_offsets alone",
                    path, SHOWN, name);
    entry->name = duplicate(name);
    if (parse_type(path, name, json_object_get(value, "dtype"), &entry->type) ||
        parse_shape(path, json_object_get(value, "shape"), entry))
        return -1;
    return parse_offsets(path, json_object_get(value, "data_offsets"), data_bytes, entry);
}

static int check_metadata(const char *path, const json_t *metadata)
{
    const char *key;
    const json_t *value;
    if (!json_is_object(metadata))
        return fail(EXIT_BAD_DATA, "%s: __metadata__ is not an object", path);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value))
            return fail(EXIT_BAD_DATA, "%s: __metadata__ '%.*s' is not a string", path, SHOWN, key);
    }
    return 0;
}

static int order_by_begin(const void *a, const void *b)
{
    const SafetensorsEntry *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    if (left->end != right->end)
        return left->end < right->end ? -1 : 1;
    return strcmp(left->name, right->name);
}

// The data must be tiled: each tensor begins where the one before ended.
static int check_tiling(const char *path, const SafetensorsEntry *entries, int64_t count,
                        int64_t data_bytes)
{
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        if (entries[i].begin != end)
            return fail(EXIT_BAD_DATA, "%s: the data of tensor '%.*s' %s", path, SHOWN,
                        entries[i].name,
                        entries[i].begin < end ? "overlap those of another tensor"
                                               : "come after a hole that belongs to no tensor");
        end = entries[i].end;
    }
    if (end != data_bytes)
        return fail(EXIT_BAD_DATA, "%s: %lld bytes behind the last tensor belong to nothing", path,
                    (long long)(data_bytes - end));
    return 0;
}

static int parse_object(const char *path, const json_t *root, int64_t data_bytes,
                        SafetensorsEntry *entries, int64_t *count)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, name, value)
    {
        int status = strcmp(name, "__metadata__") == 0
                         ? check_metadata(path, value)
                         : parse_entry(path, name, value, data_bytes, &entries[(*count)++]);
        if (status)
            return -1;
    }
    qsort(entries, (size_t)*count, sizeof *entries, order_by_begin);
    return check_tiling(path, entries, *count, data_bytes);
}

int safetensors_header_parse(const char *path, const char *text, size_t length, int64_t data_bytes,
                             SafetensorsEntry **entries, int64_t *count)
{
    *entries = NULL;
    *count = 0;
    if (length == 0 || text[0] != '{')
        return fail(EXIT_BAD_DATA,
                    "%s is not a safetensors file: its header does not begin with "
                    "'{'",
                    path);
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return fail(EXIT_BAD_DATA, "%s: bad header: %s (byte %d)", path, error.text,
                    error.position);
    int status = -1;
    size_t tensors = json_object_size(root);
    if (tensors > TENSORS_MAXIMUM)
        fail(EXIT_BAD_DATA, "%s: %zu tensors; at most %d are allowed", path, tensors,
             TENSORS_MAXIMUM);
    else if ((*entries = allocate_or_fail(tensors + 1, sizeof **entries)))
        status = parse_object(path, root, data_bytes, *entries, count);
    json_decref(root);
    if (status) {
        safetensors_header_free(*entries, *count);
        *entries = NULL;
        *count = 0;
    }
    return status;
}

int safetensors_header_read(int descriptor, const char *path, int64_t file_bytes,
                            SafetensorsEntry **entries, int64_t *count, int64_t *data_offset)
{
    uint64_t length;
    if (file_bytes < (int64_t)sizeof length)
        return fail(EXIT_BAD_DATA, "%s is not a safetensors file: it has only %lld bytes", path,
                    (long long)file_bytes);
    if (raw_read_at(descriptor, path, &length, sizeof length, 0))
        return -1;
    if (length > HEADER_BYTES_MAXIMUM)
        return fail(EXIT_BAD_DATA,
                    "%s is not a safetensors file: a header of %llu bytes (at most %d)", path,
                    (unsigned long long)length, HEADER_BYTES_MAXIMUM);
    *data_offset = (int64_t)(sizeof length + length);
    if (*data_offset > file_bytes)
        return fail(EXIT_BAD_DATA, "%s was cut short: its header needs %llu bytes, it has %lld",
                    path, (unsigned long long)length, (long long)file_bytes);
    char *text = allocate_or_fail((size_t)length, 1);
    if (!text)
        return -1;
    int status = raw_read_at(descriptor, path, text, (size_t)length, sizeof length);
    if (status == 0)
        status = safetensors_header_parse(path, text, (size_t)length, file_bytes - *data_offset,
                                          entries, count);
    release(text);
    return status;
}

void safetensors_header_free(SafetensorsEntry *entries, int64_t count)
{
    for (int64_t i = 0; entries && i < count; i++)
        release(entries[i].name);
    release(entries);
}
