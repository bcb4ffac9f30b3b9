// attention_forward.cu - attention over trees, forward, and the cache it reads.
//
// A block has one item and one key/value head: it goes over the item's keys, a tile at a time with
// the next one on its way, and rescales its sums whenever a greater score turns up. Where rows are
// cut into parts of keys, each part leaves its unfinished sums, and a second kernel puts the parts
// of a row together in order.

#include "kernels/cuda/tiles.h"

#include <math_constants.h>

// ---- the cache ----------------------------------------------------------------------------------

enum { APPEND_THREADS = 128 };

__device__ static void cache_put(void *to, ElementType type, int64_t place, float x)
{
    if (type == TYPE_BF16)
        static_cast<uint16_t *>(to)[place] = bf16_narrow(x);
    else
        static_cast<float *>(to)[place] = x;
}

__global__ static void cache_append_kernel(Cache cache, int64_t width, Tensor keys, Tensor values,
                                           const int32_t *slots, int *faults)
{
    int64_t r = blockIdx.x, slot = slots[r];
    if (slot < 0 || slot >= cache.slots) {
        if (threadIdx.x == 0)
            atomicMin(&faults[FAULT_SLOT], static_cast<int>(r));
        return;
    }
    for (int64_t i = threadIdx.x; i < cache.heads * width; i += APPEND_THREADS) {
        int64_t head = i / width, d = i % width, from = head * cache.head_width + d;
        bool there = d < cache.head_width;
        int64_t place = (head * cache.slots + slot) * width + d;
        cache_put(cache.keys, cache.type, place, there ? row_of(keys, r)[from] : 0.0f);
        cache_put(cache.values, cache.type, place, there ? row_of(values, r)[from] : 0.0f);
    }
}

void cache_append_cuda(Queue *queue, Cache cache, Tensor keys, Tensor values, const int32_t *slots)
{
    int64_t width = static_cast<int64_t>(cache.heads) * cache.head_width;
    CHECK(keys.width == width && values.width == width && keys.rows == values.rows,
          "keys [%ld, %ld], values [%ld, %ld] for %d heads of %d", static_cast<long>(keys.rows),
          static_cast<long>(keys.width), static_cast<long>(values.rows),
          static_cast<long>(values.width), cache.heads, cache.head_width);
    if (keys.rows == 0)
        return;
    LAUNCH(cache_append_kernel, static_cast<unsigned>(keys.rows), APPEND_THREADS, 0, queue, cache,
           cached_width(cache.head_width), keys, values, slots, faults_cuda());
}

// ---- items --------------------------------------------------------------------------------------

typedef struct {
    Tensor out, statistics, q;
    Cache cache;
    float scale;
    int group;
    ForwardPlan plan;
    float *sums;   // of parts: [parts][query heads][cached width]
    float2 *pairs; // m and l: [parts][query heads]
} Forward;

// The item's queries, scaled, as a tile; entries past the end are zero.
template <class Tiles>
__device__ static void queries_load(const Forward &call, const Item &item, int head,
                                    typename Tiles::Element *tile)
{
    int entries = item.rows * call.group, width = call.cache.head_width;
    for (int i = threadIdx.x; i < TILE_ROWS * Tiles::WIDTH; i += TILE_THREADS) {
        int e = i / Tiles::WIDTH, d = i % Tiles::WIDTH;
        float x = 0.0f;
        if (e < entries && d < width) {
            const float *row = row_of(call.q, item.row + e / call.group);
            x = row[(head * call.group + e % call.group) * width + d] * call.scale;
        }
        tile[e * Tiles::STRIDE + d] = Tiles::element(x);
    }
}

// What a thread holds of an item's rows.
template <class Tiles> struct Sums {
    float m[Tiles::ROWS_HELD]; // the greatest score so far
    float l[Tiles::ROWS_HELD]; // of the columns that this thread holds
    float o[Tiles::ROWS_HELD][Tiles::SUMS_HELD];
};

