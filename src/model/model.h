// model.h - the transformer: forward and backward over the rows of a batch.
//
// Rows are what a batch packs: whole trees (learning, scoring, prefill) or one row a branch
// (decoding); the arithmetic is the same and no row depends on its neighbours. A Workspace owns all
// activations, sized once; a *training* one keeps as much of every layer for the backward pass as
// its kind says, and what it has not is computed again: the same bits.

#ifndef L2A_MODEL_MODEL_H
#define L2A_MODEL_MODEL_H

#include "model/batch.h"
#include "model/weights.h"

typedef struct {
    const Parameters *parameters; // borrowed
    const Parameters *adapter;    // borrowed; NULL: none, gradients are those of `parameters`
    const TensorSlice *slice;     // borrowed; NULL: the whole model
    const ModelShape *shape;      // borrowed: of the parameters or of the slice
    const Kernels *kernels;       // borrowed
    ElementType type;             // of weights and caches
    float *rotary;                // owned, device [positions, head_width]
    int64_t positions;
} Model;

// The type that what is trained is computed in: an adapter's pairs are small and stay as they are.
ElementType model_trained_type(const Model *model);

// `adapter` NULL: the model has none. With one, workspaces have room for its products, whichever
// weights are read, and nothing else has a gradient.
void model_make(Model *model, const Parameters *parameters, const Parameters *adapter,
                const Kernels *kernels, ElementType type, int64_t positions);
void model_free(Model *model);

// The model as one rank of an engine computes it, with weights of the same slice. Borrows from
// `model`; there is nothing to free. Its forward passes are collective over the slice's group, and
// it has no backward pass.
Model model_cut(const Model *model, const TensorSlice *slice);

typedef enum {
    WORKSPACE_DECODE,       // no caches of its own: the engine brings them
    WORKSPACE_SCORE,        // forward only; one cache, reused by every layer
    WORKSPACE_TRAIN,        // norms and SwiGLU are computed again
    WORKSPACE_TRAIN_ALL,    // nothing is
    WORKSPACE_TRAIN_LAYERS, // of a layer its input is kept; all else is computed again
} WorkspaceKind;

static inline bool workspace_learns(WorkspaceKind kind)
{
    return kind >= WORKSPACE_TRAIN;
}

// Activations of one layer, [row_capacity, ...] each; device.
typedef struct {
    float *x;             // residual stream before the layer [width]
    float *q_raw, *k_raw; // before the query and key norm (Qwen3 only)
    float *q;             // rotated queries [heads * head_width]
    float *attended;      // attention's output [heads * head_width]
    float *statistics;    // [2 * heads]
    float *middle;        // residual stream after attention [width]
    float *gate, *up;     // [feed_forward]
    // Kept by WORKSPACE_TRAIN_ALL, else the workspace's own:
    float *attend_norm, *feed_norm; // what attention and the feed-forward part read [width]
    float *hidden;                  // [feed_forward]
} LayerState;

typedef struct {
    int64_t rows, slots; // capacities
    WorkspaceKind kind;
    LayerState *layers; // owned; what is not kept is shared by all layers
    Cache *caches;      // owned [layers]; training and scoring only, see workspace_make
    void *memory;       // owned, device: everything below and above
    int32_t *tokens, *positions, *slot_of_row, *scored_rows; // device [rows]
    float *x;            // residual stream after the last layer [rows, width]
    float *norm, *delta; // [rows, width]
    float *partial;      // scratch of the sums of delta over an engine's ranks
    float *k, *v;        // [rows, kv_heads * head_width]
    float *hidden;       // [rows, feed_forward]
    float *low, *wide;   // [rows, rank of the adapter], [rows, its widest output]
    // vocabulary chunk
    float *gathered, *normed, *dnormed; // [SCORED_CHUNK, width]
    float *logits;                      // [SCORED_CHUNK, vocabulary]
    float *lse, *entropy;               // [SCORED_CHUNK]
    float *slopes;                      // [SCORED_CHUNK]: of the loss by each row's entropy
    Target *targets;                    // device
    float *logprobs, *coefficients;     // device, parallel to targets
    int64_t target_capacity;
    // backward
    float *dx, *dnorm;          // [rows, width]
    float *dq;                  // [rows, heads * head_width]
    float *dk, *dv;             // [rows, kv_heads * head_width]
    float *dk_slots, *dv_slots; // [slots, kv_heads * head_width]
    float *dattended;           // [rows, heads * head_width]; then scratch of the head norms
    float *dhidden;             // [rows, feed_forward]
} Workspace;

void workspace_make(Workspace *workspace, const Model *model, WorkspaceKind kind, int64_t rows,
                    int64_t slots);
void workspace_free(Workspace *workspace, const Model *model);
size_t workspace_bytes(const Model *model, WorkspaceKind kind, int64_t rows, int64_t slots);

// Runs the batch through all layers: workspace->x holds the residual stream behind the last one.
// `caches` [layers], or NULL for the workspace's own. Collective over the weights' source group.
void model_forward(const Model *model, Weights *weights, const Batch *batch, Workspace *workspace,
                   const Cache *caches);

// Its two steps: tokens, positions and slots of the batch's rows go to the device; the layers.
void model_rows_in(const Model *model, const Batch *batch, Workspace *workspace);
void model_layers_forward(const Model *model, Weights *weights, const Batch *batch,
                          Workspace *workspace, const Cache *caches);

// logits [count, vocabulary] (in workspace->logits) of `count` <= SCORED_CHUNK rows of
// workspace->x, whose indices start at `rows` (device). Also leaves the gathered and normed rows.
Tensor model_logits(const Model *model, Weights *weights, Workspace *workspace, const int32_t *rows,
                    int64_t count);

// Where unit gradients go. begin gives the flat gradient of a unit to add to; end says it is
// complete for this batch. Units come in the order output, layers downwards, embedding (a tied
// embedding begins with the output); of an adapter, layers downwards.
typedef struct {
    float *(*begin)(void *context, int64_t unit);
    void (*end)(void *context, int64_t unit);
    void (*progress)(void *context); // called now and then: what is on its way gets on
    void *context;
} GradientSink;

// Targets [first, first + count) of a batch with the log-probability of each and the entropy of the
// distribution that it was drawn from. A loss writes its derivative by each of them. Host memory.
typedef struct {
    const Batch *batch;
    int64_t first, count;
    const float *logprobs, *entropies;    // entropies NULL: scoring only
    float *coefficients, *entropy_slopes; // NULL: scoring only
} LossChunk;

typedef void (*LossFunction)(void *context, const LossChunk *chunk);

// Log-probabilities of all targets of a batch that model_forward has run, at `temperature`, handed
// to `loss` chunk by chunk. `sink` NULL: scoring only. Else the vocabulary's gradients go to the
// sink and dx is set up for model_backward.
void model_vocabulary(const Model *model, Weights *weights, const Batch *batch,
                      Workspace *workspace, float temperature, LossFunction loss, void *context,
                      const GradientSink *sink);

// Gradients of all layers and the embedding, or of the adapter. Collective over the groups of
// weights and sink.
void model_backward(const Model *model, Weights *weights, const Batch *batch, Workspace *workspace,
                    const GradientSink *sink);

#endif
