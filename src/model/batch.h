// batch.h - a micro-batch: the rows of parts of trees, in the order the kernels want them.
//
// A part is a tree's trunk, as far as its branches reach, with some of its branches. Rows lie part
// by part: trunk, then branches, by position. Every sequence has cache slots of its own that begin
// at a multiple of 16.

#ifndef L2A_MODEL_BATCH_H
#define L2A_MODEL_BATCH_H

#include <stdbool.h>

#include "kernels/tensor.h"
#include "model/tree.h"

typedef struct {
    Tree *tree;           // borrowed
    int32_t first, count; // branches [first, first + count)
} Part;

// A response token and where it lives.
typedef struct {
    Branch *branch;   // borrowed
    int32_t index;    // of the response token
    int32_t sequence; // ordinal of the branch in the batch
} TargetPlace;

enum {
    SLOT_ALIGNMENT = 16,
    SCORED_CHUNK = 128, // scored rows whose logits exist at a time
};

typedef struct {
    int64_t rows, slots;
    int64_t row_capacity, slot_capacity;
    int32_t *tokens, *positions, *slot_of_row; // owned [row_capacity]
    Span *spans;                               // owned
    int64_t span_count;
    size_t span_capacity;
    int32_t *scored_rows; // owned [row_capacity]: rows that meet the vocabulary, ascending
    int64_t scored_count;
    Target *targets;     // owned: by scored row; `row` counts from the start of its chunk
    TargetPlace *places; // owned, parallel to targets
    int64_t target_count;
    int64_t sequence_count; // branches, scored or not
    size_t target_capacity, place_capacity;
    int64_t *chunk_targets; // owned: first target of each chunk of SCORED_CHUNK scored rows
    size_t chunk_capacity;
} Batch;

void batch_make(Batch *batch, int64_t row_capacity, int64_t slot_capacity);
void batch_free(Batch *batch);
void batch_clear(Batch *batch);

// Rows and slots that a part takes.
int64_t part_rows(const Part *part);
int64_t part_slots(const Part *part);
int32_t part_trunk(const Part *part); // trunk tokens its branches see

// Whether the part still fits.
bool batch_has_room(const Batch *batch, const Part *part);
void batch_add(Batch *batch, const Part *part);

// Adds `count` rows of one sequence, the first at `position`; span.first_row and rows are filled
// in. For decoding and prefill, where the caller places sequences in slots itself.
void batch_add_rows(Batch *batch, const int32_t *tokens, int64_t count, int64_t position,
                    Span span);

// After the last part: orders the targets by scored row.
void batch_finish(Batch *batch);

int64_t slots_aligned(int64_t length);

#endif