// Takes a tile of keys and values in; row r sees its first visible[r] keys, all where `whole`.
template <class Tiles>
__device__ static void
tile_take(Sums<Tiles> &sums, const typename Tiles::Element *queries,
          const typename Tiles::Element *keys, const typename Tiles::Element *values,
          typename Tiles::Element *staging, const int (&visible)[Tiles::ROWS_HELD], bool whole)
{
    float s[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD];
    Tiles::scores(s, queries, keys);
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
        float top = -CUDART_INF_F;
#pragma unroll
        for (int c = 0; c < Tiles::COLUMNS_HELD; c++) {
            if (!whole && Tiles::column(c) >= visible[r])
                s[r][c] = -CUDART_INF_F;
            top = fmaxf(top, s[r][c]);
        }
        top = fmaxf(sums.m[r], row_maximum<Tiles>(top));
        float base = top == -CUDART_INF_F ? 0.0f : top; // nothing seen yet: all terms are 0
        float factor = Tiles::exponential(sums.m[r] - base), total = 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::COLUMNS_HELD; c++) {
            s[r][c] = Tiles::exponential(s[r][c] - base);
            total += s[r][c];
        }
        sums.m[r] = top;
        sums.l[r] = fmaf(sums.l[r], factor, total);
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++)
            sums.o[r][c] *= factor;
    }
    Tiles::sums(sums.o, s, values, staging);
}

template <class Tiles>
__device__ static void sums_store(const Forward &call, const Item &item, int head,
                                  const Sums<Tiles> &sums)
{
    int heads = call.cache.heads * call.group, width = call.cache.head_width;
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
        float l = row_sum<Tiles>(sums.l[r]);
        int e = Tiles::row(r);
        if (e >= item.rows * call.group)
            continue;
        int row = item.row + e / call.group, query_head = head * call.group + e % call.group;
        bool first = threadIdx.x % Tiles::ROW_LANES == 0;
        if (item.part >= 0) {
            int64_t place =
                static_cast<int64_t>(call.plan.first_part[row] + item.part) * heads + query_head;
            if (first)
                call.pairs[place] = make_float2(sums.m[r], l);
#pragma unroll
            for (int c = 0; c < Tiles::SUMS_HELD; c++)
                call.sums[place * Tiles::WIDTH + Tiles::sum_column(c)] = sums.o[r][c];
            continue;
        }
        float *out = row_of(call.out, row) + query_head * width;
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++) {
            if (Tiles::sum_column(c) < width)
                out[Tiles::sum_column(c)] = sums.o[r][c] / l;
        }
        if (first && call.statistics.data) {
            float *pair = row_of(call.statistics, row) + 2 * query_head;
            pair[0] = sums.m[r];
            pair[1] = l;
        }
    }
}

