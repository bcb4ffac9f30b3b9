#include "model/parameters.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/activity.h"
#include "base/fail.h"
#include "base/random.h"
#include "files/safetensors.h"

static void add_tensor(Parameters *parameters, const char *name, int64_t rows, int64_t width,
                       TensorCut cut)
{
    Unit *unit = &parameters->units[parameters->unit_count - 1];
    TensorPlace *tensor = &parameters->tensors[parameters->tensor_count++];
    *tensor = (TensorPlace){
        .unit = parameters->unit_count - 1,
        .offset = unit->shard.global,
        .rows = rows,
        .width = width,
        .elements = rows > 0 ? rows * width : width,
        .cut = cut,
    };
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    unit->tensor_count++;
    unit->shard.global += shard_align(tensor->elements);
}

static void open_unit(Parameters *parameters)
{
    parameters->units[parameters->unit_count++].first_tensor = parameters->tensor_count;
}

static void add_layer(Parameters *parameters, int64_t layer)
{
    const ModelShape *shape = &parameters->shape;
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width;
    const struct {
        const char *name;
        int64_t rows, width;
        TensorCut cut;
        bool present;
    } list[] = {
        {"input_layernorm.weight", 0, shape->width, CUT_NONE, true},
        {"self_attn.q_proj.weight", query, shape->width, CUT_ROWS, true},
        {"self_attn.q_proj.bias", 0, query, CUT_ROWS, shape->qkv_bias},
        {"self_attn.k_proj.weight", key, shape->width, CUT_ROWS, true},
        {"self_attn.k_proj.bias", 0, key, CUT_ROWS, shape->qkv_bias},
        {"self_attn.v_proj.weight", key, shape->width, CUT_ROWS, true},
        {"self_attn.v_proj.bias", 0, key, CUT_ROWS, shape->qkv_bias},
        {"self_attn.q_norm.weight", 0, shape->head_width, CUT_NONE, shape->qk_norm},
        {"self_attn.k_norm.weight", 0, shape->head_width, CUT_NONE, shape->qk_norm},
        {"self_attn.o_proj.weight", shape->width, query, CUT_COLUMNS, true},
        {"post_attention_layernorm.weight", 0, shape->width, CUT_NONE, true},
        {"mlp.gate_proj.weight", shape->feed_forward, shape->width, CUT_ROWS, true},
        {"mlp.up_proj.weight", shape->feed_forward, shape->width, CUT_ROWS, true},
        {"mlp.down_proj.weight", shape->width, shape->feed_forward, CUT_COLUMNS, true},
    };
    open_unit(parameters);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char name[TENSOR_NAME_BYTES];
        snprintf(name, sizeof name, "model.layers.%lld.%s", (long long)layer, list[i].name);
        if (list[i].present)
            add_tensor(parameters, name, list[i].rows, list[i].width, list[i].cut);
    }
}

// Lays the finished units out behind one another.
static void share_units(Parameters *parameters, int rank, int size)
{
    parameters->shards = size;
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        Unit *unit = &parameters->units[u];
        unit->shard = shard_of(unit->shard.global, rank, size);
        unit->local_offset = parameters->local;
        parameters->local += unit->shard.local;
        if (unit->shard.padded > parameters->largest)
            parameters->largest = unit->shard.padded;
    }
}

void parameters_make(Parameters *parameters, const ModelShape *shape, int rank, int size)
{
    enum { LAYER_TENSORS = 14, OTHER_TENSORS = 3 };
    *parameters = (Parameters){.shape = *shape};
    parameters->units = allocate((size_t)shape->layers + 2, sizeof(Unit));
    parameters->tensors =
        allocate((size_t)(shape->layers * LAYER_TENSORS + OTHER_TENSORS), sizeof(TensorPlace));
    open_unit(parameters);
    add_tensor(parameters, "model.embed_tokens.weight", shape->vocabulary, shape->width, CUT_NONE);
    for (int64_t layer = 0; layer < shape->layers; layer++)
        add_layer(parameters, layer);
    open_unit(parameters);
    add_tensor(parameters, "model.norm.weight", 0, shape->width, CUT_NONE);
    if (!shape->tied)
        add_tensor(parameters, "lm_head.weight", shape->vocabulary, shape->width, CUT_NONE);
    share_units(parameters, rank, size);
}

