// attention.h - what attention's forward and backward passes share: plans of a call.
//
// Cached keys and values are [heads][slots][64 or 128], a head's width padded with zeros.
//
// Entries: for a key/value head, row r has the `group` query heads that use it, so entry e is query
// head e % group of row e / group. An item is a tile of up to TILE_ROWS entries of consecutive rows
// with the ranges of keys that they go over; the branches of a trunk and the heads of a group read
// a key once. A row is cut into parts by its own lengths alone.

#ifndef L2A_KERNELS_CUDA_ATTENTION_H
#define L2A_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda/cuda.h"

enum {
    TILE_ROWS = 64,     // entries of an item; slots of a block of the backward pass
    TILE_THREADS = 128, // four warps of sixteen rows each
    SPLIT_ENTRIES = 32  // spans of no more entries are cut into parts
};

// Keys in slots [slot, slot + length), of which row i of an item sees the first
// visible + grows * i, at most `length`.
typedef struct {
    int32_t slot, length, visible, grows;
} KeyRange;

typedef struct {
    int32_t row, rows;
    int32_t part;       // of its rows; -1: the item gives the result
    KeyRange ranges[2]; // the shared keys, then the own ones; either may be empty
} Item;

// A tile of slots of the backward pass with the rows that see some of them. Of the rows of a visit,
// row i sees the tile's slots [first, end + grows * i), counted from the tile's first slot.
typedef struct {
    int32_t row, rows;
    int32_t first, end, grows;
} Visit;

typedef struct {
    int32_t tile; // slots [tile * TILE_ROWS, ...)
    int32_t visit, visits;
} SlotTile;

// What the blocks of a forward pass read, device memory. A launch has `most_items` blocks, somewhat
// more than there are items, so that passes which differ little are launched alike; those past the
// items have nothing to do.
typedef struct {
    const int32_t *item_count;
    const Item *items;         // with the most work first
    const int32_t *first_part; // [rows + 1]: where the parts of a row lie; none: no parts
    int64_t most_items;        // 0: there are no rows
    int64_t parts;
} ForwardPlan;

typedef struct {
    const Item *items;
    const SlotTile *tiles; // with the most work first
    const Visit *visits;
    int64_t item_count, tile_count;
    int64_t slots_end; // of the slots that are seen
} BackwardPlan;

// The plan of a call, uploaded. The last one of each queue is remembered: the layers of a pass,
// whose spans are the same, have it made and uploaded once. Dies of spans that break tensor.h's
// rules.
ForwardPlan plan_forward(Queue *queue, const Span *spans, int64_t span_count, int64_t rows,
                         int64_t group, Cache cache);
BackwardPlan plan_backward(Queue *queue, const Span *spans, int64_t span_count, int64_t rows,
                           int64_t group, Cache cache);

// Dies unless the shapes of queries and a cache fit; returns the query heads of a key/value head.
int64_t attention_group(Tensor q, Cache cache);

#endif