template <class Tiles>
__global__ void __launch_bounds__(TILE_THREADS) attention_forward_kernel(Forward call)
{
    using Element = typename Tiles::Element;
    constexpr int TILE = Tiles::COLUMNS * Tiles::STRIDE;
    SHARED_DYNAMIC(shared);
    Element *queries = reinterpret_cast<Element *>(shared);
    Element *tiles = queries + TILE_ROWS * Tiles::STRIDE, *staging = tiles + 4 * TILE;
    if (static_cast<int>(blockIdx.x) >= *call.plan.item_count)
        return;
    const Item item = call.plan.items[blockIdx.x];
    int head = static_cast<int>(blockIdx.y), steps = steps_of<Tiles>(item);
    int64_t offset = head * call.cache.slots * Tiles::WIDTH;
    const Element *keys = static_cast<const Element *>(call.cache.keys) + offset;
    const Element *values = static_cast<const Element *>(call.cache.values) + offset;

    auto load = [&](int t) {
        Step step = step_at<Tiles>(item, t);
        int64_t from = static_cast<int64_t>(step.range.slot + step.key) * Tiles::WIDTH;
        Element *to = tiles + t % 2 * 2 * TILE;
        tile_load<Tiles, Tiles::COLUMNS>(to, keys + from, step.range.length - step.key);
        tile_load<Tiles, Tiles::COLUMNS>(to + TILE, values + from, step.range.length - step.key);
        copies_commit();
    };

    load(0);
    queries_load<Tiles>(call, item, head, queries);
    Sums<Tiles> sums;
    int rows[Tiles::ROWS_HELD]; // of the item
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
        rows[r] = Tiles::row(r) / call.group;
        sums.m[r] = -CUDART_INF_F;
        sums.l[r] = 0.0f;
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++)
            sums.o[r][c] = 0.0f;
    }
    bool busy = static_cast<int>(threadIdx.x) / 32 * 16 < item.rows * call.group;
    for (int t = 0; t < steps; t++) {
        if (t + 1 < steps) {
            load(t + 1);
            copies_wait<1>();
        } else {
            copies_wait<0>();
        }
        __syncthreads();
        if (busy) {
            Step step = step_at<Tiles>(item, t);
            int visible[Tiles::ROWS_HELD];
#pragma unroll
            for (int r = 0; r < Tiles::ROWS_HELD; r++)
                visible[r] = step_visible(step, rows[r]);
            const Element *tile = tiles + t % 2 * 2 * TILE;
            bool whole = step_visible(step, 0) >= Tiles::COLUMNS;
            tile_take<Tiles>(sums, queries, tile, tile + TILE, staging, visible, whole);
        }
        __syncthreads(); // the next load goes where this tile was
    }
    sums_store<Tiles>(call, item, head, sums);
}

// ---- parts --------------------------------------------------------------------------------------

enum { COMBINE_WARPS = 4 };

// A warp puts the parts of a row and query head together.
__global__ static void attention_combine_kernel(Forward call, int width)
{
    int64_t heads = call.cache.heads * call.group;
    int64_t place = static_cast<int64_t>(blockIdx.x) * COMBINE_WARPS + threadIdx.x / 32;
    int64_t row = place / heads, query_head = place % heads;
    if (row >= call.q.rows)
        return;
    int first = call.plan.first_part[row], end = call.plan.first_part[row + 1];
    if (first == end)
        return;
    float m = -CUDART_INF_F, l = 0.0f, o[MOST_HEAD_WIDTH / 32] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int p = first; p < end; p++)
        m = fmaxf(m, call.pairs[p * heads + query_head].x);
    float base = m == -CUDART_INF_F ? 0.0f : m;
    for (int p = first; p < end; p++) {
        float2 pair = call.pairs[p * heads + query_head];
        const float *sums = call.sums + (p * heads + query_head) * width;
        float factor = expf(pair.x - base);
        l = fmaf(pair.y, factor, l);
#pragma unroll
        for (int i = 0; i < MOST_HEAD_WIDTH / 32; i++) {
            int d = static_cast<int>(threadIdx.x) % 32 + 32 * i;
            if (d < width)
                o[i] = fmaf(sums[d], factor, o[i]);
        }
    }
    float *out = row_of(call.out, row) + query_head * call.cache.head_width;
#pragma unroll
    for (int i = 0; i < MOST_HEAD_WIDTH / 32; i++) {
        int d = static_cast<int>(threadIdx.x) % 32 + 32 * i;
        if (d < call.cache.head_width)
            out[d] = o[i] / l;
    }
    if (threadIdx.x % 32 == 0 && call.statistics.data) {
        float *pair = row_of(call.statistics, row) + 2 * query_head;
        pair[0] = m;
        pair[1] = l;
    }
}

// ---- the entry ----------------------------------------------------------------------------------

