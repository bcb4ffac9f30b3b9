#include "model/model.h"

#include <string.h>

#include "base/fail.h"

ElementType model_trained_type(const Model *model)
{
    return model->adapter ? TYPE_F32 : model->type;
}

void model_make(Model *model, const Parameters *parameters, const Parameters *adapter,
                const Kernels *kernels, ElementType type, int64_t positions)
{
    *model = (Model){.parameters = parameters,
                     .adapter = adapter,
                     .shape = &parameters->shape,
                     .kernels = kernels,
                     .type = type,
                     .positions = positions};
    size_t elements = (size_t)(positions * parameters->shape.head_width);
    float *table = allocate(elements, sizeof *table);
    shape_rotary_table(model->shape, table, positions);
    model->rotary = kernels->memory_make(elements * sizeof *table);
    kernels->copy_in(NULL, model->rotary, table, elements * sizeof *table);
    kernels->queue_wait(NULL);
    release(table);
}

void model_free(Model *model)
{
    model->kernels->memory_free(model->rotary);
    *model = (Model){0};
}

Model model_cut(const Model *model, const TensorSlice *slice)
{
    Model part = *model;
    part.slice = slice;
    part.shape = &slice->shape;
    return part;
}

// Hands out pieces of one block; with no base it only counts.
typedef struct {
    char *base;
    size_t used;
} Carver;

static void *carve(Carver *carver, int64_t count, size_t size)
{
    char *piece = carver->base ? carver->base + carver->used : NULL;
    carver->used += ((size_t)count * size + 63) / 64 * 64;
    return piece;
}

static float *carve_floats(Carver *carver, int64_t rows, int64_t width)
{
    return carve(carver, rows * width, sizeof(float));
}

typedef struct {
    int64_t query, key; // columns of q and of k and v
} Widths;

static Widths widths_of(const ModelShape *shape)
{
    return (Widths){.query = (int64_t)shape->heads * shape->head_width,
                    .key = (int64_t)shape->kv_heads * shape->head_width};
}

static void carve_layer(Carver *carver, LayerState *layer, const ModelShape *shape, int64_t rows,
                        bool training)
{
    Widths widths = widths_of(shape);
    layer->x = carve_floats(carver, rows, shape->width);
    // Without a backward pass the stream has one buffer, and raw queries are rotated in place.
    layer->middle = training ? carve_floats(carver, rows, shape->width) : layer->x;
    layer->q = carve_floats(carver, rows, widths.query);
    if (training && shape->qk_norm) {
        layer->q_raw = carve_floats(carver, rows, widths.query);
        layer->k_raw = carve_floats(carver, rows, widths.key);
    }
    layer->attended = carve_floats(carver, rows, widths.query);
    layer->statistics = training ? carve_floats(carver, rows, 2 * shape->heads) : NULL;
    layer->gate = carve_floats(carver, rows, shape->feed_forward);
    layer->up = carve_floats(carver, rows, shape->feed_forward);
}

// What only WORKSPACE_TRAIN_ALL keeps.
static void carve_recomputed(Carver *carver, LayerState *layer, const Workspace *workspace,
                             const ModelShape *shape, WorkspaceKind kind)
{
    bool keeps = kind == WORKSPACE_TRAIN_ALL;
    int64_t rows = workspace->rows;
    layer->attend_norm = keeps ? carve_floats(carver, rows, shape->width) : workspace->norm;
    layer->feed_norm = keeps ? carve_floats(carver, rows, shape->width) : workspace->norm;
    layer->hidden = keeps ? carve_floats(carver, rows, shape->feed_forward) : workspace->hidden;
}

static Cache carve_cache(Carver *carver, const Model *model, int64_t slots)
{
    const ModelShape *shape = model->shape;
    size_t bytes =
        model->kernels->cache_bytes(slots, shape->kv_heads, shape->head_width, model->type);
    return (Cache){.keys = carve(carver, (int64_t)bytes, 1),
                   .values = carve(carver, (int64_t)bytes, 1),
                   .slots = slots,
                   .heads = shape->kv_heads,
                   .head_width = shape->head_width,
                   .type = model->type};
}

static void carve_adapter(Carver *carver, Workspace *workspace, const Model *model)
{
    const ModelShape *shape = model->shape;
    int64_t widest = widths_of(shape).query;
    widest = shape->width > widest ? shape->width : widest;
    widest = shape->feed_forward > widest ? shape->feed_forward : widest;
    workspace->low = carve_floats(carver, workspace->rows, model->adapter->adapter.rank);
    workspace->wide = carve_floats(carver, workspace->rows, widest);
}

