// attention_backward.c - gradients of attention over trees.
//
// Two passes over batches of stretches, with P and dS of a batch kept between them. First, for each
// stretch and key/value head: scores again, P, dP, dS and the sums for dq. Then, for each head and
// block of slots: dk and dv, a thread walking the batch's rows in order, so that every element is
// one chain. The chains of dq go over keys and those of dk over rows; no element has two owners.

#include "kernels/cpu/attention.h"

#include <omp.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"

enum {
    ENTRIES = 96,                  // of a stretch, about
    BATCH_BYTES = 8 * 1024 * 1024, // of P and dS together, unless one stretch needs more
    SLOTS_AT_ONCE = 48,            // a work item of the second pass
    PARALLEL_WORK = 50000,         // multiply-adds below which one thread is faster
};

typedef struct {
    Tensor dq, dk, dv, y, out, statistics, q;
    Cache cache, turned; // turned: values in the keys' form and the other way round
    float scale;
    int64_t group;
    Plan plan;
    int64_t entries;       // of a batch and head, at most
    float *p, *ds;         // [heads][entries][score_stride]
    float *queries, *grad; // scaled q and y: [heads][head_width / 16][entries][16]
    float *scratch;        // [threads][item_floats]
    int64_t item_floats;
} Backward;

// Consecutive stretches; entries are counted from the first one's first row.
typedef struct {
    const Stretch *stretches;
    int64_t count, row;
} Batch;

static float *batch_scores(const Backward *call, float *scores, int64_t head, int64_t entry)
{
    return scores + (head * call->entries + entry) * call->plan.score_stride;
}

static float *batch_rows(const Backward *call, float *rows, int64_t head, int64_t block,
                         int64_t entry)
{
    int64_t blocks = padded_width(call->cache) / BLOCK;
    return rows + ((head * blocks + block) * call->entries + entry) * BLOCK;
}

// ---- the turned cache ---------------------------------------------------------------------------

// A block of sixteen slots by sixteen d from keys and from values, as fp32, into the other's form.
static void block_turn(Cache from, Cache to, int64_t head, int64_t block, int64_t slot)
{
    float keys[BLOCK * BLOCK] = {0}, values[BLOCK * BLOCK], turned[BLOCK * BLOCK];
    int64_t columns = least(BLOCK, from.head_width - block * BLOCK);
    char *source = keys_at(from, head, slot), *target = keys_at(to, head, slot);
    for (int64_t d = 0; d < columns; d++) {
        const void *row = element_at(source, from.type, (block * BLOCK + d) * BLOCK);
        lanes_store(keys + d * BLOCK, elements_load(row, from.type));
    }
    block_transpose(values_at(to, head, block, slot), BLOCK, keys, BLOCK);
    for (int64_t s = 0; s < BLOCK; s++)
        lanes_store(values + s * BLOCK,
                    elements_load(values_at(from, head, block, slot + s), from.type));
    block_transpose(turned, BLOCK, values, BLOCK);
    memcpy(element_at(target, TYPE_F32, block * BLOCK * BLOCK), turned,
           (size_t)(columns * BLOCK) * sizeof *turned);
}

static Range slots_of(const Backward *call)
{
    int64_t first = call->cache.slots, end = 0;
    for (int64_t s = 0; s < call->plan.count; s++) {
        const Stretch *stretch = &call->plan.stretches[s];
        if (stretch->shared_length > 0) {
            first = least(first, stretch->shared);
            end = most(end, stretch->shared + stretch->shared_length);
        }
        for (int64_t p = 0; p < stretch->piece_count; p++) {
            const Piece *piece = &stretch->pieces[p];
            first = least(first, piece->own);
            end = most(end, piece->own + piece->own_length + piece->rows - 1);
        }
    }
    return (Range){first, most(0, end - first)};
}

// ---- first pass ---------------------------------------------------------------------------------

