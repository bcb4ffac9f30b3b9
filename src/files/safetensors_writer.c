#include "files/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/directory.h"

enum { SLICE_ELEMENTS = 1 << 18 };

typedef struct {
    const char *name; // borrowed while the header is made
    StoredType type;
    int64_t elements;
    int64_t declaration; // index among the declarations
} Planned;

struct SafetensorsWriter {
    AtomicFile *file; // owned
    Planned *planned; // owned [count], in file order
    int64_t count;
    int64_t due;       // the tensor whose data come next
    int64_t written;   // its elements so far
    uint16_t *rounded; // owned [SLICE_ELEMENTS]
};

// The reference sorts by its type enumeration, which is ordered by size, then by name.
static int type_order(StoredType type)
{
    static const StoredType ascending[STORED_TYPE_COUNT] = {
        STORED_U8, STORED_F16, STORED_BF16, STORED_I32, STORED_F32, STORED_F64, STORED_I64};
    int order = 0;
    while (ascending[order] != type)
        order++;
    return order;
}

static int compare_planned(const void *a, const void *b)
{
    const Planned *left = a, *right = b;
    int order = type_order(right->type) - type_order(left->type);
    return order ? order : strcmp(left->name, right->name);
}

static void print_name(Bytes *header, const char *name)
{
    json_t *string = json_string(name);
    CHECK(string, "a tensor's name is not UTF-8");
    char *text = json_dumps(string, JSON_ENCODE_ANY);
    CHECK(text, "out of memory");
    bytes_append_text(header, text);
    free(text); // jansson's
    json_decref(string);
}

static void print_tensor(Bytes *header, const SafetensorsDeclaration *tensor, int64_t begin,
                         int64_t end)
{
    bytes_append_text(header, ",");
    print_name(header, tensor->name);
    bytes_print(header, ":{\"dtype\":\"%s\",\"shape\":[", stored_type_name(tensor->type));
    for (int i = 0; i < tensor->rank; i++)
        bytes_print(header, "%s%lld", i > 0 ? "," : "", (long long)tensor->shape[i]);
    bytes_print(header, "],\"data_offsets\":[%lld,%lld]}", (long long)begin, (long long)end);
}

// Returns the bytes of all data; `header` begins with its length.
static int64_t print_header(const SafetensorsWriter *writer, const SafetensorsDeclaration *tensors,
                            Bytes *header)
{
    uint64_t length = 0;
    int64_t end = 0;
    bytes_append(header, &length, sizeof length);
    bytes_append_text(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int64_t i = 0; i < writer->count; i++) {
        const Planned *planned = &writer->planned[i];
        int64_t begin = end;
        end += planned->elements * (int64_t)stored_type_bytes(planned->type);
        print_tensor(header, &tensors[planned->declaration], begin, end);
    }
    bytes_append_text(header, "}");
    while (header->length % 8 != 0)
        bytes_append_text(header, " ");
    length = header->length - sizeof length;
    memcpy(header->data, &length, sizeof length);
    return end;
}

static void plan(SafetensorsWriter *writer, const SafetensorsDeclaration *tensors, int64_t count)
{
    writer->count = count;
    writer->planned = allocate((size_t)count, sizeof *writer->planned);
    for (int64_t i = 0; i < count; i++) {
        const SafetensorsDeclaration *tensor = &tensors[i];
        int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
        CHECK(elements >= 0, "shape of '%s'", tensor->name);
        writer->planned[i] = (Planned){tensor->name, tensor->type, elements, i};
    }
    qsort(writer->planned, (size_t)count, sizeof *writer->planned, compare_planned);
    for (int64_t i = 1; i < count; i++)
        CHECK(strcmp(writer->planned[i - 1].name, writer->planned[i].name) != 0,
              "tensor '%s' is declared twice", writer->planned[i].name);
}

static int check_space(const char *path, int64_t needed)
{
    char *directory = directory_of(path);
    int64_t available = directory_free_bytes(directory);
    int status = available < 0 ? -1 : 0;
    if (status == 0 && available < needed)
        status = fail(EXIT_CANNOT_CREATE, "%s needs %lld bytes, %s has %lld free", path,
                      (long long)needed, directory, (long long)available);
    release(directory);
    return status;
}

// Tensors without elements never come due.
static void skip_empty(SafetensorsWriter *writer)
{
    while (writer->due < writer->count &&
           writer->written == writer->planned[writer->due].elements) {
        writer->due++;
        writer->written = 0;
    }
}

SafetensorsWriter *safetensors_create(const char *path, const SafetensorsDeclaration *tensors,
                                      int64_t count)
{
    SafetensorsWriter *writer = allocate(1, sizeof *writer);
    Bytes header = {0};
    plan(writer, tensors, count);
    writer->rounded = allocate(SLICE_ELEMENTS, sizeof *writer->rounded);
    int64_t data_bytes = print_header(writer, tensors, &header);
    int status = check_space(path, data_bytes + (int64_t)header.length);
    if (status == 0 && !(writer->file = atomic_open(path)))
        status = -1;
    if (status == 0)
        status = atomic_append(writer->file, header.data, header.length);
    bytes_free(&header);
    skip_empty(writer);
    if (status == 0)
        return writer;
    safetensors_abandon(writer);
    return NULL;
}

int64_t safetensors_write_order(const SafetensorsWriter *writer, int64_t position)
{
    CHECK(position >= 0 && position < writer->count, "position %lld", (long long)position);
    return writer->planned[position].declaration;
}

int safetensors_append(SafetensorsWriter *writer, const void *data, int64_t count)
{
    if (count == 0)
        return 0;
    CHECK(writer->due < writer->count, "data behind the last tensor");
    const Planned *planned = &writer->planned[writer->due];
    CHECK(count <= planned->elements - writer->written, "too many elements for a tensor");
    size_t bytes = (size_t)count * stored_type_bytes(planned->type);
    if (atomic_append(writer->file, data, bytes))
        return -1;
    writer->written += count;
    skip_empty(writer);
    return 0;
}

int safetensors_append_f32(SafetensorsWriter *writer, const float *values, int64_t count)
{
    CHECK(count == 0 || writer->due < writer->count, "data behind the last tensor");
    StoredType type = count == 0 ? STORED_F32 : writer->planned[writer->due].type;
    if (type == STORED_F32)
        return safetensors_append(writer, values, count);
    for (int64_t done = 0; done < count; done += SLICE_ELEMENTS) {
        int64_t part = count - done < SLICE_ELEMENTS ? count - done : SLICE_ELEMENTS;
        stored_type_from_f32(type, values + done, part, writer->rounded);
        if (safetensors_append(writer, writer->rounded, part))
            return -1;
    }
    return 0;
}

static void free_writer(SafetensorsWriter *writer)
{
    release(writer->planned);
    release(writer->rounded);
    release(writer);
}

int safetensors_commit(SafetensorsWriter *writer)
{
    CHECK(writer->due == writer->count, "a tensor has not all of its elements");
    int status = atomic_commit(writer->file);
    free_writer(writer);
    return status;
}

void safetensors_abandon(SafetensorsWriter *writer)
{
    if (!writer)
        return;
    atomic_abandon(writer->file);
    free_writer(writer);
}
