// attention.h - what attention's forward and backward passes share.
//
// Cached keys are panels [head][slot / 16][head_width][16 slots], values [head][d / 16][slot][16
// d]: both are b of a tile, the keys for products with queries, the values for sums over keys. A
// turned cache holds values in the keys' form and keys in the values': the backward pass asks the
// same two questions of it.
//
// The rows of a call are cut into stretches that see the same shared keys. For each key/value head
// a stretch has `group` entries a row (the query heads that use this head), rows ascending: entries
// are the rows of tiles, so the branches of a trunk and the heads of a group read a key together.

#ifndef L2A_KERNELS_CPU_ATTENTION_H
#define L2A_KERNELS_CPU_ATTENTION_H

#include "kernels/cpu/packed.h"

// Rows of one span inside a stretch. The first sees own_length keys from slot `own` on, at least 1,
// each row one more than the row before.
typedef struct {
    int64_t row, rows; // counted in the stretch
    int64_t own, own_length;
} Piece;

typedef struct {
    int64_t row, rows;
    int64_t shared, shared_length;
    const Piece *pieces;
    int64_t piece_count;
} Stretch;

typedef struct {
    Stretch *stretches;
    int64_t count;
    int64_t rows;         // of the call
    int64_t stretch_rows; // most of a stretch
    int64_t longest;      // keys of the row that sees most
    int64_t score_stride; // elements between entries' scores: room for a panel past the longest
    int64_t work;         // keys seen by all rows together
} Plan;

static inline void *keys_at(Cache cache, int64_t head, int64_t slot)
{
    int64_t block = head * (cache.slots / BLOCK) + slot / BLOCK;
    return element_at(cache.keys, cache.type, block * cache.head_width * BLOCK);
}

static inline void *values_at(Cache cache, int64_t head, int64_t column_block, int64_t slot)
{
    int64_t block = head * pieces_of(cache.head_width, BLOCK) + column_block;
    return element_at(cache.values, cache.type, (block * cache.slots + slot) * BLOCK);
}

static inline int64_t padded_width(Cache cache)
{
    return rounded_up(cache.head_width, BLOCK);
}

// All of a plan but its stretches, which are of about `entries` entries whose scores take
// `score_bytes` at most (one row may be more). Checks the spans.
Plan CPU(plan_measure)(const Span *spans, int64_t span_count, int64_t rows, int64_t group,
                       int64_t entries, int64_t score_bytes, Cache cache);

// The stretches, in plan_bytes of memory.
size_t CPU(plan_bytes)(int64_t rows, int64_t span_count);
void CPU(plan_fill)(Plan *plan, void *memory, const Span *spans, int64_t span_count);

// to [entries][j] = chain over d of a [entries, head_width] and key j, for all keys that the entry
// sees; what lies past these, up to the stride, may be overwritten.
void CPU(keys_multiply)(Cache cache, int64_t head, const Stretch *stretch, int64_t group,
                        const float *a, float *to, int64_t to_stride);

// to [entries, padded_width] = chain over all keys j that the entry sees of a [entries][j] and
// value j.
void CPU(values_sum)(Cache cache, int64_t head, const Stretch *stretch, int64_t group,
                     const float *a, int64_t a_stride, float *to);

#endif