// Rows of [rows, heads * head_width] as entries [entries][head_width], each number scaled.
static void entries_copy(const Backward *call, Tensor from, const Stretch *stretch, int64_t head,
                         float scale, float *to)
{
    int64_t width = call->group * call->cache.head_width;
    for (int64_t r = 0; r < stretch->rows; r++) {
        const float *row = row_of(from, stretch->row + r) + head * width;
        for (int64_t d = 0; d < width; d++)
            *to++ = row[d] * scale;
    }
}

// Entries [entries][head_width] as column blocks of the batch.
static void entries_block(const Backward *call, const float *entries, int64_t count, int64_t head,
                          int64_t first, float *rows)
{
    int64_t width = call->cache.head_width;
    for (int64_t e = 0; e < count; e++) {
        for (int64_t d = 0; d < width; d += BLOCK)
            lanes_store(batch_rows(call, rows, head, d / BLOCK, first + e),
                        lanes_load_tail(entries + e * width + d, least(BLOCK, width - d)));
    }
}

// D of each entry: chains over d, several side by side.
static void entries_dot(const float *y, const float *out, int64_t count, int64_t width, float *to)
{
    enum { SIDE = 8 };
    int64_t e = 0;
    for (; e + SIDE <= count; e += SIDE) {
        float sum[SIDE] = {0};
        for (int64_t d = 0; d < width; d++) {
            for (int i = 0; i < SIDE; i++)
                sum[i] = __builtin_fmaf(y[(e + i) * width + d], out[(e + i) * width + d], sum[i]);
        }
        memcpy(to + e, sum, sizeof sum);
    }
    for (; e < count; e++) {
        to[e] = 0.0f;
        for (int64_t d = 0; d < width; d++)
            to[e] = __builtin_fmaf(y[e * width + d], out[e * width + d], to[e]);
    }
}

// Scores become P = exp(s - m) / l, dP become dS = P (dP - D). What lies past the keys is never
// read.
static void entry_gradient(float *scores, float *ds, int64_t keys, float maximum, float sum,
                           float dot)
{
    Lanes m = lanes_set(maximum), l = lanes_set(sum), d = lanes_set(dot);
    for (int64_t j = 0; j < keys; j += BLOCK) {
        Lanes p = lanes_div(lanes_exp(lanes_sub(lanes_load(scores + j), m)), l);
        lanes_store(scores + j, p);
        lanes_store(ds + j, lanes_mul(p, lanes_sub(lanes_load(ds + j), d)));
    }
}

static void gradients_compute(const Backward *call, const Stretch *stretch, int64_t head, float *p,
                              float *ds, const float *dots)
{
    for (int64_t i = 0; i < stretch->piece_count; i++) {
        const Piece *piece = &stretch->pieces[i];
        for (int64_t j = 0; j < piece->rows * call->group; j++) {
            int64_t e = piece->row * call->group + j, stride = call->plan.score_stride;
            int64_t row = stretch->row + e / call->group;
            const float *pair =
                row_of(call->statistics, row) + 2 * (head * call->group + e % call->group);
            int64_t keys = stretch->shared_length + piece->own_length + j / call->group;
            entry_gradient(p + e * stride, ds + e * stride, keys, pair[0], pair[1], dots[e]);
        }
    }
}

static void queries_finish(const Backward *call, const Stretch *stretch, int64_t head,
                           const float *sums)
{
    int64_t width = call->cache.head_width;
    for (int64_t e = 0; e < stretch->rows * call->group; e++) {
        float *dq = row_of(call->dq, stretch->row + e / call->group) +
                    (head * call->group + e % call->group) * width;
        for (int64_t d = 0; d < width; d++)
            dq[d] = sums[e * padded_width(call->cache) + d] * call->scale;
    }
}

