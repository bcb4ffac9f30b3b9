#include "model/weights.h"

#include <string.h>

#include "base/fail.h"

// A place where one unit lies packed.
typedef struct {
    char *memory; // owned, device
    int64_t held; // unit, -1: none
} Slot;

struct Weights {
    const Parameters *parameters; // borrowed
    const Kernels *kernels;       // borrowed
    ElementType type;
    bool resident;
    Slot *slots; // owned; resident: one a unit; windowed: embedding, a layer, the output
    int64_t slot_count;
    size_t *offsets; // owned, bytes, of each tensor in its unit's slot
    UnitSource source;
    void *context;  // borrowed
    float *staging; // owned, device; windowed only: one unit in fp32
    LayerWeights layer;
};

enum { SLOT_EMBEDDING, SLOT_LAYER, SLOT_OUTPUT, WINDOW_SLOTS };

static size_t tensor_bytes(const Kernels *kernels, const TensorPlace *tensor, ElementType type)
{
    size_t bytes = tensor->rows > 0 ? kernels->matrix_bytes(tensor->rows, tensor->width, type)
                                    : (size_t)tensor->width * sizeof(float);
    return (bytes + 63) / 64 * 64;
}

static size_t unit_bytes(const Parameters *parameters, const Kernels *kernels, int64_t unit,
                         ElementType type)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < parameters->units[unit].tensor_count; i++)
        bytes += tensor_bytes(kernels,
                              &parameters->tensors[parameters->units[unit].first_tensor + i], type);
    return bytes;
}

size_t weights_bytes(const Parameters *parameters, const Kernels *kernels, ElementType type,
                     bool resident)
{
    size_t bytes = 0, staging = resident ? 0 : (size_t)parameters->largest * sizeof(float);
    for (int64_t u = 0; u < parameters->unit_count; u++)
        if (resident || u < 2 || u == parameters->unit_count - 1)
            bytes += unit_bytes(parameters, kernels, u, type);
    return bytes + staging;
}

Weights *weights_make(const Parameters *parameters, const Kernels *kernels, ElementType type,
                      bool resident)
{
    Weights *weights = allocate(1, sizeof *weights);
    *weights =
        (Weights){.parameters = parameters, .kernels = kernels, .type = type, .resident = resident};
    weights->slot_count = resident ? parameters->unit_count : WINDOW_SLOTS;
    weights->slots = allocate((size_t)weights->slot_count, sizeof(Slot));
    weights->offsets = allocate((size_t)parameters->tensor_count, sizeof(size_t));
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        const Unit *unit = &parameters->units[u];
        size_t offset = 0;
        for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++) {
            weights->offsets[i] = offset;
            offset += tensor_bytes(kernels, &parameters->tensors[i], type);
        }
    }
    for (int64_t s = 0; s < weights->slot_count; s++) {
        int64_t unit = resident || s < SLOT_OUTPUT ? s : parameters->unit_count - 1;
        weights->slots[s].memory =
            kernels->memory_make(unit_bytes(parameters, kernels, unit, type));
        weights->slots[s].held = -1;
    }
    if (!resident)
        weights->staging = kernels->memory_make((size_t)parameters->largest * sizeof(float));
    return weights;
}

void weights_free(Weights *weights)
{
    if (!weights)
        return;
    for (int64_t s = 0; s < weights->slot_count; s++)
        weights->kernels->memory_free(weights->slots[s].memory);
    if (weights->staging)
        weights->kernels->memory_free(weights->staging);
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
    return (Matrix){.packed = slot_of(weights, tensor->unit)->memory + weights->offsets[index],
                    .rows = tensor->rows,
                    .width = tensor->width,
                    .type = weights->type};
}

static float *vector_at(Weights *weights, int64_t index)
{
    const TensorPlace *tensor = &weights->parameters->tensors[index];
    return (float *)(void *)(slot_of(weights, tensor->unit)->memory + weights->offsets[index]);
}

void weights_load_unit(Weights *weights, int64_t u, const float *flat)
{
    const Unit *unit = &weights->parameters->units[u];
    for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++) {
        const TensorPlace *tensor = &weights->parameters->tensors[i];
        const float *source = flat + tensor->offset;
        if (tensor->rows > 0)
            weights->kernels->matrix_pack(NULL, matrix_at(weights, i), 0, source, tensor->rows);
        else if (weights->type == TYPE_BF16)
            weights->kernels->round_bf16(NULL, vector_at(weights, i), source, tensor->width);
        else
            weights->kernels->copy(NULL, vector_at(weights, i), source,
                                   (size_t)tensor->width * sizeof(float));
    }
    slot_of(weights, u)->held = u;
}

void weights_set_source(Weights *weights, UnitSource source, void *context)
{
    CHECK(!weights->resident, "a resident set has no source");
    weights->source = source;
    weights->context = context;
    weights_invalidate(weights);
}

void weights_invalidate(Weights *weights)
{
    if (weights->resident)
        return;
    for (int64_t s = 0; s < weights->slot_count; s++)
        weights->slots[s].held = -1;
}

static void need_unit(Weights *weights, int64_t unit)
{
    if (slot_of(weights, unit)->held == unit)
        return;
    CHECK(!weights->resident && weights->source, "unit %lld was never loaded", (long long)unit);
    weights->source(weights->context, unit, weights->staging);
    weights_load_unit(weights, unit, weights->staging);
}

Matrix weights_embedding(Weights *weights)
{
    need_unit(weights, 0);
    return matrix_at(weights, 0);
}

Matrix weights_output(Weights *weights)
{
    if (weights->parameters->shape.tied)
        return weights_embedding(weights);
    need_unit(weights, weights->parameters->unit_count - 1);
    return matrix_at(weights, weights->parameters->tensor_count - 1);
}

const float *weights_final_norm(Weights *weights)
{
    int64_t unit = weights->parameters->unit_count - 1;
    need_unit(weights, unit);
    return vector_at(weights, weights->parameters->units[unit].first_tensor);
}

// The order of a layer's tensors is that of add_layer in parameters.c.
const LayerWeights *weights_layer(Weights *weights, int64_t layer)
{
    const ModelShape *shape = &weights->parameters->shape;
    need_unit(weights, layer + 1);
    int64_t i = weights->parameters->units[layer + 1].first_tensor;
    LayerWeights *view = &weights->layer;
    *view = (LayerWeights){.input_norm = vector_at(weights, i++)};
    view->q = matrix_at(weights, i++);
    view->q_bias = shape->qkv_bias ? vector_at(weights, i++) : NULL;
    view->k = matrix_at(weights, i++);
    view->k_bias = shape->qkv_bias ? vector_at(weights, i++) : NULL;
    view->v = matrix_at(weights, i++);
    view->v_bias = shape->qkv_bias ? vector_at(weights, i++) : NULL;
    view->q_norm = shape->qk_norm ? vector_at(weights, i++) : NULL;
    view->k_norm = shape->qk_norm ? vector_at(weights, i++) : NULL;
    view->o = matrix_at(weights, i++);
    view->post_norm = vector_at(weights, i++);
    view->gate = matrix_at(weights, i++);
    view->up = matrix_at(weights, i++);
    view->down = matrix_at(weights, i++);
    return view;
}
