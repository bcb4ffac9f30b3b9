#include "model/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

int64_t slots_aligned(int64_t length)
{
    return (length + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
}

void batch_make(Batch *batch, int64_t row_capacity, int64_t slot_capacity)
{
    *batch = (Batch){.row_capacity = row_capacity, .slot_capacity = slot_capacity};
    size_t rows = (size_t)row_capacity;
    batch->tokens = allocate(rows, sizeof *batch->tokens);
    batch->positions = allocate(rows, sizeof *batch->positions);
    batch->slot_of_row = allocate(rows, sizeof *batch->slot_of_row);
    batch->scored_rows = allocate(rows, sizeof *batch->scored_rows);
    batch->chunk_capacity = rows / SCORED_CHUNK + 2;
    batch->chunk_targets = allocate(batch->chunk_capacity, sizeof *batch->chunk_targets);
}

void batch_free(Batch *batch)
{
    release(batch->tokens);
    release(batch->positions);
    release(batch->slot_of_row);
    release(batch->scored_rows);
    release(batch->chunk_targets);
    release(batch->spans);
    release(batch->targets);
    release(batch->places);
    *batch = (Batch){0};
}

void batch_clear(Batch *batch)
{
    batch->rows = batch->slots = batch->span_count = 0;
    batch->scored_count = batch->target_count = batch->sequence_count = 0;
}

int32_t part_trunk(const Part *part)
{
    int32_t longest = 0;
    for (int32_t b = part->first; b < part->first + part->count; b++)
        if (part->tree->branches[b].attach > longest)
            longest = part->tree->branches[b].attach;
    return longest;
}

int64_t part_rows(const Part *part)
{
    int64_t rows = part_trunk(part);
    for (int32_t b = part->first; b < part->first + part->count; b++)
        rows += branch_rows(&part->tree->branches[b]);
    return rows;
}

int64_t part_slots(const Part *part)
{
    int64_t slots = slots_aligned(part_trunk(part));
    for (int32_t b = part->first; b < part->first + part->count; b++)
        slots += slots_aligned(branch_rows(&part->tree->branches[b]));
    return slots;
}

bool batch_has_room(const Batch *batch, const Part *part)
{
    return batch->rows + part_rows(part) <= batch->row_capacity &&
           batch->slots + part_slots(part) <= batch->slot_capacity;
}

void batch_add_rows(Batch *batch, const int32_t *tokens, int64_t count, int64_t position, Span span)
{
    CHECK(batch->rows + count <= batch->row_capacity, "%lld rows more than the batch holds",
          (long long)(batch->rows + count - batch->row_capacity));
    if (count == 0)
        return;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = batch->rows + i;
        batch->tokens[row] = tokens[i];
        batch->positions[row] = (int32_t)(position + i);
        batch->slot_of_row[row] = (int32_t)(span.own + span.own_length + i);
    }
    grow((void **)&batch->spans, &batch->span_capacity, (size_t)batch->span_count + 1,
         sizeof *batch->spans);
    span.first_row = batch->rows;
    span.rows = count;
    batch->spans[batch->span_count++] = span;
    batch->rows += count;
}

// A whole sequence in slots of its own.
static void add_sequence(Batch *batch, const int32_t *tokens, int64_t count, int64_t position,
                         int64_t shared, int64_t shared_length)
{
    batch_add_rows(batch, tokens, count, position,
                   (Span){.shared = shared, .shared_length = shared_length, .own = batch->slots});
    batch->slots += slots_aligned(count);
}

static void add_target(Batch *batch, int64_t row, Branch *branch, int32_t index, int32_t token)
{
    size_t needed = (size_t)batch->target_count + 1;
    grow((void **)&batch->targets, &batch->target_capacity, needed, sizeof *batch->targets);
    grow((void **)&batch->places, &batch->place_capacity, needed, sizeof *batch->places);
    batch->targets[batch->target_count] = (Target){.row = (int32_t)row, .token = token};
    batch->places[batch->target_count++] =
        (TargetPlace){.branch = branch, .index = index, .sequence = (int32_t)batch->sequence_count};
}

void batch_add(Batch *batch, const Part *part)
{
    CHECK(batch_has_room(batch, part), "part of %lld rows does not fit",
          (long long)part_rows(part));
    int64_t trunk_row = batch->rows, trunk_slot = batch->slots;
    add_sequence(batch, part->tree->trunk, part_trunk(part), 0, 0, 0);
    for (int32_t b = part->first; b < part->first + part->count; b++) {
        Branch *branch = &part->tree->branches[b];
        int64_t first = batch->rows;
        CHECK(branch->attach + branch->forced > 0, "a branch without context");
        add_sequence(batch, branch->tokens, branch_rows(branch), branch->attach, trunk_slot,
                     branch->attach);
        for (int32_t i = 0; i < branch->count; i++) {
            int64_t before = first + branch->forced + i - 1;
            int64_t row = branch->forced + i > 0 ? before : trunk_row + branch->attach - 1;
            if (branch->scored[i] && branch->graded)
                add_target(batch, row, branch, i, branch->tokens[branch->forced + i]);
        }
        batch->sequence_count++;
    }
}

typedef struct {
    Target target;
    TargetPlace place;
    int64_t order;
} Sorted;

static int by_row_then_order(const void *left, const void *right)
{
    const Sorted *a = left, *b = right;
    if (a->target.row != b->target.row)
        return a->target.row < b->target.row ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void batch_finish(Batch *batch)
{
    int64_t count = batch->target_count;
    Sorted *sorted = allocate((size_t)count, sizeof *sorted);
    for (int64_t i = 0; i < count; i++)
        sorted[i] = (Sorted){batch->targets[i], batch->places[i], i};
    qsort(sorted, (size_t)count, sizeof *sorted, by_row_then_order);
    batch->scored_count = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t row = sorted[i].target.row;
        if (batch->scored_count == 0 || batch->scored_rows[batch->scored_count - 1] != row) {
            if (batch->scored_count % SCORED_CHUNK == 0)
                batch->chunk_targets[batch->scored_count / SCORED_CHUNK] = i;
            batch->scored_rows[batch->scored_count++] = row;
        }
        batch->targets[i] = (Target){.row = (int32_t)((batch->scored_count - 1) % SCORED_CHUNK),
                                     .token = sorted[i].target.token};
        batch->places[i] = sorted[i].place;
    }
    batch->chunk_targets[(batch->scored_count + SCORED_CHUNK - 1) / SCORED_CHUNK] = count;
    release(sorted);
}