static void stretch_compute(const Backward *call, const Batch *batch, const Stretch *stretch,
                            int64_t head, float *scratch)
{
    int64_t entries = stretch->rows * call->group, width = call->cache.head_width;
    int64_t first = (stretch->row - batch->row) * call->group, stride = call->plan.score_stride;
    float *rows = scratch, *y = rows + entries * width, *dots = y + entries * width;
    float *sums = dots + entries;
    float *p = batch_scores(call, call->p, head, first),
          *ds = batch_scores(call, call->ds, head, first);
    entries_copy(call, call->y, stretch, head, 1.0f, y);
    entries_copy(call, call->out, stretch, head, 1.0f, rows);
    entries_dot(y, rows, entries, width, dots);
    entries_block(call, y, entries, head, first, call->grad);
    entries_copy(call, call->q, stretch, head, call->scale, rows);
    entries_block(call, rows, entries, head, first, call->queries);
    CPU(keys_multiply)(call->cache, head, stretch, call->group, rows, p, stride);
    CPU(keys_multiply)(call->turned, head, stretch, call->group, y, ds, stride);
    gradients_compute(call, stretch, head, p, ds, dots);
    CPU(values_sum)(call->turned, head, stretch, call->group, ds, stride, sums);
    queries_finish(call, stretch, head, sums);
}

// ---- second pass --------------------------------------------------------------------------------

// Key j of these stands in slot `slot` + j; its scores are element `score` + j of an entry.
typedef struct {
    int64_t slot, score;
} KeyPlace;

// dk and dv of keys [keys.first, + count) gain the terms of entries [entries.first, + count).
static void keys_gain(const Backward *call, int64_t head, KeyPlace place, Range keys, Range entries,
                      int64_t block)
{
    int64_t column = head * call->cache.head_width + block * BLOCK;
    int64_t columns = least(BLOCK, call->cache.head_width - block * BLOCK);
    const Tensor to[2] = {call->dk, call->dv};
    float *const factors[2] = {call->ds, call->p}, *const rows[2] = {call->queries, call->grad};
    for (int i = 0; i < 2; i++) {
        const float *b = batch_rows(call, rows[i], head, block, entries.first);
        Tile tile = {
            .a = batch_scores(call, factors[i], head, entries.first) + place.score + keys.first,
            .a_stride = call->plan.score_stride,
            .by_columns = true,
            .b = b,
            .c = row_of(to[i], place.slot + keys.first) + column,
            .c_row = to[i].stride,
            .depth = entries.count,
            .from_c = true,
            .ahead = (const char *)b,
        };
        if (columns == BLOCK)
            tile_block((int)keys.count, 1, TYPE_F32, &tile);
        else
            tile_cut((int)keys.count, BLOCK, columns, TYPE_F32, tile);
    }
}

// Keys of a slot block that all rows of a stretch share.
static void shared_gain(const Backward *call, int64_t head, const Stretch *stretch, int64_t first,
                        Range slots, int64_t block)
{
    int64_t begin = most(slots.first, stretch->shared);
    int64_t end = least(slots.first + slots.count, stretch->shared + stretch->shared_length);
    if (begin >= end)
        return;
    Range keys = {begin - stretch->shared, end - begin};
    Shares tiles = shares_of(keys, pieces_of(keys.count, TILE_ROWS));
    for (int64_t t = 0; t < tiles.parts; t++)
        keys_gain(call, head, (KeyPlace){stretch->shared, 0}, shares_at(&tiles, t),
                  (Range){first, stretch->rows * call->group}, block);
}

// A tile of own keys. Key j is seen from row j + 1 - own_length of the piece on: rows that see only
// the first keys of the tile come first, then all the others at once.
static void own_tile(const Backward *call, int64_t head, const Piece *piece, KeyPlace place,
                     int64_t first, Range keys, int64_t block)
{
    int64_t last = keys.first + keys.count - 1;
    int64_t row = most(0, keys.first + 1 - piece->own_length);
    int64_t whole = least(piece->rows, most(0, last + 1 - piece->own_length));
    for (; row < whole; row++)
        keys_gain(call, head, place, (Range){keys.first, piece->own_length + row - keys.first},
                  (Range){first + row * call->group, call->group}, block);
    if (row < piece->rows)
        keys_gain(call, head, place, keys,
                  (Range){first + row * call->group, (piece->rows - row) * call->group}, block);
}

