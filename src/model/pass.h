// pass.h - what the steps of a layer share, forward and backward; inside `model` only.

#ifndef L2A_MODEL_PASS_H
#define L2A_MODEL_PASS_H

#include "model/model.h"

typedef struct {
    const Model *model;      // borrowed, all of them
    const Kernels *kernels;  // = model->kernels
    const ModelShape *shape; // = model->shape
    const Batch *batch;
    Workspace *workspace;
    int64_t rows; // of the batch
} Pass;

static inline Pass pass_of(const Model *model, const Batch *batch, Workspace *workspace)
{
    return (Pass){model, model->kernels, model->shape, batch, workspace, batch->rows};
}

// An activation [rows of the batch, width].
static inline Tensor view(const Pass *pass, float *data, int64_t width)
{
    return tensor_of(data, pass->rows, width);
}

// A layer from state->x to its hidden columns, all that its backward pass reads; in forward.c.
void layer_forward(const Pass *pass, const LayerWeights *w, LayerState *state, Cache cache);

// Where the gradients of a linear layer lie; NULL: not wanted.
typedef struct {
    float *weight, *a, *b;
} LinearGradient;

// out = x W^T + (scale * x A^T) B^T. Sampler and learner compute every linear layer by this.
void linear_forward(const Pass *pass, Tensor out, Tensor x, const LinearWeights *w);

// Given y = gradient of out: adds to the gradients, and writes dx or adds to it.
void linear_backward(const Pass *pass, Tensor dx, bool accumulate, Tensor y, Tensor x,
                     const LinearWeights *w, const LinearGradient *g);

#endif
