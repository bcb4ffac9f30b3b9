#include "model/weights.h"

#include <string.h>

#include "base/activity.h"
#include "base/fail.h"

// A place where one unit lies packed.
typedef struct {
    char *memory; // owned, device
    int64_t held; // unit, -1: none
} Slot;

struct Weights {
    const Parameters *parameters; // borrowed
    const TensorSlice *slice;     // borrowed; NULL: all of every tensor
    const Kernels *kernels;       // borrowed
    ElementType type;
    bool resident;
    Slot *slots; // owned; resident: one a unit; windowed: embedding, a layer, the output
    int64_t slot_count;
    size_t *offsets; // owned, bytes, of each tensor in its unit's slot
    UnitSource source;
    int64_t coming, layer_asked; // unit on its way into staging, -1: none; the last layer asked for
    bool downwards;              // the direction of the pass
    void *staging;               // owned, device; with a source: one unit in its type
    float *cut; // owned, device; slices only: rows of a matrix that is cut by columns
    LayerWeights layer;
    Weights *base, *adapter; // borrowed; of an adapted set
};

enum { CUT_ROWS_AT_ONCE = 256 }; // of them
enum { SLOT_EMBEDDING, SLOT_LAYER, SLOT_OUTPUT, WINDOW_SLOTS };

static size_t tensor_bytes(const TensorSlice *slice, const Kernels *kernels,
                           const TensorPlace *tensor, ElementType type)
{
    TensorPart part = tensor_slice_part(slice, tensor);
    size_t bytes = part.rows > 0 ? kernels->matrix_bytes(part.rows, part.width, type)
                                 : (size_t)part.width * sizeof(float);
    return (bytes + 63) / 64 * 64;
}

static size_t unit_bytes(const Parameters *parameters, const TensorSlice *slice,
                         const Kernels *kernels, int64_t unit, ElementType type)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < parameters->units[unit].tensor_count; i++)
        bytes += tensor_bytes(slice, kernels,
                              &parameters->tensors[parameters->units[unit].first_tensor + i], type);
    return bytes;
}

// Of a slice that cuts nothing: none.
static size_t cut_bytes(const TensorSlice *slice)
{
    if (!slice || slice->group.size == 1)
        return 0;
    const ModelShape *shape = &slice->shape;
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t widest = query > shape->feed_forward ? query : shape->feed_forward;
    return (size_t)(CUT_ROWS_AT_ONCE * widest) * sizeof(float);
}

static size_t bytes_of(const Parameters *parameters, const TensorSlice *slice,
                       const Kernels *kernels, ElementType type, bool resident)
{
    size_t bytes = cut_bytes(slice);
    for (int64_t u = 0; u < parameters->unit_count; u++)
        if (resident || u < 2 || u == parameters->unit_count - 1)
            bytes += unit_bytes(parameters, slice, kernels, u, type);
    return bytes;
}

size_t weights_bytes(const Parameters *parameters, const Kernels *kernels, ElementType type,
                     bool resident)
{
    return bytes_of(parameters, NULL, kernels, type, resident);
}

size_t weights_slice_bytes(const Parameters *parameters, const TensorSlice *slice,
                           const Kernels *kernels, ElementType type)
{
    return bytes_of(parameters, slice, kernels, type, true);
}

static Weights *make(const Parameters *parameters, const TensorSlice *slice, const Kernels *kernels,
                     ElementType type, bool resident)
{
    Weights *weights = allocate(1, sizeof *weights);
    *weights = (Weights){.parameters = parameters,
                         .slice = slice,
                         .kernels = kernels,
                         .type = type,
                         .resident = resident};
    weights->slot_count = resident ? parameters->unit_count : WINDOW_SLOTS;
    weights->slots = allocate((size_t)weights->slot_count, sizeof(Slot));
    weights->offsets = allocate((size_t)parameters->tensor_count, sizeof(size_t));
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        const Unit *unit = &parameters->units[u];
        size_t offset = 0;
        for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++) {
            weights->offsets[i] = offset;
            offset += tensor_bytes(slice, kernels, &parameters->tensors[i], type);
        }
    }
    for (int64_t s = 0; s < weights->slot_count; s++) {
        int64_t unit = resident || s < SLOT_OUTPUT ? s : parameters->unit_count - 1;
        weights->slots[s].memory =
            kernels->memory_make(unit_bytes(parameters, slice, kernels, unit, type));
        weights->slots[s].held = -1;
    }
    weights->coming = -1;
    if (cut_bytes(slice) > 0)
        weights->cut = kernels->memory_make(cut_bytes(slice));
    return weights;
}

Weights *weights_make(const Parameters *parameters, const Kernels *kernels, ElementType type,
                      bool resident)
{
    return make(parameters, NULL, kernels, type, resident);
}

Weights *weights_make_slice(const Parameters *parameters, const TensorSlice *slice,
                            const Kernels *kernels, ElementType type)
{
    return make(parameters, slice, kernels, type, true);
}