static void add_adapter_layer(Parameters *parameters, int64_t layer)
{
    const ModelShape *shape = &parameters->shape;
    int64_t query = (int64_t)shape->heads * shape->head_width, inner = shape->feed_forward;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width, rank = parameters->adapter.rank;
    const struct {
        int64_t out, in;
        bool by_columns; // of the layer's matrix, where an engine has several ranks
    } sizes[LINEAR_COUNT] = {
        [LINEAR_Q] = {query, shape->width, false},    [LINEAR_K] = {key, shape->width, false},
        [LINEAR_V] = {key, shape->width, false},      [LINEAR_O] = {shape->width, query, true},
        [LINEAR_GATE] = {inner, shape->width, false}, [LINEAR_UP] = {inner, shape->width, false},
        [LINEAR_DOWN] = {shape->width, inner, true},
    };
    open_unit(parameters);
    for (int i = 0; i < LINEAR_COUNT; i++) {
        if (!parameters->adapter.targets[i])
            continue;
        for (int half = 0; half < 2; half++) {
            char name[TENSOR_NAME_BYTES];
            snprintf(name, sizeof name, "base_model.model.model.layers.%lld.%s.lora_%c.weight",
                     (long long)layer, linear_modules[i], half ? 'B' : 'A');
            // What is cut of W's rows is cut of B, of its columns of A.
            TensorCut cut = sizes[i].by_columns ? (half ? CUT_NONE : CUT_COLUMNS)
                                                : (half ? CUT_ROWS : CUT_NONE);
            add_tensor(parameters, name, half ? sizes[i].out : rank, half ? rank : sizes[i].in,
                       cut);
        }
    }
}

void parameters_make_adapter(Parameters *parameters, const ModelShape *shape,
                             const AdapterShape *adapter, int rank, int size)
{
    *parameters = (Parameters){.shape = *shape, .adapter = *adapter};
    parameters->units = allocate((size_t)shape->layers + 2, sizeof(Unit));
    parameters->tensors = allocate((size_t)(shape->layers * 2 * LINEAR_COUNT), sizeof(TensorPlace));
    open_unit(parameters);
    for (int64_t layer = 0; layer < shape->layers; layer++)
        add_adapter_layer(parameters, layer);
    open_unit(parameters);
    share_units(parameters, rank, size);
}

void parameters_free(Parameters *parameters)
{
    release(parameters->units);
    release(parameters->tensors);
    *parameters = (Parameters){0};
}

int64_t parameters_elements(const Parameters *parameters)
{
    int64_t elements = 0;
    for (int64_t i = 0; i < parameters->tensor_count; i++)
        elements += parameters->tensors[i].elements;
    return elements;
}

Piece parameters_piece(const Parameters *parameters, int64_t index)
{
    const TensorPlace *tensor = &parameters->tensors[index];
    const Unit *unit = &parameters->units[tensor->unit];
    int64_t begin = tensor->offset > unit->shard.first ? tensor->offset : unit->shard.first;
    int64_t tensor_end = tensor->offset + tensor->elements;
    int64_t shard_end = unit->shard.first + unit->shard.local;
    int64_t end = tensor_end < shard_end ? tensor_end : shard_end;
    if (end <= begin)
        return (Piece){.tensor = tensor};
    return (Piece){
        .tensor = tensor,
        .first = begin - tensor->offset,
        .local = unit->local_offset + begin - unit->shard.first,
        .count = end - begin,
    };
}

// Into `values`, where element `base` of the flat arrays lies first.
static int load_tensor(const Parameters *parameters, int64_t index, const SafetensorsSet *set,
                       float *values, int64_t base)
{
    const TensorPlace *tensor = &parameters->tensors[index];
    activity_sign();
    int64_t found = safetensors_find(set, tensor->name);
    if (found < 0)
        return fail(EXIT_BAD_DATA, "tensor %s is missing", tensor->name);
    const SafetensorsTensor *stored = safetensors_tensor(set, found);
    bool fits = tensor->rows > 0 ? stored->rank == 2 && stored->shape[0] == tensor->rows &&
                                       stored->shape[1] == tensor->width
                                 : stored->rank == 1 && stored->shape[0] == tensor->width;
    if (!fits)
        return fail(EXIT_BAD_DATA, "tensor %s has not the shape [%lld, %lld] of its configuration",
                    tensor->name, (long long)tensor->rows, (long long)tensor->width);
    Piece piece = parameters_piece(parameters, index);
    if (piece.count == 0)
        return 0;
    return safetensors_read_f32(set, found, piece.first, piece.count, values + piece.local - base);
}

