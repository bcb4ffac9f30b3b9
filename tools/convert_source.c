#include "tools/convert_source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/run_files.h"
#include "files/tensor_checksum.h"

enum { SLICE_ELEMENTS = 1 << 20 };

static const char weights_folder[] = "/weights/", adapter_folder[] = "/adapter/";
static const char head[] = "lm_head.weight"; // of a tied model no tensor of its own

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int add_tensor(Source *source, const char *place, const char *name, StoredType type,
                      int rank, const int64_t *shape, int64_t index)
{
    if (type != STORED_F32 && type != STORED_BF16 && type != STORED_F16)
        return fail(EXIT_BAD_DATA, "%s: '%s' is of type %s: that is no weight", place, name,
                    stored_type_name(type));
    SourceTensor *tensor = &source->tensors[source->count++];
    *tensor = (SourceTensor){.name = name,
                             .type = type,
                             .rank = rank,
                             .elements = stored_type_elements(type, rank, shape),
                             .index = index,
                             .a = -1,
                             .b = -1};
    memcpy(tensor->shape, shape, sizeof tensor->shape);
    return 0;
}

// The tensors of `folder`, under their names in it.
static int list_file(Source *source, const CheckpointFile *file, const char *folder)
{
    int64_t count = checkpoint_file_count(file);
    source->tensors = allocate((size_t)count, sizeof *source->tensors);
    for (int64_t i = 0; i < count; i++) {
        const CheckpointTensor *tensor = checkpoint_file_tensor(file, i);
        if (!begins_with(tensor->name, folder))
            continue;
        if (add_tensor(source, checkpoint_file_path(file), tensor->name + strlen(folder),
                       tensor->type, tensor->rank, tensor->shape, i) != 0)
            return -1;
    }
    if (source->count == 0)
        return fail(EXIT_BAD_DATA, "%s has no weights", checkpoint_file_path(file));
    return 0;
}

static int list_set(Source *source, const char *path)
{
    int64_t count = safetensors_count(source->base_set);
    source->tensors = allocate((size_t)count, sizeof *source->tensors);
    for (int64_t i = 0; i < count; i++) {
        const SafetensorsTensor *tensor = safetensors_tensor(source->base_set, i);
        if (add_tensor(source, path, tensor->name, tensor->type, tensor->rank, tensor->shape, i) !=
            0)
            return -1;
    }
    return 0;
}

static int list_base(Source *source, const char *path)
{
    Bytes config = {0};
    struct stat status;
    bytes_print(&config, "%s/config.json", path);
    bool hugging_face = stat(config.data, &status) == 0;
    bytes_free(&config);
    if (hugging_face) {
        source->base_set = safetensors_open(path);
        return source->base_set ? list_set(source, path) : -1;
    }
    char *file = run_files_resolve(path, false);
    source->base_file = file ? checkpoint_file_open(file, CHECKPOINT_VERIFY_ALL) : NULL;
    release(file);
    return source->base_file ? list_file(source, source->base_file, weights_folder) : -1;
}

// Without what an adapter adds.
static int read_plain(const Source *source, int64_t i, int64_t first, int64_t count, float *out)
{
    int64_t index = source->tensors[i].index;
    if (source->base_set)
        return safetensors_read_f32(source->base_set, index, first, count, out);
    return checkpoint_file_read_f32(source->base_file ? source->base_file : source->file, index,
                                    first, count, out);
}

static int tensor_term(const Source *source, int64_t i, float *slice, uint64_t *term)
{
    const SourceTensor *tensor = &source->tensors[i];
    TensorChecksum *checksum = tensor_checksum_begin(tensor->name);
    int status = 0;
    for (int64_t done = 0; done < tensor->elements && status == 0; done += SLICE_ELEMENTS) {
        int64_t left = tensor->elements - done;
        int64_t part = left < SLICE_ELEMENTS ? left : SLICE_ELEMENTS;
        status = read_plain(source, i, done, part, slice);
        tensor_checksum_add(checksum, slice, part);
    }
    *term = tensor_checksum_end(checksum);
    return status;
}

