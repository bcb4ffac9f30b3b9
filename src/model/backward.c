#include <math.h>

#include "model/pass.h"

// Where the gradients of a layer's tensors lie in the flat unit; of an adapter only the pairs.
typedef struct {
    LinearGradient linears[LINEAR_COUNT];
    float *input_norm, *q_bias, *k_bias, *v_bias, *q_norm, *k_norm, *post_norm;
} LayerGradients;

static LayerGradients adapter_gradients(const Parameters *adapter, int64_t layer, float *unit)
{
    const TensorPlace *place = adapter->tensors + adapter->units[layer + 1].first_tensor;
    LayerGradients g = {0};
    for (int l = 0; l < LINEAR_COUNT; l++) {
        if (!adapter->adapter.targets[l])
            continue;
        g.linears[l].a = unit + (place++)->offset;
        g.linears[l].b = unit + (place++)->offset;
    }
    return g;
}

static LayerGradients layer_gradients(const Parameters *parameters, int64_t layer, float *unit)
{
    const ModelShape *shape = &parameters->shape;
    const TensorPlace *place = parameters->tensors + parameters->units[layer + 1].first_tensor;
    LayerGradients g = {.input_norm = unit + (place++)->offset};
    g.linears[LINEAR_Q].weight = unit + (place++)->offset;
    g.q_bias = shape->qkv_bias ? unit + (place++)->offset : NULL;
    g.linears[LINEAR_K].weight = unit + (place++)->offset;
    g.k_bias = shape->qkv_bias ? unit + (place++)->offset : NULL;
    g.linears[LINEAR_V].weight = unit + (place++)->offset;
    g.v_bias = shape->qkv_bias ? unit + (place++)->offset : NULL;
    g.q_norm = shape->qk_norm ? unit + (place++)->offset : NULL;
    g.k_norm = shape->qk_norm ? unit + (place++)->offset : NULL;
    g.linears[LINEAR_O].weight = unit + (place++)->offset;
    g.post_norm = unit + (place++)->offset;
    g.linears[LINEAR_GATE].weight = unit + (place++)->offset;
    g.linears[LINEAR_UP].weight = unit + (place++)->offset;
    g.linears[LINEAR_DOWN].weight = unit + (place++)->offset;
    return g;
}

// Norms and SwiGLU: their inputs are there, they may not be.
static bool recomputes(const Pass *pass)
{
    return pass->workspace->kind != WORKSPACE_TRAIN_ALL;
}

// dx holds the gradient of the stream behind the layer; leaves that of the stream after attention.
static void feed_forward_backward(const Pass *pass, const LayerWeights *w, LayerState *state,
                                  const LayerGradients *g)
{
    const Kernels *kernels = pass->kernels;
    const ModelShape *shape = pass->shape;
    Workspace *workspace = pass->workspace;
    int64_t width = shape->width, inner = shape->feed_forward;
    Tensor dx = view(pass, workspace->dx, width), norm = view(pass, state->feed_norm, width);
    Tensor middle = view(pass, state->middle, width), dnorm = view(pass, workspace->dnorm, width);
    Tensor gate = view(pass, state->gate, inner), up = view(pass, state->up, inner);
    Tensor hidden = view(pass, state->hidden, inner);
    Tensor dhidden = view(pass, workspace->dhidden, inner);
    if (recomputes(pass))
        kernels->swiglu_forward(NULL, hidden, gate, up);
    linear_backward(pass, dhidden, false, dx, hidden, &w->linears[LINEAR_DOWN],
                    &g->linears[LINEAR_DOWN]);
    kernels->swiglu_backward(NULL, gate, up, dhidden, gate, up);
    if (recomputes(pass))
        kernels->residual_rmsnorm_forward(NULL, norm, middle, (Tensor){0}, w->post_norm,
                                          shape->epsilon);
    linear_backward(pass, dnorm, false, gate, norm, &w->linears[LINEAR_GATE],
                    &g->linears[LINEAR_GATE]);
    linear_backward(pass, dnorm, true, up, norm, &w->linears[LINEAR_UP], &g->linears[LINEAR_UP]);
    kernels->rmsnorm_backward(NULL, dx, g->post_norm, dnorm, middle, w->post_norm, shape->epsilon);
}

// The reverse of prepare_heads in forward.c: `d` [rows, heads * head_width] in place.
static void prepare_heads_backward(const Pass *pass, float *d, float *raw, float *scratch,
                                   int32_t heads, const float *norm, float *dnorm, float *dbias)
{
    const Kernels *kernels = pass->kernels;
    int64_t width = (int64_t)heads * pass->shape->head_width;
    kernels->rotary(NULL, view(pass, d, width), pass->shape->head_width, pass->model->rotary,
                    pass->workspace->positions, true);
    if (norm) {
        size_t bytes = (size_t)(pass->rows * width) * sizeof *d;
        int64_t each = pass->rows * heads;
        kernels->copy(NULL, scratch, d, bytes);
        kernels->fill_zero(NULL, d, bytes);
        kernels->rmsnorm_backward(NULL, tensor_of(d, each, pass->shape->head_width), dnorm,
                                  tensor_of(scratch, each, pass->shape->head_width),
                                  tensor_of(raw, each, pass->shape->head_width), norm,
                                  pass->shape->epsilon);
    }
    if (dbias)
        kernels->bias_backward(NULL, dbias, view(pass, d, width));
}