static SafetensorsSet *open_whole(const Parameters *parameters, const char *path)
{
    SafetensorsSet *set = safetensors_open(path);
    if (!set)
        return NULL;
    bool spare_head = parameters->shape.tied && safetensors_find(set, "lm_head.weight") >= 0;
    int64_t extra = safetensors_count(set) - parameters->tensor_count - (spare_head ? 1 : 0);
    if (extra <= 0)
        return set; // a missing one is named when it is asked for
    safetensors_close(set);
    fail(EXIT_BAD_DATA, "%lld tensors more than its configuration describes", (long long)extra);
    fail_context("%s", path);
    return NULL;
}

int parameters_load(const Parameters *parameters, const char *path, float *values)
{
    SafetensorsSet *set = open_whole(parameters, path);
    if (!set)
        return -1;
    int status = 0;
    for (int64_t i = 0; i < parameters->tensor_count && status == 0; i++)
        status = load_tensor(parameters, i, set, values, 0);
    safetensors_close(set);
    return status == 0 ? 0 : fail_context("%s", path);
}

int parameters_stream(const Parameters *parameters, const char *path, ParametersTake *take,
                      void *context)
{
    SafetensorsSet *set = open_whole(parameters, path);
    if (!set)
        return -1;
    int status = 0;
    float *flat = allocate((size_t)parameters->largest, sizeof *flat);
    for (int64_t u = 0; u < parameters->unit_count && status == 0; u++) {
        const Unit *unit = &parameters->units[u];
        memset(flat, 0, (size_t)unit->shard.padded * sizeof *flat);
        for (int64_t i = 0; i < unit->tensor_count && status == 0; i++)
            status = load_tensor(parameters, unit->first_tensor + i, set, flat, unit->local_offset);
        if (status == 0)
            take(context, u, flat);
    }
    release(flat);
    safetensors_close(set);
    return status == 0 ? 0 : fail_context("%s", path);
}

static bool writes_residual(const TensorPlace *tensor)
{
    return strstr(tensor->name, "o_proj.weight") || strstr(tensor->name, "down_proj.weight");
}

// A draw gives two neighbours their values, of which a piece may hold one.
static void randomise_matrix(const Piece *piece, uint64_t seed, int64_t tensor, double scale,
                             float *values)
{
    int64_t end = piece->first + piece->count;
#pragma omp parallel for schedule(static)
    for (int64_t pair = piece->first / 2; pair < (end + 1) / 2; pair++) {
        double normal[2];
        draw_normal((Draw){.seed = seed,
                           .purpose = PURPOSE_INITIALISE,
                           .session = (uint32_t)tensor,
                           .step = (uint32_t)(pair >> 32),
                           .position = (uint32_t)pair},
                    normal);
        for (int64_t half = 0; half < 2; half++) {
            int64_t element = 2 * pair + half;
            if (element >= piece->first && element < end)
                values[element - piece->first] = (float)(scale * normal[half]);
        }
    }
}

void parameters_randomise(const Parameters *parameters, uint64_t seed, float *values)
{
    double range = parameters->shape.initializer_range;
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        double scale =
            range /
            (writes_residual(piece.tensor) ? sqrt(2.0 * (double)parameters->shape.layers) : 1.0);
        float constant = strstr(piece.tensor->name, "norm") ? 1.0f : 0.0f;
        if (piece.tensor->rows > 0)
            randomise_matrix(&piece, seed, i, scale, values + piece.local);
        for (int64_t j = 0; j < piece.count && piece.tensor->rows == 0; j++)
            values[piece.local + j] = constant;
    }
}

void parameters_start_adapter(const Parameters *parameters, uint64_t seed, float *values)
{
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        bool is_a = strstr(piece.tensor->name, "lora_A") != NULL;
        double bound = 1 / sqrt((double)piece.tensor->width);
#pragma omp parallel for schedule(static) if (is_a)
        for (int64_t j = 0; j < piece.count; j++) {
            Draw draw = {.seed = seed,
                         .purpose = PURPOSE_ADAPTER,
                         .session = (uint32_t)i,
                         .position = (uint32_t)(piece.first + j)};
            values[piece.local + j] = is_a ? (float)(bound * (2 * draw_uniform(draw) - 1)) : 0.0f;
        }
    }
}
