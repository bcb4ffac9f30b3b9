// slice.h - the part of every layer that one rank of an engine holds (tensor parallelism).
//
// The query and key/value heads and the columns of the feed-forward layer are divided equally over
// the ranks; embedding, norms and vocabulary are on each of them. q, k, v, gate and up are cut by
// rows, o and down by columns: their products are sums over the ranks, which all get the same bits.
// So every rank of an engine sees the same logits and draws the same tokens without a word.

#ifndef L2A_MODEL_SLICE_H
#define L2A_MODEL_SLICE_H

#include "model/parameters.h"
#include "parallel/collective.h"

typedef struct {
    Group group;                  // borrowed copy: the ranks of the engine
    const Collective *collective; // borrowed
    ModelShape shape;             // of the part
} TensorSlice;

// The part of the group's rank.
TensorSlice tensor_slice_of(const ModelShape *shape, const Group *group,
                            const Collective *collective);

// Whether `ranks` ranks can divide the model: EXIT_BAD_SETTINGS, in the words of `setting`, where
// not.
int tensor_slice_check(const ModelShape *shape, int64_t ranks, const char *setting);

// The rows and columns [first_row, first_row + rows) x [first, first + width) of a tensor that the
// slice holds; a vector has no rows. `slice` NULL: all.
typedef struct {
    int64_t first_row, rows, first, width;
} TensorPart;

TensorPart tensor_slice_part(const TensorSlice *slice, const TensorPlace *tensor);

// What only one rank of the engine may do or tell; it does it for all. `slice` NULL: the engine has
// one rank.
bool tensor_slice_leads(const TensorSlice *slice);

// The leading rank's bytes on every rank of the engine. Collective over the slice's group.
void tensor_slice_share(const TensorSlice *slice, Bytes *bytes);

#endif
