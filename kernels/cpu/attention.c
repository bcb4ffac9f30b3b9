// attention.c - attention over trees, forward. Its backward pass is in attention_backward.c.
//
// A work item is one stretch with one key/value head: scores of all its entries, softmax, sums over
// values. Threads take items as they come, the longest stretches first; an item's result does not
// depend on who computes it.

#include "kernels/cpu/attention.h"

#include <math.h>
#include <omp.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"

enum {
    ENTRIES = 96,             // rows times heads of a group in a stretch, about
    SCORE_BYTES = 256 * 1024, // of a stretch: they are to stay in the second-level cache
    PARALLEL_WORK = 100000,   // multiply-adds below which one thread is faster
};

typedef struct {
    Tensor out, statistics, q;
    Cache cache;
    float scale;
    int64_t group;
    Plan plan;
    float *scratch; // a thread's part of it is item_floats long
    int64_t item_floats;
} Forward;

// Maximum and sum of exponentials of one entry's scores, which become exponentials.
static void softmax(float *scores, int64_t keys, float *maximum, float *sum)
{
    int64_t whole = keys / BLOCK * BLOCK, rest = keys - whole;
    Lanes top = lanes_set(-INFINITY), total = lanes_zero();
    for (int64_t j = 0; j < whole; j += BLOCK)
        top = lanes_max(top, lanes_load(scores + j));
    if (rest > 0)
        top = lanes_max(top, lanes_keep(lanes_load(scores + whole), rest, -INFINITY));
    *maximum = lanes_maximum(top);
    top = lanes_set(*maximum);
    for (int64_t j = 0; j < whole; j += BLOCK) {
        Lanes p = lanes_exp(lanes_sub(lanes_load(scores + j), top));
        lanes_store(scores + j, p);
        total = lanes_add(total, p);
    }
    if (rest > 0) {
        Lanes p = lanes_exp(lanes_sub(lanes_load(scores + whole), top));
        lanes_store(scores + whole, p);
        total = lanes_add(total, lanes_keep(p, rest, 0.0f));
    }
    *sum = lanes_sum(total);
}

static void entries_scale(const Forward *call, const Stretch *stretch, int64_t head, float *to)
{
    int64_t width = call->group * call->cache.head_width; // a row's entries lie side by side
    for (int64_t r = 0; r < stretch->rows; r++) {
        const float *q = row_of(call->q, stretch->row + r) + head * width;
        for (int64_t d = 0; d < width; d++)
            *to++ = q[d] * call->scale;
    }
}

static void entry_finish(const Forward *call, int64_t row, int64_t query_head, const float *sums,
                         float maximum, float sum)
{
    int64_t width = call->cache.head_width;
    float *out = row_of(call->out, row) + query_head * width;
    for (int64_t d = 0; d < width; d++)
        out[d] = sums[d] / sum;
    if (call->statistics.data) {
        float *pair = row_of(call->statistics, row) + 2 * query_head;
        pair[0] = maximum;
        pair[1] = sum;
    }
}

static void item_compute(const Forward *call, const Stretch *stretch, int64_t head, float *scratch)
{
    int64_t entries = stretch->rows * call->group, stride = call->plan.score_stride;
    float *q = scratch, *maxima = q + entries * call->cache.head_width, *totals = maxima + entries;
    float *sums = totals + entries, *scores = sums + entries * padded_width(call->cache);
    entries_scale(call, stretch, head, q);
    CPU(keys_multiply)(call->cache, head, stretch, call->group, q, scores, stride);
    for (int64_t p = 0; p < stretch->piece_count; p++) {
        const Piece *piece = &stretch->pieces[p];
        for (int64_t i = 0; i < piece->rows * call->group; i++) {
            int64_t e = piece->row * call->group + i;
            int64_t keys = stretch->shared_length + piece->own_length + i / call->group;
            softmax(scores + e * stride, keys, &maxima[e], &totals[e]);
        }
    }
    CPU(values_sum)(call->cache, head, stretch, call->group, scores, stride, sums);
    for (int64_t e = 0; e < entries; e++)
        entry_finish(call, stretch->row + e / call->group, head * call->group + e % call->group,
                     sums + e * padded_width(call->cache), maxima[e], totals[e]);
}

static void check_shapes(const Forward *call)
{
    Cache cache = call->cache;
    int64_t query_heads = cache.heads * call->group, width = query_heads * cache.head_width;
    CHECK(call->group >= 1 && call->q.width == width && call->out.width == width &&
              call->out.rows == call->q.rows,
          "queries [%ld, %ld], out [%ld, %ld] for %d heads of %d", (long)call->q.rows,
          (long)call->q.width, (long)call->out.rows, (long)call->out.width, cache.heads,
          cache.head_width);
    CHECK(!call->statistics.data ||
              (call->statistics.rows == call->q.rows && call->statistics.width == 2 * query_heads),
          "statistics [%ld, %ld] for %ld rows and %ld heads", (long)call->statistics.rows,
          (long)call->statistics.width, (long)call->q.rows, (long)query_heads);
}

void CPU(attention_forward)(Queue *queue, Tensor out, Tensor statistics, Tensor q, Cache cache,
                            const Span *spans, int64_t span_count, float scale)
{
    (void)queue;
    Forward call = {.out = out, .statistics = statistics, .q = q, .cache = cache, .scale = scale};
    call.group = q.width / (cache.heads * cache.head_width);
    check_shapes(&call);
    call.plan =
        CPU(plan_measure)(spans, span_count, q.rows, call.group, ENTRIES, SCORE_BYTES, cache);
    int64_t entry_floats = cache.head_width + padded_width(cache) + call.plan.score_stride + 2;
    call.item_floats = rounded_up(call.plan.stretch_rows * call.group * entry_floats, BLOCK);
    int64_t work = 2 * call.plan.work * q.width;
    int threads = work < PARALLEL_WORK ? 1 : omp_get_max_threads();
    size_t plan_bytes = CPU(plan_bytes)(q.rows, span_count);
    char *memory = scratch_cpu(plan_bytes + (size_t)(threads * call.item_floats) * sizeof(float));
    CPU(plan_fill)(&call.plan, memory, spans, span_count);
    call.scratch = (float *)(memory + plan_bytes);
    int64_t items = call.plan.count * cache.heads;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int64_t i = items - 1; i >= 0; i--)
        item_compute(&call, &call.plan.stretches[i / cache.heads], i % cache.heads,
                     call.scratch + omp_get_thread_num() * call.item_floats);
}
