// weights.h - the weights that arithmetic reads: packed for the kernels, in the compute type.
//
// Parameters are sharded fp32 masters; Weights are their cast-and-packed form. A *resident* set
// holds every unit (engines). A *windowed* set holds the embedding, one layer and the output, and
// fetches a unit through its source when it is asked for (the sharded learner and reference): then
// every rank of the source's group must ask for the same units in the same order. An *adapted* set
// holds nothing: it reads one set with the low-rank pairs of another beside it.

#ifndef L2A_MODEL_WEIGHTS_H
#define L2A_MODEL_WEIGHTS_H

#include "kernels/kernels.h"
#include "model/slice.h"

// x W^T, and where `a` has rows + scale * (x A^T) B^T.
typedef struct {
    Matrix weight, a, b;
    float scale;
} LinearWeights;

typedef struct {
    LinearWeights linears[LINEAR_COUNT];
    const float *input_norm, *post_norm;   // [width]
    const float *q_bias, *k_bias, *v_bias; // NULL where the family has none
    const float *q_norm, *k_norm;          // [head_width] or NULL
} LayerWeights;

typedef struct Weights Weights;

// Fills `flat` [padded elements of the unit] with the unit's values in `type`: they are there when
// `end` returns. In between `progress` is called now and then. One unit at a time.
typedef struct {
    ElementType type;
    void (*begin)(void *context, int64_t unit, void *flat);
    void (*end)(void *context);
    void (*progress)(void *context);
    void *context; // borrowed
} UnitSource;

// `parameters` and `kernels` are borrowed.
Weights *weights_make(const Parameters *parameters, const Kernels *kernels, ElementType type,
                      bool resident);
void weights_free(Weights *weights);

// `base` with the pairs of `adapter` (weights of parameters_make_adapter; NULL: without any). Both
// are borrowed and must be of the same number of layers.
Weights *weights_make_adapted(Weights *base, Weights *adapter);

// Bytes that weights_make takes.
size_t weights_bytes(const Parameters *parameters, const Kernels *kernels, ElementType type,
                     bool resident);

// A resident set of what `slice` (borrowed) holds of every tensor; its units are given whole.
Weights *weights_make_slice(const Parameters *parameters, const TensorSlice *slice,
                            const Kernels *kernels, ElementType type);
size_t weights_slice_bytes(const Parameters *parameters, const TensorSlice *slice,
                           const Kernels *kernels, ElementType type);

// The part of a set that training changes: an adapter's pairs, or all.
Weights *weights_trained(Weights *weights);

// Casts and packs one unit from its values; all units from those of a rank that holds everything.
void weights_load_unit(Weights *weights, int64_t unit, Elements flat);
void weights_load(Weights *weights, Elements shards);

// The set asks this source for what it does not hold, and for the layer behind it in the present
// direction before that is needed; resets what it holds. A resident set with a source keeps what it
// was given.
void weights_set_source(Weights *weights, UnitSource source);

// Forgets what a set with a source holds (the masters have changed); of an adapted set, that of the
// adapter.
void weights_invalidate(Weights *weights);

// Lets a unit that is on its way get on.
void weights_progress(Weights *weights);

// Views, valid until the next request for a unit of the same kind.
Matrix weights_embedding(Weights *weights);
const LayerWeights *weights_layer(Weights *weights, int64_t layer);
Matrix weights_output(Weights *weights); // the embedding where tied
const float *weights_final_norm(Weights *weights);

#endif
