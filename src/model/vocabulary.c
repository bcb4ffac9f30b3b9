#include <string.h>

#include "base/fail.h"
#include "model/model.h"

static void reserve_targets(Workspace *workspace, const Kernels *kernels, int64_t count)
{
    if (count <= workspace->target_capacity)
        return;
    if (workspace->targets) {
        kernels->memory_free(workspace->targets);
        kernels->memory_free(workspace->logprobs);
        kernels->memory_free(workspace->coefficients);
    }
    workspace->target_capacity = count > 2 * workspace->rows ? 2 * count : 2 * workspace->rows;
    size_t capacity = (size_t)workspace->target_capacity;
    workspace->targets = kernels->memory_make(capacity * sizeof(Target));
    workspace->logprobs = kernels->memory_make(capacity * sizeof(float));
    workspace->coefficients = kernels->memory_make(capacity * sizeof(float));
}

typedef struct {
    const Model *model;
    Weights *weights;
    Workspace *workspace;
    float temperature;
    float *dnorm_weight; // gradient of the final norm; NULL: scoring
    float *dmatrix;      // gradient of the output matrix
} Stage;

static void chunk_backward(const Stage *stage, const int32_t *rows, int64_t count,
                           const Target *targets, const float *coefficients, int64_t target_count)
{
    const Model *model = stage->model;
    const Kernels *kernels = model->kernels;
    Workspace *workspace = stage->workspace;
    int64_t width = model->shape->width, vocabulary = model->shape->vocabulary;
    Tensor logits = tensor_of(workspace->logits, count, vocabulary);
    Tensor gathered = tensor_of(workspace->gathered, count, width);
    Tensor normed = tensor_of(workspace->normed, count, width);
    Tensor dnormed = tensor_of(workspace->dnormed, count, width);
    kernels->target_backward(NULL, logits, workspace->lse, targets, coefficients, target_count,
                             stage->temperature);
    kernels->product_nn(NULL, dnormed, logits, weights_output(stage->weights), false);
    kernels->product_tn(NULL, tensor_of(stage->dmatrix, vocabulary, width), logits, normed);
    // The normed rows have served: their memory takes the gradient of the gathered ones.
    kernels->fill_zero(NULL, normed.data, (size_t)(count * width) * sizeof(float));
    kernels->rmsnorm_backward(NULL, normed, stage->dnorm_weight, dnormed, gathered,
                              weights_final_norm(stage->weights), model->shape->epsilon);
    kernels->rows_scatter(NULL, tensor_of(workspace->dx, workspace->rows, width), normed, rows);
}

static void begin_gradients(Stage *stage, const GradientSink *sink, int64_t rows)
{
    const Parameters *parameters = stage->model->parameters;
    int64_t last = parameters->unit_count - 1;
    float *output = sink->begin(sink->context, last);
    stage->dnorm_weight = output;
    stage->dmatrix = parameters->shape.tied
                         ? sink->begin(sink->context, 0)
                         : output + parameters->tensors[parameters->tensor_count - 1].offset;
    stage->model->kernels->fill_zero(NULL, stage->workspace->dx,
                                     (size_t)(rows * parameters->shape.width) * sizeof(float));
}

void model_vocabulary(const Model *model, Weights *weights, const Batch *batch,
                      Workspace *workspace, float temperature, LossFunction loss, void *context,
                      const GradientSink *sink)
{
    const Kernels *kernels = model->kernels;
    Stage stage = {
        .model = model, .weights = weights, .workspace = workspace, .temperature = temperature};
    size_t targets = (size_t)batch->target_count;
    reserve_targets(workspace, kernels, batch->target_count);
    kernels->copy_in(NULL, workspace->targets, batch->targets, targets * sizeof(Target));
    kernels->copy_in(NULL, workspace->scored_rows, batch->scored_rows,
                     (size_t)batch->scored_count * sizeof(int32_t));
    float *host = allocate(2 * targets, sizeof *host);
    if (sink)
        begin_gradients(&stage, sink, batch->rows);
    // A rank without rows asks for the same units as the others: gathering is collective.
    weights_final_norm(weights);
    weights_output(weights);
    for (int64_t c = 0; c * SCORED_CHUNK < batch->scored_count; c++) {
        int64_t first = batch->chunk_targets[c], count = batch->chunk_targets[c + 1] - first;
        int64_t rows = batch->scored_count - c * SCORED_CHUNK;
        rows = rows < SCORED_CHUNK ? rows : SCORED_CHUNK;
        const int32_t *index = workspace->scored_rows + c * SCORED_CHUNK;
        Tensor logits = model_logits(model, weights, workspace, index, rows);
        kernels->logsumexp(NULL, workspace->lse, logits, temperature);
        kernels->target_logprobs(NULL, workspace->logprobs + first, logits, workspace->lse,
                                 workspace->targets + first, count);
        size_t bytes = (size_t)count * sizeof(float);
        kernels->copy_out(NULL, host + first, workspace->logprobs + first, bytes);
        kernels->queue_wait(NULL);
        loss(context, batch, first, count, host + first, host + targets + first);
        if (!sink)
            continue;
        kernels->copy_in(NULL, workspace->coefficients + first, host + targets + first, bytes);
        chunk_backward(&stage, index, rows, workspace->targets + first,
                       workspace->coefficients + first, count);
    }
    kernels->queue_wait(NULL);
    release(host);
    if (sink)
        sink->end(sink->context, model->parameters->unit_count - 1);
}