Weights *weights_make_adapted(Weights *base, Weights *adapter)
{
    Weights *weights = allocate(1, sizeof *weights);
    *weights = (Weights){.parameters = base->parameters,
                         .kernels = base->kernels,
                         .type = base->type,
                         .base = base,
                         .adapter = adapter,
                         .coming = -1};
    return weights;
}

static void end_coming(Weights *weights)
{
    if (weights->source.begin && weights->coming >= 0)
        weights->source.end(weights->source.context);
    weights->coming = -1;
}

Weights *weights_trained(Weights *weights)
{
    return weights->base ? weights->adapter : weights;
}

void weights_free(Weights *weights)
{
    if (!weights)
        return;
    end_coming(weights);
    for (int64_t s = 0; s < weights->slot_count; s++)
        weights->kernels->memory_free(weights->slots[s].memory);
    if (weights->staging)
        weights->kernels->memory_free(weights->staging);
    if (weights->cut)
        weights->kernels->memory_free(weights->cut);
    release(weights->slots);
    release(weights->offsets);
    release(weights);
}

static Slot *slot_of(Weights *weights, int64_t unit)
{
    if (weights->resident)
        return &weights->slots[unit];
    if (unit == 0)
        return &weights->slots[SLOT_EMBEDDING];
    return &weights->slots[unit == weights->parameters->unit_count - 1 ? SLOT_OUTPUT : SLOT_LAYER];
}

static Matrix matrix_at(Weights *weights, int64_t index)
{
    const TensorPlace *tensor = &weights->parameters->tensors[index];
    TensorPart part = tensor_slice_part(weights->slice, tensor);
    return (Matrix){.packed = slot_of(weights, tensor->unit)->memory + weights->offsets[index],
                    .rows = part.rows,
                    .width = part.width,
                    .type = weights->type};
}

static float *vector_at(Weights *weights, int64_t index)
{
    const TensorPlace *tensor = &weights->parameters->tensors[index];
    return (float *)(void *)(slot_of(weights, tensor->unit)->memory + weights->offsets[index]);
}

// Kernels pack rows that lie behind one another: those of a cut by columns are first brought there.
static void pack_columns(Weights *weights, Matrix matrix, Elements source, int64_t stride)
{
    const Kernels *kernels = weights->kernels;
    for (int64_t first = 0; first < matrix.rows; first += CUT_ROWS_AT_ONCE) {
        int64_t rows = matrix.rows - first;
        rows = rows < CUT_ROWS_AT_ONCE ? rows : CUT_ROWS_AT_ONCE;
        size_t bytes = (size_t)matrix.width * type_bytes(source.type);
        for (int64_t r = 0; r < rows; r++)
            kernels->copy(NULL, (char *)weights->cut + (size_t)r * bytes,
                          elements_from(source, (first + r) * stride).data, bytes);
        kernels->matrix_pack(NULL, matrix, first, (Elements){weights->cut, source.type}, rows);
    }
}

static void load_tensor(Weights *weights, int64_t index, Elements source)
{
    const Kernels *kernels = weights->kernels;
    const TensorPlace *tensor = &weights->parameters->tensors[index];
    TensorPart part = tensor_slice_part(weights->slice, tensor);
    source = elements_from(source, part.first_row * tensor->width + part.first);
    if (tensor->rows > 0 && part.width < tensor->width)
        pack_columns(weights, matrix_at(weights, index), source, tensor->width);
    else if (tensor->rows > 0)
        kernels->matrix_pack(NULL, matrix_at(weights, index), 0, source, part.rows);
    else if (weights->type == TYPE_BF16 && source.type == TYPE_F32)
        kernels->round_bf16(NULL, vector_at(weights, index), source.data, part.width);
    else
        kernels->convert(NULL, vector_at(weights, index), TYPE_F32, source, part.width);
}

void weights_load_unit(Weights *weights, int64_t u, Elements flat)
{
    CHECK(flat.type == TYPE_F32 || weights->type == TYPE_BF16, "fp32 weights from bf16 values");
    const Unit *unit = &weights->parameters->units[u];
    for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++)
        load_tensor(weights, i, elements_from(flat, weights->parameters->tensors[i].offset));
    slot_of(weights, u)->held = u;
}

void weights_load(Weights *weights, Elements shards)
{
    CHECK(weights->parameters->shards == 1, "whole weights from one of several shards");
    for (int64_t u = 0; u < weights->parameters->unit_count; u++)
        weights_load_unit(weights, u,
                          elements_from(shards, weights->parameters->units[u].local_offset));
}

static void begin_coming(Weights *weights, int64_t unit)
{
    weights->source.begin(weights->source.context, unit, weights->staging);
    weights->coming = unit;
}

void weights_set_source(Weights *weights, UnitSource source)
{
    weights->source = source;
    if (!weights->staging)
        weights->staging = weights->kernels->memory_make((size_t)weights->parameters->largest *
                                                         type_bytes(source.type));
    weights_invalidate(weights);
}

void weights_invalidate(Weights *weights)
{
    if (weights->base)
        weights = weights->adapter;
    if (!weights || !weights->source.begin)
        return;
    end_coming(weights);
    for (int64_t s = 0; s < weights->slot_count; s++)
        weights->slots[s].held = -1;
}