static void own_gain(const Backward *call, int64_t head, const Stretch *stretch, int64_t first,
                     const Piece *piece, Range slots, int64_t block)
{
    int64_t begin = most(slots.first, piece->own);
    int64_t end =
        least(slots.first + slots.count, piece->own + piece->own_length + piece->rows - 1);
    if (begin >= end)
        return;
    Range keys = {begin - piece->own, end - begin};
    Shares tiles = shares_of(keys, pieces_of(keys.count, TILE_ROWS));
    for (int64_t t = 0; t < tiles.parts; t++)
        own_tile(call, head, piece, (KeyPlace){piece->own, stretch->shared_length},
                 first + piece->row * call->group, shares_at(&tiles, t), block);
}

static void slots_gain(const Backward *call, const Batch *batch, int64_t head, Range slots)
{
    for (int64_t s = 0; s < batch->count; s++) {
        const Stretch *stretch = &batch->stretches[s];
        int64_t first = (stretch->row - batch->row) * call->group;
        for (int64_t block = 0; block < padded_width(call->cache) / BLOCK; block++) {
            shared_gain(call, head, stretch, first, slots, block);
            for (int64_t p = 0; p < stretch->piece_count; p++)
                own_gain(call, head, stretch, first, &stretch->pieces[p], slots, block);
        }
    }
}

// ---- the call -----------------------------------------------------------------------------------

static Batch batch_next(const Backward *call, int64_t first)
{
    Batch batch = {.stretches = &call->plan.stretches[first],
                   .row = call->plan.stretches[first].row};
    int64_t rows = 0;
    for (; first + batch.count < call->plan.count; batch.count++) {
        rows += batch.stretches[batch.count].rows;
        if (rows * call->group > call->entries)
            break;
    }
    return batch;
}

// Inside a parallel region: every thread walks the batches, and shares the items of each.
static void batches_compute(const Backward *call, Range slots)
{
    int64_t heads = call->cache.heads, pieces = pieces_of(slots.count, SLOTS_AT_ONCE);
    float *scratch = call->scratch + omp_get_thread_num() * call->item_floats;
    for (int64_t first = 0; first < call->plan.count;) {
        Batch batch = batch_next(call, first);
#pragma omp for schedule(dynamic)
        for (int64_t i = batch.count * heads - 1; i >= 0; i--)
            stretch_compute(call, &batch, &batch.stretches[i / heads], i % heads, scratch);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < pieces * heads; i++)
            slots_gain(call, &batch, i % heads,
                       range_piece(slots, slots.first + i / heads * SLOTS_AT_ONCE, SLOTS_AT_ONCE));
        first += batch.count;
    }
}

// Where each array of a call's scratch begins; returns the bytes of all. The first pass with memory
// NULL only measures.
static size_t scratch_share(Backward *call, char *memory, int threads, size_t plan_bytes)
{
    int64_t heads = call->cache.heads, padded = padded_width(call->cache);
    int64_t turned = (int64_t)CPU(cache_bytes)(call->cache.slots, call->cache.heads,
                                               call->cache.head_width, TYPE_F32);
    int64_t scores = heads * call->entries * call->plan.score_stride;
    int64_t rows = heads * call->entries * padded;
    int64_t entry_floats = 2 * call->cache.head_width + padded + 1;
    call->item_floats = rounded_up(call->plan.stretch_rows * call->group * entry_floats, BLOCK);
    const struct {
        void **place;
        int64_t bytes;
    } parts[] = {{&call->turned.keys, turned},
                 {&call->turned.values, turned},
                 {(void **)&call->p, scores * 4},
                 {(void **)&call->ds, scores * 4},
                 {(void **)&call->queries, rows * 4},
                 {(void **)&call->grad, rows * 4},
                 {(void **)&call->scratch, threads * call->item_floats * 4}};
    size_t bytes = plan_bytes;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (memory)
            *parts[i].place = memory + bytes;
        bytes += (size_t)rounded_up(parts[i].bytes, 64);
    }
    return bytes;
}