template <class Tiles> static void items_launch(Queue *queue, const Forward &call)
{
    size_t elements = TILE_ROWS * Tiles::STRIDE + 4 * Tiles::COLUMNS * Tiles::STRIDE;
    size_t bytes = (elements + Tiles::STAGING) * sizeof(typename Tiles::Element);
    static bool prepared;
    if (!prepared) {
        CUDA(cudaFuncSetAttribute(attention_forward_kernel<Tiles>,
                                  cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)));
        prepared = true;
    }
    dim3 grid(static_cast<unsigned>(call.plan.most_items), static_cast<unsigned>(call.cache.heads));
    LAUNCH(attention_forward_kernel<Tiles>, grid, TILE_THREADS, bytes, queue, call);
}

static void shapes_check(const Forward *call)
{
    int64_t heads = call->cache.heads * call->group;
    CHECK(call->out.width == call->q.width && call->out.rows == call->q.rows,
          "queries [%ld, %ld], out [%ld, %ld]", static_cast<long>(call->q.rows),
          static_cast<long>(call->q.width), static_cast<long>(call->out.rows),
          static_cast<long>(call->out.width));
    CHECK(!call->statistics.data ||
              (call->statistics.rows == call->q.rows && call->statistics.width == 2 * heads),
          "statistics [%ld, %ld] for %ld rows and %ld heads",
          static_cast<long>(call->statistics.rows), static_cast<long>(call->statistics.width),
          static_cast<long>(call->q.rows), static_cast<long>(heads));
}

// The call's plan, and room for the sums of its parts.
static void call_plan(Queue *queue, Forward *call, const Span *spans, int64_t span_count)
{
    call->group = static_cast<int>(attention_group(call->q, call->cache));
    call->plan = plan_forward(queue, spans, span_count, call->q.rows, call->group, call->cache);
    size_t width = static_cast<size_t>(cached_width(call->cache.head_width));
    size_t pairs = static_cast<size_t>(call->plan.parts * call->cache.heads * call->group);
    if (pairs == 0)
        return;
    call->sums =
        static_cast<float *>(scratch_cuda(queue, SCRATCH_PARTIAL, pairs * width * sizeof(float)));
    call->pairs = static_cast<float2 *>(scratch_cuda(queue, SCRATCH_PAIRS, pairs * sizeof(float2)));
}

int64_t attention_plan_cuda(Queue *queue, int64_t rows, int32_t query_heads, Cache cache,
                            const Span *spans, int64_t span_count)
{
    Forward call = {};
    call.q = tensor_of(NULL, rows, static_cast<int64_t>(query_heads) * cache.head_width);
    call.cache = cache;
    call_plan(queue, &call, spans, span_count);
    return 2 * call.plan.most_items + (call.plan.parts > 0);
}

void attention_forward_cuda(Queue *queue, Tensor out, Tensor statistics, Tensor q, Cache cache,
                            const Span *spans, int64_t span_count, float scale)
{
    Forward call = {};
    call.out = out;
    call.statistics = statistics;
    call.q = q;
    call.cache = cache;
    call.scale = scale;
    call_plan(queue, &call, spans, span_count);
    shapes_check(&call);
    if (call.plan.most_items == 0)
        return;
    int64_t width = cached_width(cache.head_width);
    if (cache.type == TYPE_BF16 && width == 64)
        items_launch<TensorCoreTiles<64, 64>>(queue, call);
    else if (cache.type == TYPE_BF16)
        items_launch<TensorCoreTiles<128, 64>>(queue, call);
    else if (width == 64)
        items_launch<PlainTiles<64, 32>>(queue, call);
    else
        items_launch<PlainTiles<128, 32>>(queue, call);
    if (call.plan.parts == 0)
        return;
    int64_t blocks = pieces_of(q.rows * cache.heads * call.group, COMBINE_WARPS);
    LAUNCH(attention_combine_kernel, static_cast<unsigned>(blocks), COMBINE_WARPS * 32, 0, queue,
           call, static_cast<int>(width));
}