void weights_progress(Weights *weights)
{
    Weights *sets[] = {weights, weights->base, weights->adapter};
    activity_sign();
    for (int i = 0; i < 3; i++)
        if (sets[i] && sets[i]->coming >= 0)
            sets[i]->source.progress(sets[i]->source.context);
}

static void need_unit(Weights *weights, int64_t unit)
{
    if (slot_of(weights, unit)->held == unit)
        return;
    CHECK(weights->source.begin, "unit %lld was never loaded", (long long)unit);
    if (weights->coming != unit) {
        end_coming(weights); // another one was expected
        begin_coming(weights, unit);
    }
    end_coming(weights);
    weights_load_unit(weights, unit, (Elements){weights->staging, weights->source.type});
}

// Asks for a unit before it is needed. The window it will lie in is still in use: only staging is
// filled. Every rank of the source's group comes to the same decision.
static void expect_unit(Weights *weights, int64_t unit)
{
    bool exists = unit >= 0 && unit < weights->parameters->unit_count &&
                  weights->parameters->units[unit].tensor_count > 0;
    if (weights->source.begin && weights->coming < 0 && exists &&
        slot_of(weights, unit)->held != unit)
        begin_coming(weights, unit);
}

// The layer, and then its neighbour: the one above, or on the way back (which begins where a layer
// is asked for again) the one below.
static void need_layer(Weights *weights, int64_t layer)
{
    if (layer == weights->layer_asked)
        weights->downwards = !weights->downwards;
    else
        weights->downwards = layer < weights->layer_asked;
    if (layer == 0)
        weights->downwards = false;
    weights->layer_asked = layer;
    need_unit(weights, layer + 1);
    int64_t next = weights->downwards ? layer : layer + 2; // units
    if (next > 0)
        expect_unit(weights, next);
}

// The set that holds the model's own tensors.
static Weights *holder(Weights *weights)
{
    return weights->base ? weights->base : weights;
}

static Matrix embedding(Weights *weights)
{
    need_unit(weights, 0);
    return matrix_at(weights, 0);
}

Matrix weights_embedding(Weights *weights)
{
    weights = holder(weights);
    Matrix matrix = embedding(weights);
    expect_unit(weights, 1); // a pass begins
    return matrix;
}

Matrix weights_output(Weights *weights)
{
    weights = holder(weights);
    if (weights->parameters->shape.tied)
        return embedding(weights);
    need_unit(weights, weights->parameters->unit_count - 1);
    return matrix_at(weights, weights->parameters->tensor_count - 1);
}

const float *weights_final_norm(Weights *weights)
{
    weights = holder(weights);
    int64_t unit = weights->parameters->unit_count - 1;
    need_unit(weights, unit);
    return vector_at(weights, weights->parameters->units[unit].first_tensor);
}

// The order of a layer's tensors is that of add_adapter_layer in parameters.c.
static void view_adapter(Weights *adapter, int64_t layer, LayerWeights *view)
{
    const AdapterShape *shape = &adapter->parameters->adapter;
    need_layer(adapter, layer);
    int64_t i = adapter->parameters->units[layer + 1].first_tensor;
    for (int l = 0; l < LINEAR_COUNT; l++) {
        if (!shape->targets[l])
            continue;
        view->linears[l].a = matrix_at(adapter, i++);
        view->linears[l].b = matrix_at(adapter, i++);
        view->linears[l].scale = (float)(shape->alpha / (double)shape->rank);
    }
}

// The order of a layer's tensors is that of add_layer in parameters.c.
const LayerWeights *weights_layer(Weights *weights, int64_t layer)
{
    const ModelShape *shape = &weights->parameters->shape;
    LayerWeights *view = &weights->layer;
    Weights *own = holder(weights);
    need_layer(own, layer);
    int64_t i = own->parameters->units[layer + 1].first_tensor;
    *view = (LayerWeights){.input_norm = vector_at(own, i++)};
    view->linears[LINEAR_Q].weight = matrix_at(own, i++);
    view->q_bias = shape->qkv_bias ? vector_at(own, i++) : NULL;
    view->linears[LINEAR_K].weight = matrix_at(own, i++);
    view->k_bias = shape->qkv_bias ? vector_at(own, i++) : NULL;
    view->linears[LINEAR_V].weight = matrix_at(own, i++);
    view->v_bias = shape->qkv_bias ? vector_at(own, i++) : NULL;
    view->q_norm = shape->qk_norm ? vector_at(own, i++) : NULL;
    view->k_norm = shape->qk_norm ? vector_at(own, i++) : NULL;
    view->linears[LINEAR_O].weight = matrix_at(own, i++);
    view->post_norm = vector_at(own, i++);
    view->linears[LINEAR_GATE].weight = matrix_at(own, i++);
    view->linears[LINEAR_UP].weight = matrix_at(own, i++);
    view->linears[LINEAR_DOWN].weight = matrix_at(own, i++);
    if (weights->adapter)
        view_adapter(weights->adapter, layer, view);
    return view;
}
