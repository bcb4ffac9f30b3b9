#include <string.h>

#include "base/activity.h"
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
    float *dnorm_weight; // gradient of the final norm; NULL: not wanted
    float *dmatrix;      // gradient of the output matrix; NULL: not wanted
    bool learns;         // there is a backward pass
} Stage;

// `has_slopes`: the loss has a slope by the rows' entropies, in the workspace.
static void chunk_backward(const Stage *stage, const int32_t *rows, int64_t count,
                           const Target *targets, const float *coefficients, int64_t target_count,
                           bool has_slopes)
{
    const Model *model = stage->model;
    const Kernels *kernels = model->kernels;
    Workspace *workspace = stage->workspace;
    int64_t width = model->shape->width, vocabulary = model->shape->vocabulary;
    Tensor logits = tensor_of(workspace->logits, count, vocabulary);
    Tensor gathered = tensor_of(workspace->gathered, count, width);
    Tensor normed = tensor_of(workspace->normed, count, width);
    Tensor dnormed = tensor_of(workspace->dnormed, count, width);
    kernels->target_backward(NULL, logits, workspace->lse, workspace->entropy,
                             has_slopes ? workspace->slopes : NULL, targets, coefficients,
                             target_count, stage->temperature);
    kernels->product_nn(NULL, dnormed, logits, weights_output(stage->weights), false);
    if (stage->dmatrix)
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
    stage->model->kernels->fill_zero(NULL, stage->workspace->dx,
                                     (size_t)(rows * parameters->shape.width) * sizeof(float));
    if (stage->model->adapter)
        return;
    float *output = sink->begin(sink->context, last);
    stage->dnorm_weight = output;
    stage->dmatrix = parameters->shape.tied
                         ? sink->begin(sink->context, 0)
                         : output + parameters->tensors[parameters->tensor_count - 1].offset;
}

// What the host needs of a batch's targets: four numbers each, and rows of a chunk.
typedef struct {
    float *logprobs, *entropies, *coefficients, *entropy_slopes; // of all targets
    float entropy[SCORED_CHUNK], slopes[SCORED_CHUNK];
} Host;

static Host host_make(float *memory, int64_t targets)
{
    return (Host){.logprobs = memory,
                  .entropies = memory + targets,
                  .coefficients = memory + 2 * targets,
                  .entropy_slopes = memory + 3 * targets};
}

// Entropies from rows to targets, and what the loss makes of them from targets to rows: whether
// there is anything.
static void spread_entropy(Host *host, const Batch *batch, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++)
        host->entropies[i] = host->entropy[batch->targets[i].row];
}

static bool collect_slopes(Host *host, const Batch *batch, int64_t first, int64_t count)
{
    bool any = false;
    memset(host->slopes, 0, sizeof host->slopes);
    for (int64_t i = first; i < first + count; i++) {
        host->slopes[batch->targets[i].row] += host->entropy_slopes[i];
        any = any || host->entropy_slopes[i] != 0;
    }
    return any;
}

typedef struct {
    LossFunction function;
    void *context;
} Loss;

// Logits, log-probabilities and, with gradients, the loss and its derivative of chunk `c`.
static void run_chunk(const Stage *stage, const Batch *batch, int64_t c, Loss loss, Host *host)
{
    const Kernels *kernels = stage->model->kernels;
    Workspace *workspace = stage->workspace;
    int64_t first = batch->chunk_targets[c], count = batch->chunk_targets[c + 1] - first;
    int64_t rows = batch->scored_count - c * SCORED_CHUNK;
    rows = rows < SCORED_CHUNK ? rows : SCORED_CHUNK;
    size_t bytes = (size_t)count * sizeof(float), row_bytes = (size_t)rows * sizeof(float);
    const int32_t *index = workspace->scored_rows + c * SCORED_CHUNK;
    bool learns = stage->learns;
    Tensor logits = model_logits(stage->model, stage->weights, workspace, index, rows);
    kernels->logsumexp(NULL, workspace->lse, logits, stage->temperature);
    kernels->target_logprobs(NULL, workspace->logprobs + first, logits, workspace->lse,
                             workspace->targets + first, count);
    kernels->copy_out(NULL, host->logprobs + first, workspace->logprobs + first, bytes);
    if (learns) {
        kernels->entropy(NULL, workspace->entropy, logits, workspace->lse);
        kernels->copy_out(NULL, host->entropy, workspace->entropy, row_bytes);
    }
    kernels->queue_wait(NULL);
    if (learns)
        spread_entropy(host, batch, first, count);
    loss.function(loss.context,
                  &(LossChunk){.batch = batch,
                               .first = first,
                               .count = count,
                               .logprobs = host->logprobs + first,
                               .entropies = learns ? host->entropies + first : NULL,
                               .coefficients = learns ? host->coefficients + first : NULL,
                               .entropy_slopes = learns ? host->entropy_slopes + first : NULL});
    if (!learns)
        return;
    bool has_slopes = collect_slopes(host, batch, first, count);
    kernels->copy_in(NULL, workspace->coefficients + first, host->coefficients + first, bytes);
    kernels->copy_in(NULL, workspace->slopes, host->slopes, row_bytes);
    chunk_backward(stage, index, rows, workspace->targets + first, workspace->coefficients + first,
                   count, has_slopes);
}

void model_vocabulary(const Model *model, Weights *weights, const Batch *batch,
                      Workspace *workspace, float temperature, LossFunction loss, void *context,
                      const GradientSink *sink)
{
    const Kernels *kernels = model->kernels;
    Stage stage = {
        .model = model, .weights = weights, .workspace = workspace, .temperature = temperature};
    stage.learns = sink != NULL;
    size_t targets = (size_t)batch->target_count;
    reserve_targets(workspace, kernels, batch->target_count);
    kernels->copy_in(NULL, workspace->targets, batch->targets, targets * sizeof(Target));
    kernels->copy_in(NULL, workspace->scored_rows, batch->scored_rows,
                     (size_t)batch->scored_count * sizeof(int32_t));
    float *memory = allocate(4 * targets, sizeof *memory);
    Host host = host_make(memory, batch->target_count);
    if (sink)
        begin_gradients(&stage, sink, batch->rows);
    // A rank without rows asks for the same units as the others: gathering is collective.
    weights_final_norm(weights);
    weights_output(weights);
    for (int64_t c = 0; c * SCORED_CHUNK < batch->scored_count; c++) {
        activity_sign();
        run_chunk(&stage, batch, c, (Loss){loss, context}, &host);
    }
    kernels->queue_wait(NULL);
    release(memory);
    if (sink && !model->adapter)
        sink->end(sink->context, model->parameters->unit_count - 1);
}