static void check_shapes(const Backward *call)
{
    Cache cache = call->cache;
    int64_t rows = call->q.rows, width = cache.heads * call->group * cache.head_width;
    const Tensor queries[] = {call->q, call->dq, call->y, call->out}, keys[] = {call->dk, call->dv};
    for (int i = 0; i < 4; i++)
        CHECK(queries[i].rows == rows && queries[i].width == width, "[%ld, %ld] for [%ld, %ld]",
              (long)queries[i].rows, (long)queries[i].width, (long)rows, (long)width);
    for (int i = 0; i < 2; i++)
        CHECK(keys[i].rows <= cache.slots && keys[i].width == cache.heads * cache.head_width,
              "[%ld, %ld] for %ld slots of %d heads of %d", (long)keys[i].rows, (long)keys[i].width,
              (long)cache.slots, cache.heads, cache.head_width);
    CHECK(call->statistics.rows == rows && call->statistics.width == 2 * cache.heads * call->group,
          "statistics [%ld, %ld] for %ld rows", (long)call->statistics.rows,
          (long)call->statistics.width, (long)rows);
}

static void backward_prepare(Backward *call, const Span *spans, int64_t span_count, int threads)
{
    int64_t heads = call->cache.heads, rows = call->q.rows;
    int64_t entry_bytes = heads * call->plan.score_stride * 2 * (int64_t)sizeof(float);
    call->entries = least(rows * call->group,
                          most(call->plan.stretch_rows * call->group, BATCH_BYTES / entry_bytes));
    call->turned = call->cache;
    call->turned.type = TYPE_F32;
    size_t plan_bytes = CPU(plan_bytes)(rows, span_count);
    char *memory = scratch_cpu(scratch_share(call, NULL, threads, plan_bytes));
    scratch_share(call, memory, threads, plan_bytes);
    CPU(plan_fill)(&call->plan, memory, spans, span_count);
}

void CPU(attention_backward)(Queue *queue, Tensor dq, Tensor dk, Tensor dv, Tensor y, Tensor out,
                             Tensor statistics, Tensor q, Cache cache, const Span *spans,
                             int64_t span_count, float scale)
{
    (void)queue;
    Backward call = {.dq = dq,
                     .dk = dk,
                     .dv = dv,
                     .y = y,
                     .out = out,
                     .statistics = statistics,
                     .q = q,
                     .cache = cache,
                     .scale = scale};
    call.group = q.width / (cache.heads * cache.head_width);
    check_shapes(&call);
    if (q.rows == 0)
        return;
    call.plan =
        CPU(plan_measure)(spans, span_count, q.rows, call.group, ENTRIES, BATCH_BYTES, cache);
    int threads = 5 * call.plan.work * q.width < PARALLEL_WORK ? 1 : omp_get_max_threads();
    backward_prepare(&call, spans, span_count, threads);
    Range slots = slots_of(&call);
    CHECK(slots.first + slots.count <= most(dk.rows, 0) && dk.rows == dv.rows,
          "gradients of %ld and %ld slots for slots up to %ld", (long)dk.rows, (long)dv.rows,
          (long)(slots.first + slots.count));
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int64_t blocks = pieces_of(cache.head_width, BLOCK);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < pieces_of(slots.count, BLOCK) * cache.heads; i++) {
            for (int64_t block = 0; block < blocks; block++)
                block_turn(cache, call.turned, i % cache.heads, block,
                           slots.first + i / cache.heads * BLOCK);
        }
        batches_compute(&call, slots);
    }
}