static void carve_backward(Carver *carver, Workspace *workspace, const ModelShape *shape)
{
    Widths widths = widths_of(shape);
    int64_t rows = workspace->rows;
    workspace->dx = carve_floats(carver, rows, shape->width);
    workspace->dnorm = carve_floats(carver, rows, shape->width);
    workspace->dq = carve_floats(carver, rows, widths.query);
    workspace->dk = carve_floats(carver, rows, widths.key);
    workspace->dv = carve_floats(carver, rows, widths.key);
    workspace->dk_slots = carve_floats(carver, workspace->slots, widths.key);
    workspace->dv_slots = carve_floats(carver, workspace->slots, widths.key);
    workspace->dattended = carve_floats(carver, rows, widths.query);
    workspace->dhidden = carve_floats(carver, rows, shape->feed_forward);
    workspace->dnormed = carve_floats(carver, SCORED_CHUNK, shape->width);
}

static void carve_all(Carver *carver, Workspace *workspace, const Model *model, WorkspaceKind kind)
{
    const ModelShape *shape = model->shape;
    Widths widths = widths_of(shape);
    int64_t rows = workspace->rows;
    bool training = workspace_learns(kind), keeps = training && kind != WORKSPACE_TRAIN_LAYERS;
    for (int64_t l = 0; l < shape->layers; l++) {
        if (l == 0 || keeps)
            carve_layer(carver, &workspace->layers[l], shape, rows, training);
        else
            workspace->layers[l] = workspace->layers[0];
        if (l > 0 && kind == WORKSPACE_TRAIN_LAYERS)
            workspace->layers[l].x = carve_floats(carver, rows, shape->width);
        if (kind != WORKSPACE_DECODE)
            workspace->caches[l] = l == 0 || keeps ? carve_cache(carver, model, workspace->slots)
                                                   : workspace->caches[0];
    }
    workspace->x = training ? carve_floats(carver, rows, shape->width) : workspace->layers[0].x;
    workspace->tokens = carve(carver, rows, sizeof(int32_t));
    workspace->positions = carve(carver, rows, sizeof(int32_t));
    workspace->slot_of_row = carve(carver, rows, sizeof(int32_t));
    workspace->scored_rows = carve(carver, rows, sizeof(int32_t));
    workspace->norm = carve_floats(carver, rows, shape->width);
    // A sum over ranks works on equal shares.
    int64_t spare = model->slice ? model->slice->group.size : 0;
    workspace->delta = carve(carver, rows * shape->width + spare, sizeof(float));
    workspace->partial =
        spare > 1 ? carve(carver, rows * shape->width + spare, sizeof(float)) : NULL;
    workspace->k = carve_floats(carver, rows, widths.key);
    workspace->v = carve_floats(carver, rows, widths.key);
    workspace->hidden = carve_floats(carver, rows, shape->feed_forward);
    for (int64_t l = 0; l < shape->layers; l++)
        carve_recomputed(carver, &workspace->layers[l], workspace, shape, kind);
    workspace->gathered = carve_floats(carver, SCORED_CHUNK, shape->width);
    workspace->normed = carve_floats(carver, SCORED_CHUNK, shape->width);
    workspace->logits = carve_floats(carver, SCORED_CHUNK, shape->vocabulary);
    workspace->lse = carve_floats(carver, SCORED_CHUNK, 1);
    workspace->entropy = carve_floats(carver, SCORED_CHUNK, 1);
    workspace->slopes = carve_floats(carver, SCORED_CHUNK, 1);
    if (model->adapter)
        carve_adapter(carver, workspace, model);
    if (training)
        carve_backward(carver, workspace, shape);
}

void workspace_make(Workspace *workspace, const Model *model, WorkspaceKind kind, int64_t rows,
                    int64_t slots)
{
    size_t layers = (size_t)model->shape->layers;
    *workspace = (Workspace){.rows = rows, .slots = slots, .kind = kind};
    workspace->layers = allocate(layers, sizeof *workspace->layers);
    workspace->caches = allocate(layers, sizeof *workspace->caches);
    Carver carver = {0};
    carve_all(&carver, workspace, model, kind);
    workspace->memory = model->kernels->memory_make(carver.used);
    carver = (Carver){.base = workspace->memory};
    carve_all(&carver, workspace, model, kind);
}

size_t workspace_bytes(const Model *model, WorkspaceKind kind, int64_t rows, int64_t slots)
{
    size_t layers = (size_t)model->shape->layers;
    Workspace workspace = {.rows = rows, .slots = slots, .kind = kind};
    workspace.layers = allocate(layers, sizeof *workspace.layers);
    workspace.caches = allocate(layers, sizeof *workspace.caches);
    Carver carver = {0};
    carve_all(&carver, &workspace, model, kind);
    release(workspace.layers);
    release(workspace.caches);
    return carver.used;
}

void workspace_free(Workspace *workspace, const Model *model)
{
    if (!workspace->memory)
        return;
    model->kernels->memory_free(workspace->memory);
    if (workspace->targets) {
        model->kernels->memory_free(workspace->targets);
        model->kernels->memory_free(workspace->logprobs);
        model->kernels->memory_free(workspace->coefficients);
    }
    release(workspace->layers);
    release(workspace->caches);
    *workspace = (Workspace){0};
}
