// parameters.h - the model's tensors as flat units, sharded over the learner ranks.
//
// Unit 0 is the embedding, units 1 .. layers the layers, the last the final norm and, where it is
// not tied, the output matrix. Offsets of tensors in a unit are multiples of 2,048 elements, and a
// rank's shards of all units lie behind one another in one flat array, so that master weights,
// moments and gradients are arrays of `local` elements with the same index.
//
// An adapter's tensors are Parameters of their own with the same units, of which the first and the
// last are empty: what shards, gathers, steps and stores parameters need not know which they are.

#ifndef L2A_MODEL_PARAMETERS_H
#define L2A_MODEL_PARAMETERS_H

#include "input/adapter.h"
#include "model/shape.h"
#include "parallel/shard.h"

enum { TENSOR_NAME_BYTES = 80 };

// How the ranks of an engine divide a tensor (slice.h).
typedef enum { CUT_NONE, CUT_ROWS, CUT_COLUMNS } TensorCut;

typedef struct {
    char name[TENSOR_NAME_BYTES]; // Hugging Face's
    int64_t unit;
    int64_t offset;      // in the unit
    int64_t rows, width; // a vector has rows = 0
    int64_t elements;
    TensorCut cut;
} TensorPlace;

typedef struct {
    Shard shard;
    int64_t local_offset; // of this rank's shard in the flat arrays
    int64_t first_tensor, tensor_count;
} Unit;

typedef struct {
    ModelShape shape;
    AdapterShape adapter; // rank 0: these are the model's own tensors
    Unit *units;          // owned
    int64_t unit_count;
    TensorPlace *tensors; // owned, in the order of units and offsets
    int64_t tensor_count;
    int shards;      // ranks that hold the parts
    int64_t local;   // elements this rank holds
    int64_t largest; // padded elements of the largest unit
} Parameters;

// A stretch of one tensor that lies in this rank's shards.
typedef struct {
    const TensorPlace *tensor;
    int64_t first; // element of the tensor
    int64_t local; // index in the flat arrays
    int64_t count;
} Piece;

void parameters_make(Parameters *parameters, const ModelShape *shape, int rank, int size);

// The tensors of an adapter for such a model, under PEFT's names: for each target of a layer
// lora_A [rank, in], then lora_B [out, rank].
void parameters_make_adapter(Parameters *parameters, const ModelShape *shape,
                             const AdapterShape *adapter, int rank, int size);

void parameters_free(Parameters *parameters);

// Elements of all tensors, without padding.
int64_t parameters_elements(const Parameters *parameters);

// This rank's piece of tensor `index`; count 0 where it has none.
Piece parameters_piece(const Parameters *parameters, int64_t index);

// Fills this rank's `values` [local] from a Hugging Face directory (or one safetensors file). Every
// tensor must be there in the right shape; an extra lm_head.weight of a tied model is ignored.
int parameters_load(const Parameters *parameters, const char *path, float *values);

// Reads the same unit by unit for a model that never learns: `take` gets each unit's fp32 values
// [padded elements], borrowed until it returns. `parameters` are of one rank.
typedef void ParametersTake(void *context, int64_t unit, const float *flat);
int parameters_stream(const Parameters *parameters, const char *path, ParametersTake *take,
                      void *context);

// Random start: matrices normal(0, initializer_range), those that write to the residual stream
// divided by sqrt(2 layers); norms 1; biases 0. Independent of the number of ranks.
void parameters_randomise(const Parameters *parameters, uint64_t seed, float *values);

// Start of an adapter, as PEFT's: A uniform in +-1 / sqrt(in), B zero, so that it adds nothing yet.
// Independent of the number of ranks.
void parameters_start_adapter(const Parameters *parameters, uint64_t seed, float *values);

#endif