static void attention_gradients(const Pass *pass, LayerState *state, Cache cache)
{
    const Kernels *kernels = pass->kernels;
    const ModelShape *shape = pass->shape;
    Workspace *workspace = pass->workspace;
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width;
    size_t bytes = (size_t)(pass->batch->slots * key) * sizeof(float);
    Tensor dk_slots = tensor_of(workspace->dk_slots, pass->batch->slots, key);
    Tensor dv_slots = tensor_of(workspace->dv_slots, pass->batch->slots, key);
    kernels->fill_zero(NULL, dk_slots.data, bytes);
    kernels->fill_zero(NULL, dv_slots.data, bytes);
    kernels->attention_backward(
        NULL, view(pass, workspace->dq, query), dk_slots, dv_slots,
        view(pass, workspace->dattended, query), view(pass, state->attended, query),
        view(pass, state->statistics, 2 * shape->heads), view(pass, state->q, query), cache,
        pass->batch->spans, pass->batch->span_count, 1.0f / sqrtf((float)shape->head_width));
    kernels->rows_gather(NULL, view(pass, workspace->dk, key), dk_slots, workspace->slot_of_row);
    kernels->rows_gather(NULL, view(pass, workspace->dv, key), dv_slots, workspace->slot_of_row);
}

// dx holds the gradient of the stream after attention; leaves that of the stream before the layer.
static void attend_backward(const Pass *pass, const LayerWeights *w, LayerState *state, Cache cache,
                            const LayerGradients *g)
{
    const Kernels *kernels = pass->kernels;
    const ModelShape *shape = pass->shape;
    Workspace *workspace = pass->workspace;
    int64_t width = shape->width;
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width;
    Tensor dx = view(pass, workspace->dx, width), norm = view(pass, state->attend_norm, width);
    Tensor x = view(pass, state->x, width), dnorm = view(pass, workspace->dnorm, width);
    Tensor dq = view(pass, workspace->dq, query), dk = view(pass, workspace->dk, key);
    Tensor dv = view(pass, workspace->dv, key);
    linear_backward(pass, view(pass, workspace->dattended, query), false, dx,
                    view(pass, state->attended, query), &w->linears[LINEAR_O],
                    &g->linears[LINEAR_O]);
    attention_gradients(pass, state, cache);
    prepare_heads_backward(pass, dq.data, state->q_raw, workspace->dattended, shape->heads,
                           w->q_norm, g->q_norm, g->q_bias);
    prepare_heads_backward(pass, dk.data, state->k_raw, workspace->dattended, shape->kv_heads,
                           w->k_norm, g->k_norm, g->k_bias);
    if (g->v_bias)
        kernels->bias_backward(NULL, g->v_bias, dv);
    if (recomputes(pass))
        kernels->residual_rmsnorm_forward(NULL, norm, x, (Tensor){0}, w->input_norm,
                                          shape->epsilon);
    linear_backward(pass, dnorm, false, dq, norm, &w->linears[LINEAR_Q], &g->linears[LINEAR_Q]);
    linear_backward(pass, dnorm, true, dk, norm, &w->linears[LINEAR_K], &g->linears[LINEAR_K]);
    linear_backward(pass, dnorm, true, dv, norm, &w->linears[LINEAR_V], &g->linears[LINEAR_V]);
    kernels->rmsnorm_backward(NULL, dx, g->input_norm, dnorm, x, w->input_norm, shape->epsilon);
}

void model_backward(const Model *model, Weights *weights, const Batch *batch, Workspace *workspace,
                    const GradientSink *sink)
{
    Pass pass = pass_of(model, batch, workspace);
    for (int64_t l = model->shape->layers - 1; l >= 0; l--) {
        const LayerWeights *w = weights_layer(weights, l);
        float *unit = sink->begin(sink->context, l + 1);
        LayerGradients g = model->adapter ? adapter_gradients(model->adapter, l, unit)
                                          : layer_gradients(model->parameters, l, unit);
        if (workspace->kind == WORKSPACE_TRAIN_LAYERS)
            layer_forward(&pass, w, &workspace->layers[l], workspace->caches[l]);
        feed_forward_backward(&pass, w, &workspace->layers[l], &g);
        weights_progress(weights);
        sink->progress(sink->context);
        attend_backward(&pass, w, &workspace->layers[l], workspace->caches[l], &g);
        sink->end(sink->context, l + 1);
    }
    if (model->adapter)
        return;
    float *embedding = sink->begin(sink->context, 0);
    Tensor gradient = tensor_of(embedding, model->shape->vocabulary, model->shape->width);
    model->kernels->embedding_backward(
        NULL, gradient, view(&pass, workspace->dx, model->shape->width), workspace->tokens);
    sink->end(sink->context, 0);
}