static void drop_tensor(Source *source, int64_t i)
{
    memmove(&source->tensors[i], &source->tensors[i + 1],
            (size_t)(source->count - i - 1) * sizeof *source->tensors);
    source->count--;
}

// The base must be the one that the adapter was trained beside. A head that the program passed
// over, since the model is tied, is left out.
static int verify_base(Source *source, const char *path, uint64_t expected)
{
    float *slice = allocate(SLICE_ELEMENTS, sizeof *slice);
    uint64_t sum = 0, of_head = 0;
    int64_t spare = -1;
    int status = 0;
    for (int64_t i = 0; i < source->count && status == 0; i++) {
        uint64_t term;
        status = tensor_term(source, i, slice, &term);
        sum += term;
        if (strcmp(source->tensors[i].name, head) == 0) {
            spare = i;
            of_head = term;
        }
    }
    release(slice);
    if (status != 0)
        return -1;
    if (spare >= 0 && sum - of_head == expected)
        drop_tensor(source, spare);
    else if (sum != expected)
        return fail(EXIT_BAD_DATA,
                    "%s: its adapter was trained beside other weights than %s holds (checksum "
                    "%016llx, not %016llx); name its base with --base",
                    checkpoint_file_path(source->file), path, (unsigned long long)sum,
                    (unsigned long long)expected);
    return 0;
}

static int64_t find_half(const Source *source, const SourceTensor *tensor, char half)
{
    static const char suffix[] = "weight";
    size_t length = strlen(tensor->name);
    if (length < strlen(suffix) || strcmp(tensor->name + length - strlen(suffix), suffix) != 0)
        return -1;
    Bytes name = {0};
    bytes_print(&name, "%sbase_model.model.%.*slora_%c.weight", adapter_folder,
                (int)(length - strlen(suffix)), tensor->name, half);
    int64_t index = checkpoint_file_find(source->file, name.data);
    bytes_free(&name);
    return index;
}

// Finds each tensor's pair; every half must belong to one and fit.
static int find_pairs(Source *source)
{
    int64_t halves = 0, found = 0;
    for (int64_t i = 0; i < checkpoint_file_count(source->file); i++)
        halves += begins_with(checkpoint_file_tensor(source->file, i)->name, adapter_folder);
    for (int64_t i = 0; i < source->count; i++) {
        SourceTensor *tensor = &source->tensors[i];
        tensor->a = find_half(source, tensor, 'A');
        tensor->b = find_half(source, tensor, 'B');
        if (tensor->a < 0 || tensor->b < 0)
            continue;
        const CheckpointTensor *a = checkpoint_file_tensor(source->file, tensor->a);
        const CheckpointTensor *b = checkpoint_file_tensor(source->file, tensor->b);
        if (tensor->rank != 2 || a->rank != 2 || b->rank != 2 || a->shape[0] != b->shape[1] ||
            a->shape[1] != tensor->shape[1] || b->shape[0] != tensor->shape[0])
            return fail(EXIT_BAD_DATA, "%s: the adapter of %s does not fit it",
                        checkpoint_file_path(source->file), tensor->name);
        found += 2;
    }
    if (found != halves)
        return fail(EXIT_BAD_DATA,
                    "%s: %lld tensors of its adapter belong to no weight of its base",
                    checkpoint_file_path(source->file), (long long)(halves - found));
    return 0;
}

static const char *text_attribute(const Source *source, const char *name)
{
    const CheckpointAttribute *attribute = checkpoint_file_attribute(source->file, name);
    return attribute && attribute->kind == ATTRIBUTE_TEXT ? attribute->text : "";
}

