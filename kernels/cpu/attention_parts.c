// attention_parts.c - the plan of a call, and the two products of entries with cached keys.

#include "kernels/cpu/attention.h"

#include "base/fail.h"
#include "kernels/cpu/cpu.h"

enum { KEYS_AT_ONCE = 256 }; // a block of values: 16 KiB

static int64_t span_keys(const Span *span)
{
    return span->shared_length + span->own_length + span->rows;
}

static void span_check(const Span *span, int64_t row, Cache cache)
{
    CHECK(span->first_row == row && span->rows >= 0, "span of rows %ld + %ld where row %ld is due",
          (long)span->first_row, (long)span->rows, (long)row);
    CHECK(span->shared % BLOCK == 0 && span->own % BLOCK == 0,
          "keys from slots %ld and %ld: not multiples of %d", (long)span->shared, (long)span->own,
          BLOCK);
    CHECK(span->shared >= 0 && span->shared_length >= 0 && span->own >= 0 &&
              span->own_length >= 0 && span->shared + span->shared_length <= cache.slots &&
              span->own + span->own_length + span->rows <= cache.slots,
          "slots %ld + %ld and %ld + %ld + %ld of %ld", (long)span->shared,
          (long)span->shared_length, (long)span->own, (long)span->own_length, (long)span->rows,
          (long)cache.slots);
}

Plan CPU(plan_measure)(const Span *spans, int64_t span_count, int64_t rows, int64_t group,
                       int64_t entries, int64_t score_bytes, Cache cache)
{
    Plan plan = {.rows = rows};
    int64_t row = 0;
    for (int64_t s = 0; s < span_count; s++) {
        span_check(&spans[s], row, cache);
        row += spans[s].rows;
        int64_t keys = span_keys(&spans[s]);
        plan.longest = most(plan.longest, keys);
        plan.work += spans[s].rows * (2 * keys - spans[s].rows + 1) / 2;
    }
    CHECK(row == rows, "spans of %ld rows for %ld", (long)row, (long)rows);
    plan.score_stride = rounded_up(plan.longest, BLOCK) + BLOCK;
    if (plan.score_stride % 128 == 0) // entries would collide in the first-level cache
        plan.score_stride += BLOCK;
    int64_t row_bytes = group * plan.score_stride * (int64_t)sizeof(float);
    plan.stretch_rows = most(1, least(entries / group, score_bytes / row_bytes));
    return plan;
}

// A stretch ends at its limit of rows, of which there is at least one, or with its span.
static int64_t most_stretches(int64_t rows, int64_t span_count)
{
    return rows + span_count;
}

size_t CPU(plan_bytes)(int64_t rows, int64_t span_count)
{
    size_t each = sizeof(Stretch) + sizeof(Piece);
    return (size_t)rounded_up(most_stretches(rows, span_count) * (int64_t)each, 64);
}

static bool stretch_takes(const Stretch *stretch, const Span *span, int64_t limit)
{
    return stretch->rows < limit && stretch->shared_length == span->shared_length &&
           (stretch->shared == span->shared || span->shared_length == 0);
}

void CPU(plan_fill)(Plan *plan, void *memory, const Span *spans, int64_t span_count)
{
    plan->stretches = memory;
    plan->count = 0;
    Piece *piece = (Piece *)(plan->stretches + most_stretches(plan->rows, span_count));
    Stretch *stretch = NULL;
    for (int64_t s = 0; s < span_count; s++) {
        const Span *span = &spans[s];
        for (int64_t row = 0, count; row < span->rows; row += count) {
            if (!stretch || !stretch_takes(stretch, span, plan->stretch_rows)) {
                stretch = &plan->stretches[plan->count++];
                *stretch = (Stretch){.row = span->first_row + row,
                                     .shared = span->shared,
                                     .shared_length = span->shared_length,
                                     .pieces = piece};
            }
            count = least(span->rows - row, plan->stretch_rows - stretch->rows);
            *piece++ = (Piece){stretch->rows, count, span->own, span->own_length + row + 1};
            stretch->piece_count++;
            stretch->rows += count;
        }
    }
}

// Entries against keys in consecutive slots. Entry e sees `keys` + grows * (e / group) of them.
typedef struct {
    Range entries; // e = 0 is the first
    int64_t group, keys;
    bool grows;
    const float *a;
    int64_t a_stride;
    float *to;
    int64_t to_stride;
} View;

static int64_t view_keys(const View *view, int64_t entry)
{
    return view->grows ? view->keys + entry / view->group : view->keys;
}

static Shares view_tiles(const View *view)
{
    return shares_of((Range){0, view->entries.count}, pieces_of(view->entries.count, TILE_ROWS));
}

// `count` blocks of sixteen keys from key j on.
static void keys_tile(Cache cache, const void *keys, const View *view, Range entries, int64_t j,
                      int count)
{
    int64_t block = cache.head_width * BLOCK;
    const char *b = element_at(keys, cache.type, j * cache.head_width);
    Tile tile = {
        .a = view->a + entries.first * view->a_stride,
        .a_stride = view->a_stride,
        .b = b,
        .b_panel = block,
        .c = view->to + entries.first * view->to_stride + j,
        .c_row = view->to_stride,
        .depth = cache.head_width,
        .ahead = b + count * block * (int64_t)type_bytes(cache.type),
        .ahead_panel = block * (int64_t)type_bytes(cache.type),
        .ahead_step = BLOCK * (int64_t)type_bytes(cache.type),
    };
    tile_block((int)entries.count, count, cache.type, &tile);
}

