#include <math.h>

#include "base/fail.h"
#include "model/pass.h"

// Query or key heads: norm (Qwen3), then rotation, in place.
static void prepare_heads(const Pass *pass, float *data, float *raw, int32_t heads,
                          const float *bias, const float *norm)
{
    const Kernels *kernels = pass->kernels;
    int64_t width = (int64_t)heads * pass->shape->head_width;
    if (bias)
        kernels->bias_forward(NULL, view(pass, data, width), bias);
    if (norm) {
        Tensor each = tensor_of(data, pass->rows * heads, pass->shape->head_width);
        if (raw)
            kernels->copy(NULL, raw, data, (size_t)(pass->rows * width) * sizeof *data);
        kernels->residual_rmsnorm_forward(NULL, each, each, (Tensor){0}, norm,
                                          pass->shape->epsilon);
    }
    kernels->rotary(NULL, view(pass, data, width), pass->shape->head_width, pass->model->rotary,
                    pass->workspace->positions, false);
}

// delta = x W^T. Where an engine has several ranks each holds some columns of W, and of x: the rest
// of the sum comes from the others.
static void project(const Pass *pass, Tensor x, const LinearWeights *w)
{
    Workspace *workspace = pass->workspace;
    const TensorSlice *slice = pass->model->slice;
    Tensor delta = view(pass, workspace->delta, pass->shape->width);
    linear_forward(pass, delta, x, w);
    if (slice)
        slice->collective->sum(&slice->group, pass->kernels, delta.data, delta.rows * delta.width,
                               workspace->partial);
}

static void attend(const Pass *pass, const LayerWeights *w, LayerState *state, Cache cache)
{
    const Kernels *kernels = pass->kernels;
    const ModelShape *shape = pass->shape;
    Workspace *workspace = pass->workspace;
    Tensor norm = view(pass, state->attend_norm, shape->width);
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width;
    Tensor q = view(pass, state->q, query), k = view(pass, workspace->k, key);
    Tensor v = view(pass, workspace->v, key), attended = view(pass, state->attended, query);
    linear_forward(pass, q, norm, &w->linears[LINEAR_Q]);
    linear_forward(pass, k, norm, &w->linears[LINEAR_K]);
    linear_forward(pass, v, norm, &w->linears[LINEAR_V]);
    prepare_heads(pass, state->q, state->q_raw, shape->heads, w->q_bias, w->q_norm);
    prepare_heads(pass, workspace->k, state->k_raw, shape->kv_heads, w->k_bias, w->k_norm);
    if (w->v_bias)
        kernels->bias_forward(NULL, v, w->v_bias);
    kernels->cache_append(NULL, cache, k, v, workspace->slot_of_row);
    kernels->attention_forward(NULL, attended, view(pass, state->statistics, 2 * shape->heads), q,
                               cache, pass->batch->spans, pass->batch->span_count,
                               1.0f / sqrtf((float)shape->head_width));
    project(pass, attended, &w->linears[LINEAR_O]);
}

// Leaves the hidden columns; the layer ends with their projection.
static void feed_forward(const Pass *pass, const LayerWeights *w, LayerState *state)
{
    const Kernels *kernels = pass->kernels;
    const ModelShape *shape = pass->shape;
    Tensor norm = view(pass, state->feed_norm, shape->width);
    Tensor gate = view(pass, state->gate, shape->feed_forward);
    Tensor up = view(pass, state->up, shape->feed_forward);
    Tensor hidden = view(pass, state->hidden, shape->feed_forward);
    linear_forward(pass, gate, norm, &w->linears[LINEAR_GATE]);
    linear_forward(pass, up, norm, &w->linears[LINEAR_UP]);
    kernels->swiglu_forward(NULL, hidden, gate, up);
}

static void copy_stream(const Pass *pass, float *to, const float *from)
{
    if (to != from)
        pass->kernels->copy(NULL, to, from, (size_t)(pass->rows * pass->shape->width) * sizeof *to);
}