static int open_merged(Source *source, const ConvertOptions *options)
{
    const char *path = options->base ? options->base : text_attribute(source, "base_path");
    uint64_t expected = strtoull(text_attribute(source, "base_checksum"), NULL, 16);
    const CheckpointAttribute *rank = checkpoint_file_attribute(source->file, "adapter_rank");
    const CheckpointAttribute *alpha = checkpoint_file_attribute(source->file, "adapter_alpha");
    if (!*path || rank->kind != ATTRIBUTE_INTEGER || rank->integer < 1 || !alpha ||
        alpha->kind != ATTRIBUTE_REAL)
        return fail(EXIT_BAD_DATA, "%s: the attributes of its adapter are incomplete",
                    checkpoint_file_path(source->file));
    source->scale = alpha->real / (double)rank->integer;
    if (list_base(source, path) != 0)
        return fail_context("the base of the adapter; --base names another place");
    return verify_base(source, path, expected) == 0 ? find_pairs(source) : -1;
}

int source_open(Source *source, const char *from, const ConvertOptions *options)
{
    *source = (Source){.pair_of = -1};
    char *path = run_files_resolve(from, options->best);
    if (!path)
        return -1;
    source->file = checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL);
    release(path);
    if (!source->file)
        return -1;
    bool adapted = checkpoint_file_attribute(source->file, "adapter_rank") != NULL;
    if (!adapted && (options->adapter || options->base))
        return fail(EXIT_BAD_DATA, "%s holds a whole model, no adapter",
                    checkpoint_file_path(source->file));
    if (adapted && !options->adapter)
        return open_merged(source, options);
    return list_file(source, source->file, adapted ? adapter_folder : weights_folder);
}

void source_close(Source *source)
{
    checkpoint_file_close(source->file);
    checkpoint_file_close(source->base_file);
    safetensors_close(source->base_set);
    release(source->tensors);
    release(source->pair);
    *source = (Source){0};
}

static int need_pair(Source *source, int64_t i)
{
    if (source->pair_of == i)
        return 0;
    const SourceTensor *tensor = &source->tensors[i];
    int64_t rank = checkpoint_file_tensor(source->file, tensor->a)->shape[0];
    int64_t of_a = rank * tensor->shape[1], of_b = rank * tensor->shape[0];
    grow((void **)&source->pair, &source->pair_capacity, (size_t)(of_a + of_b),
         sizeof *source->pair);
    source->pair_of = i;
    if (checkpoint_file_read_f32(source->file, tensor->a, 0, of_a, source->pair) != 0)
        return -1;
    return checkpoint_file_read_f32(source->file, tensor->b, 0, of_b, source->pair + of_a);
}

// W + scale * (B A) of a stretch of one row, in double and rounded to fp32 once.
static void merge_row(const Source *source, const SourceTensor *tensor, int64_t row, int64_t column,
                      int64_t count, float *values)
{
    int64_t width = tensor->shape[1];
    int64_t rank = checkpoint_file_tensor(source->file, tensor->a)->shape[0];
    const float *a = source->pair + column, *b = source->pair + rank * width + row * rank;
    for (int64_t j = 0; j < count; j++) {
        double sum = 0;
        for (int64_t k = 0; k < rank; k++)
            sum += (double)b[k] * (double)a[k * width + j];
        values[j] = (float)((double)values[j] + source->scale * sum);
    }
}

int source_read_f32(Source *source, int64_t i, int64_t first, int64_t count, float *out)
{
    const SourceTensor *tensor = &source->tensors[i];
    if (read_plain(source, i, first, count, out) != 0)
        return -1;
    if (tensor->a < 0)
        return 0;
    if (need_pair(source, i) != 0)
        return -1;
    int64_t width = tensor->shape[1];
    for (int64_t done = 0; done < count;) {
        int64_t row = (first + done) / width, column = (first + done) % width;
        int64_t part = width - column < count - done ? width - column : count - done;
        merge_row(source, tensor, row, column, part, out + done);
        done += part;
    }
    return 0;
}

int source_read_stored(Source *source, int64_t i, int64_t first, int64_t count, void *out)
{
    int64_t index = source->tensors[i].index;
    CHECK(source->tensors[i].a < 0, "merged values have no stored type");
    if (source->base_set)
        return safetensors_read_stored(source->base_set, index, first, count, out);
    return checkpoint_file_read(source->base_file ? source->base_file : source->file, index, first,
                                count, out);
}