static void view_multiply(Cache cache, const void *keys, const View *view)
{
    Shares tiles = view_tiles(view);
    int together = tiles.parts == 1 ? tile_panels((int)view->entries.count) : 1;
    int64_t longest = view_keys(view, view->entries.count - 1);
    for (int64_t j = 0, count; j < longest; j += count * BLOCK) {
        count = j + together * BLOCK <= longest ? together : 1;
        for (int64_t t = 0; t < tiles.parts; t++) {
            Range entries = shares_at(&tiles, t);
            if (j < view_keys(view, entries.first + entries.count - 1))
                keys_tile(cache, keys, view, entries, j, (int)count);
        }
    }
}

static View piece_view(const Piece *piece, int64_t group, const float *a, int64_t a_stride,
                       float *to, int64_t to_stride)
{
    int64_t first = piece->row * group;
    return (View){.entries = {first, piece->rows * group},
                  .group = group,
                  .keys = piece->own_length,
                  .grows = true,
                  .a = a + first * a_stride,
                  .a_stride = a_stride,
                  .to = to + first * to_stride,
                  .to_stride = to_stride};
}

static View shared_view(const Stretch *stretch, int64_t group, const float *a, int64_t a_stride,
                        float *to, int64_t to_stride)
{
    return (View){.entries = {0, stretch->rows * group},
                  .group = group,
                  .keys = stretch->shared_length,
                  .a = a,
                  .a_stride = a_stride,
                  .to = to,
                  .to_stride = to_stride};
}

// Shared keys first: the last block of their products runs into the place of the own keys' first.
void CPU(keys_multiply)(Cache cache, int64_t head, const Stretch *stretch, int64_t group,
                        const float *a, float *to, int64_t to_stride)
{
    int64_t a_stride = cache.head_width;
    if (stretch->shared_length > 0) {
        View view = shared_view(stretch, group, a, a_stride, to, to_stride);
        view_multiply(cache, keys_at(cache, head, stretch->shared), &view);
    }
    for (int64_t p = 0; p < stretch->piece_count; p++) {
        const Piece *piece = &stretch->pieces[p];
        View view = piece_view(piece, group, a, a_stride, to + stretch->shared_length, to_stride);
        view_multiply(cache, keys_at(cache, head, piece->own), &view);
    }
}

// Sums over keys [keys.first, + count) into `count` column blocks from `block` on.
static void values_tile(Cache cache, const void *values, const View *view, Range entries,
                        Range keys, int64_t block, int count, bool from_to)
{
    int64_t panel = cache.slots * BLOCK;
    const char *b = element_at(values, cache.type, block * panel + keys.first * BLOCK);
    Tile tile = {
        .a = view->a + entries.first * view->a_stride + keys.first,
        .a_stride = view->a_stride,
        .b = b,
        .b_panel = panel,
        .c = view->to + entries.first * view->to_stride + block * BLOCK,
        .c_row = view->to_stride,
        .depth = keys.count,
        .from_c = from_to,
        .ahead = b + keys.count * BLOCK * (int64_t)type_bytes(cache.type),
        .ahead_panel = panel * (int64_t)type_bytes(cache.type),
        .ahead_step = BLOCK * (int64_t)type_bytes(cache.type),
    };
    tile_block((int)entries.count, count, cache.type, &tile);
}

// The keys in `keys` that all entries see as one tile, and what later rows see beyond, row by row:
// a chain holds no term of a key that its row does not see.
static void values_range(Cache cache, const void *values, const View *view, Range entries,
                         Range keys, int64_t block, int count, bool from_to)
{
    int64_t end = keys.first + keys.count, common = view_keys(view, entries.first);
    if (common > keys.first) {
        Range seen = {keys.first, least(end, common) - keys.first};
        values_tile(cache, values, view, entries, seen, block, count, from_to);
    }
    int64_t last = entries.first + entries.count, row = entries.first / view->group + 1;
    for (int64_t first; view->grows && (first = row * view->group) < last; row++) {
        int64_t begin = most(common, keys.first), until = least(end, view->keys + row);
        Range rest = {first, least(view->group, last - first)};
        if (begin < until)
            values_tile(cache, values, view, rest, (Range){begin, until - begin}, block, count,
                        true);
    }
}

static void view_sum(Cache cache, const void *values, const View *view, bool from_to)
{
    Shares tiles = view_tiles(view);
    int64_t longest = view_keys(view, view->entries.count - 1);
    bool alike = !view->grows || view->entries.count <= view->group; // all see the same keys
    int together = tiles.parts == 1 && alike ? tile_panels((int)view->entries.count) : 1;
    int64_t blocks = padded_width(cache) / BLOCK;
    for (int64_t j = 0; j < longest; j += KEYS_AT_ONCE) {
        Range keys = {j, least(KEYS_AT_ONCE, longest - j)};
        for (int64_t block = 0, count; block < blocks; block += count) {
            count = block + together <= blocks ? together : 1;
            for (int64_t t = 0; t < tiles.parts; t++)
                values_range(cache, values, view, shares_at(&tiles, t), keys, block, (int)count,
                             from_to || j > 0);
        }
    }
}

void CPU(values_sum)(Cache cache, int64_t head, const Stretch *stretch, int64_t group,
                     const float *a, int64_t a_stride, float *to)
{
    int64_t to_stride = padded_width(cache);
    if (stretch->shared_length > 0) {
        View view = shared_view(stretch, group, a, a_stride, to, to_stride);
        view_sum(cache, values_at(cache, head, 0, stretch->shared), &view, false);
    }
    for (int64_t p = 0; p < stretch->piece_count; p++) {
        const Piece *piece = &stretch->pieces[p];
        View view = piece_view(piece, group, a + stretch->shared_length, a_stride, to, to_stride);
        view_sum(cache, values_at(cache, head, 0, piece->own), &view, stretch->shared_length > 0);
    }
}