void model_rows_in(const Model *model, const Batch *batch, Workspace *workspace)
{
    const Kernels *kernels = model->kernels;
    size_t bytes = (size_t)batch->rows * sizeof(int32_t);
    CHECK(batch->rows <= workspace->rows, "a batch of %lld rows in a workspace of %lld",
          (long long)batch->rows, (long long)workspace->rows);
    kernels->copy_in(NULL, workspace->tokens, batch->tokens, bytes);
    kernels->copy_in(NULL, workspace->positions, batch->positions, bytes);
    kernels->copy_in(NULL, workspace->slot_of_row, batch->slot_of_row, bytes);
}

void layer_forward(const Pass *pass, const LayerWeights *w, LayerState *state, Cache cache)
{
    const Kernels *kernels = pass->kernels;
    int64_t width = pass->shape->width;
    Tensor middle = view(pass, state->middle, width);
    kernels->residual_rmsnorm_forward(NULL, view(pass, state->attend_norm, width),
                                      view(pass, state->x, width), (Tensor){0}, w->input_norm,
                                      pass->shape->epsilon);
    attend(pass, w, state, cache);
    copy_stream(pass, state->middle, state->x);
    kernels->residual_rmsnorm_forward(NULL, view(pass, state->feed_norm, width), middle,
                                      view(pass, pass->workspace->delta, width), w->post_norm,
                                      pass->shape->epsilon);
    feed_forward(pass, w, state);
}

void model_layers_forward(const Model *model, Weights *weights, const Batch *batch,
                          Workspace *workspace, const Cache *caches)
{
    Pass pass = pass_of(model, batch, workspace);
    const Kernels *kernels = model->kernels;
    int64_t width = model->shape->width, layers = model->shape->layers;
    Matrix embedding = weights_embedding(weights);
    kernels->embedding_forward(NULL, view(&pass, workspace->layers[0].x, width), embedding,
                               workspace->tokens);
    for (int64_t l = 0; l < layers; l++) {
        const LayerWeights *w = weights_layer(weights, l);
        LayerState *state = &workspace->layers[l];
        float *after = l + 1 < layers ? workspace->layers[l + 1].x : workspace->x;
        layer_forward(&pass, w, state, caches ? caches[l] : workspace->caches[l]);
        weights_progress(weights);
        project(&pass, view(&pass, state->hidden, model->shape->feed_forward),
                &w->linears[LINEAR_DOWN]);
        copy_stream(&pass, after, state->middle);
        kernels->residual_rmsnorm_forward(NULL, (Tensor){0}, view(&pass, after, width),
                                          view(&pass, workspace->delta, width), NULL, 0);
    }
}

void model_forward(const Model *model, Weights *weights, const Batch *batch, Workspace *workspace,
                   const Cache *caches)
{
    model_rows_in(model, batch, workspace);
    model_layers_forward(model, weights, batch, workspace, caches);
}

Tensor model_logits(const Model *model, Weights *weights, Workspace *workspace, const int32_t *rows,
                    int64_t count)
{
    const Kernels *kernels = model->kernels;
    int64_t width = model->shape->width;
    Tensor gathered = tensor_of(workspace->gathered, count, width);
    Tensor normed = tensor_of(workspace->normed, count, width);
    Tensor logits = tensor_of(workspace->logits, count, model->shape->vocabulary);
    CHECK(count <= SCORED_CHUNK, "a chunk of %lld rows", (long long)count);
    const float *norm = weights_final_norm(weights);
    kernels->rows_gather(NULL, gathered, tensor_of(workspace->x, workspace->rows, width), rows);
    kernels->residual_rmsnorm_forward(NULL, normed, gathered, (Tensor){0}, norm,
                                      model->shape->epsilon);
    kernels->product_nt(NULL, logits, normed, weights_output(weights));
    return logits;
}
