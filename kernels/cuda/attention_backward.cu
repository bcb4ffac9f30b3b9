// attention_backward.cu - gradients of attention over trees.
//
// Three kernels. The first turns queries and output gradients into entries of the cache's type, and
// finds D. The second has a block for each item, as the forward pass has, and gives dq. The third
// has a block for each tile of 64 slots: it goes over all rows that see some of them, in order, and
// adds to their dk and dv. Scores are computed twice, so that no sum has two owners.

#include "kernels/cuda/tiles.h"

typedef struct {
    Tensor dq, dk, dv, y, out, statistics, q;
    Cache cache;
    float scale;
    int group;
    BackwardPlan plan;
    void *queries, *gradients; // scaled q and y: [heads][entries][cached width], the cache's type
    float4 *numbers;           // [heads][entries]: m, 1 / l, D, unused
} Backward;

__device__ static int64_t entry_place(const Backward &call, int head, int64_t entry)
{
    return head * call.q.rows * call.group + entry;
}

// ---- entries ------------------------------------------------------------------------------------

enum { ENTRY_WARPS = 4 };

__device__ static float widened(float x)
{
    return x;
}

__device__ static float widened(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

// A warp makes one entry. D is that of the rounded gradients: what rounding adds to all of a row's
// dP alike then goes out of dP - D.
template <class Tiles> __global__ static void attention_entries_kernel(Backward call)
{
    using Element = typename Tiles::Element;
    int64_t entries = call.q.rows * call.group;
    int64_t entry = static_cast<int64_t>(blockIdx.x) * ENTRY_WARPS + threadIdx.x / 32;
    int head = static_cast<int>(blockIdx.y), lane = static_cast<int>(threadIdx.x) % 32;
    if (entry >= entries)
        return;
    int64_t row = entry / call.group, query_head = head * call.group + entry % call.group;
    int64_t offset = query_head * call.cache.head_width, place = entry_place(call, head, entry);
    const float *q = row_of(call.q, row) + offset, *y = row_of(call.y, row) + offset;
    const float *out = row_of(call.out, row) + offset;
    Element *to_q = static_cast<Element *>(call.queries) + place * Tiles::WIDTH;
    Element *to_y = static_cast<Element *>(call.gradients) + place * Tiles::WIDTH;
    float dot = 0.0f;
#pragma unroll
    for (int d = lane; d < Tiles::WIDTH; d += 32) {
        bool there = d < call.cache.head_width;
        Element gradient = Tiles::element(there ? y[d] : 0.0f);
        dot = fmaf(widened(gradient), there ? out[d] : 0.0f, dot);
        to_q[d] = Tiles::element(there ? q[d] * call.scale : 0.0f);
        to_y[d] = gradient;
    }
    dot = warp_sum(dot);
    const float *pair = row_of(call.statistics, row) + 2 * query_head;
    if (lane == 0)
        call.numbers[place] = make_float4(pair[0], 1.0f / pair[1], dot, 0.0f);
}

// ---- dq -----------------------------------------------------------------------------------------

// Scores and dP become dS: row r sees its first visible[r] keys.
template <class Tiles>
__device__ static void gradients_of_scores(float (&s)[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD],
                                           const float (&dp)[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD],
                                           const float4 (&numbers)[Tiles::ROWS_HELD],
                                           const int (&visible)[Tiles::ROWS_HELD])
{
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
#pragma unroll
        for (int c = 0; c < Tiles::COLUMNS_HELD; c++) {
            float p = Tiles::exponential(s[r][c] - numbers[r].x) * numbers[r].y;
            bool seen = Tiles::column(c) < visible[r];
            s[r][c] = seen ? p * (dp[r][c] - numbers[r].z) : 0.0f;
        }
    }
}

template <class Tiles>
__device__ static void dq_store(const Backward &call, const Item &item, int head,
                                const float (&dq)[Tiles::ROWS_HELD][Tiles::SUMS_HELD])
{
    int width = call.cache.head_width;
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
        int e = Tiles::row(r);
        if (e >= item.rows * call.group)
            continue;
        float *to = row_of(call.dq, item.row + e / call.group) +
                    (head * call.group + e % call.group) * width;
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++) {
            if (Tiles::sum_column(c) < width)
                to[Tiles::sum_column(c)] = dq[r][c] * call.scale;
        }
    }
}

template <class Tiles>
__global__ void __launch_bounds__(TILE_THREADS) attention_dq_kernel(Backward call)
{
    using Element = typename Tiles::Element;
    constexpr int TILE = Tiles::COLUMNS * Tiles::STRIDE, ROWS = TILE_ROWS * Tiles::STRIDE;
    SHARED_DYNAMIC(shared);
    Element *queries = reinterpret_cast<Element *>(shared), *gradients = queries + ROWS;
    Element *tiles = gradients + ROWS, *staging = tiles + 4 * TILE;
    const Item item = call.plan.items[blockIdx.x];
    int head = static_cast<int>(blockIdx.y), steps = steps_of<Tiles>(item);
    int entries = item.rows * call.group;
    int64_t offset = head * call.cache.slots * Tiles::WIDTH;
    const Element *keys = static_cast<const Element *>(call.cache.keys) + offset;
    const Element *values = static_cast<const Element *>(call.cache.values) + offset;
    int64_t place = entry_place(call, head, static_cast<int64_t>(item.row) * call.group);

    auto load = [&](int t) {
        Step step = step_at<Tiles>(item, t);
        int64_t from = static_cast<int64_t>(step.range.slot + step.key) * Tiles::WIDTH;
        Element *to = tiles + t % 2 * 2 * TILE;
        tile_load<Tiles, Tiles::COLUMNS>(to, keys + from, step.range.length - step.key);
        tile_load<Tiles, Tiles::COLUMNS>(to + TILE, values + from, step.range.length - step.key);
        copies_commit();
    };

    tile_load<Tiles, TILE_ROWS>(
        queries, static_cast<const Element *>(call.queries) + place * Tiles::WIDTH, entries);
    tile_load<Tiles, TILE_ROWS>(
        gradients, static_cast<const Element *>(call.gradients) + place * Tiles::WIDTH, entries);
    load(0);
    float4 numbers[Tiles::ROWS_HELD];
    float dq[Tiles::ROWS_HELD][Tiles::SUMS_HELD];
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
        numbers[r] = Tiles::row(r) < entries ? call.numbers[place + Tiles::row(r)]
                                             : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++)
            dq[r][c] = 0.0f;
    }
    bool busy = static_cast<int>(threadIdx.x) / 32 * 16 < entries;
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
            const Element *tile = tiles + t % 2 * 2 * TILE;
            int visible[Tiles::ROWS_HELD];
#pragma unroll
            for (int r = 0; r < Tiles::ROWS_HELD; r++)
                visible[r] = step_visible(step, Tiles::row(r) / call.group);
            float s[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD];
            float dp[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD];
            Tiles::scores(s, queries, tile);
            Tiles::scores(dp, gradients, tile + TILE);
            gradients_of_scores<Tiles>(s, dp, numbers, visible);
            Tiles::sums(dq, s, tile, staging);
        }
        __syncthreads(); // the next load goes where this tile was
    }
    dq_store<Tiles>(call, item, head, dq);
}

// ---- dk and dv ----------------------------------------------------------------------------------

// A walk over the entries that see a tile of slots, COLUMNS of a visit at a time.
struct Walk {
    const Visit *visit, *end;
    int entry; // the next one of the visit
};

template <class Tiles> __device__ static void walk_on(Walk &walk, int group)
{
    walk.entry += Tiles::COLUMNS;
    if (walk.entry >= walk.visit->rows * group) {
        walk.visit++;
        walk.entry = 0;
    }
}

// What a block needs of an entry beside its queries and gradients: m, 1 / l, D, and the end of the
// slots that it sees, counted from the tile's first one.
__device__ static float4 entry_numbers(const Backward &call, const Visit &visit, int head, int e)
{
    if (e >= visit.rows * call.group)
        return make_float4(0.0f, 0.0f, 0.0f, -1.0f);
    int64_t first = static_cast<int64_t>(visit.row) * call.group;
    float4 numbers = call.numbers[entry_place(call, head, first + e)];
    numbers.w = static_cast<float>(visit.end + visit.grows * (e / call.group));
    return numbers;
}

// Scores become P and dP becomes dS; rows are slots here and columns entries.
template <class Tiles>
__device__ static void slot_gradients(float (&s)[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD],
                                      float (&dp)[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD],
                                      const float4 *numbers, int first)
{
#pragma unroll
    for (int c = 0; c < Tiles::COLUMNS_HELD; c++) {
        float4 entry = numbers[Tiles::column(c)];
#pragma unroll
        for (int r = 0; r < Tiles::ROWS_HELD; r++) {
            int slot = Tiles::row(r);
            bool seen = slot >= first && static_cast<float>(slot) < entry.w;
            float p = Tiles::exponential(s[r][c] - entry.x) * entry.y;
            s[r][c] = seen ? p : 0.0f;
            dp[r][c] = seen ? p * (dp[r][c] - entry.z) : 0.0f;
        }
    }
}

template <class Tiles>
__device__ static void slots_add(Tensor to, int64_t slot, int slots, int head, int width,
                                 const float (&sums)[Tiles::ROWS_HELD][Tiles::SUMS_HELD])
{
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
        if (Tiles::row(r) >= slots)
            continue;
        float *row = row_of(to, slot + Tiles::row(r)) + head * width;
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++) {
            if (Tiles::sum_column(c) < width)
                row[Tiles::sum_column(c)] += sums[r][c];
        }
    }
}

template <class Tiles>
__global__ void __launch_bounds__(TILE_THREADS) attention_dkv_kernel(Backward call)
{
    using Element = typename Tiles::Element;
    constexpr int TILE = Tiles::COLUMNS * Tiles::STRIDE, ROWS = TILE_ROWS * Tiles::STRIDE;
    SHARED_DYNAMIC(shared);
    float4 *numbers = reinterpret_cast<float4 *>(shared); // [2][COLUMNS]
    Element *keys = reinterpret_cast<Element *>(numbers + 2 * Tiles::COLUMNS);
    Element *values = keys + ROWS, *tiles = values + ROWS, *staging = tiles + 4 * TILE;
    const SlotTile slot_tile = call.plan.tiles[blockIdx.x];
    int head = static_cast<int>(blockIdx.y);
    int64_t slot = static_cast<int64_t>(slot_tile.tile) * TILE_ROWS;
    int64_t end = min(call.cache.slots, call.dk.rows);
    int slots = static_cast<int>(min(static_cast<int64_t>(TILE_ROWS), end - slot));
    int64_t offset = (head * call.cache.slots + slot) * Tiles::WIDTH;
    tile_load<Tiles, TILE_ROWS>(keys, static_cast<const Element *>(call.cache.keys) + offset,
                                slots);
    tile_load<Tiles, TILE_ROWS>(values, static_cast<const Element *>(call.cache.values) + offset,
                                slots);

    auto load = [&](const Walk &walk, int stage) {
        Visit visit = *walk.visit;
        int64_t first = static_cast<int64_t>(visit.row) * call.group + walk.entry;
        int64_t from = entry_place(call, head, first) * Tiles::WIDTH;
        int count = visit.rows * call.group - walk.entry;
        Element *to = tiles + stage * 2 * TILE;
        tile_load<Tiles, Tiles::COLUMNS>(to, static_cast<const Element *>(call.queries) + from,
                                         count);
        tile_load<Tiles, Tiles::COLUMNS>(
            to + TILE, static_cast<const Element *>(call.gradients) + from, count);
        copies_commit();
        if (threadIdx.x < Tiles::COLUMNS)
            numbers[stage * Tiles::COLUMNS + threadIdx.x] =
                entry_numbers(call, visit, head, walk.entry + static_cast<int>(threadIdx.x));
    };

    float dk[Tiles::ROWS_HELD][Tiles::SUMS_HELD], dv[Tiles::ROWS_HELD][Tiles::SUMS_HELD];
#pragma unroll
    for (int r = 0; r < Tiles::ROWS_HELD; r++) {
#pragma unroll
        for (int c = 0; c < Tiles::SUMS_HELD; c++)
            dk[r][c] = dv[r][c] = 0.0f;
    }
    const Visit *visits = call.plan.visits + slot_tile.visit;
    Walk walk = {visits, visits + slot_tile.visits, 0};
    load(walk, 0);
    for (int stage = 0; walk.visit < walk.end; stage ^= 1) {
        int first = walk.visit->first;
        walk_on<Tiles>(walk, call.group);
        if (walk.visit < walk.end) {
            load(walk, stage ^ 1);
            copies_wait<1>();
        } else {
            copies_wait<0>();
        }
        __syncthreads();
        const Element *tile = tiles + stage * 2 * TILE;
        float s[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD], dp[Tiles::ROWS_HELD][Tiles::COLUMNS_HELD];
        Tiles::scores(s, keys, tile);
        Tiles::scores(dp, values, tile + TILE);
        slot_gradients<Tiles>(s, dp, numbers + stage * Tiles::COLUMNS, first);
        Tiles::sums(dv, s, tile + TILE, staging);
        Tiles::staging_reuse();
        Tiles::sums(dk, dp, tile, staging);
        __syncthreads(); // the next load goes where this tile was
    }
    slots_add<Tiles>(call.dk, slot, slots, head, call.cache.head_width, dk);
    slots_add<Tiles>(call.dv, slot, slots, head, call.cache.head_width, dv);
}

// ---- the entry ----------------------------------------------------------------------------------

template <class Kernel> static void shared_allow(Kernel kernel, size_t bytes)
{
    CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes)));
}

// QueryTiles for dq, SlotTiles for dk and dv.
template <class QueryTiles, class SlotTiles>
static void backward_launch(Queue *queue, Backward call)
{
    using Element = typename QueryTiles::Element;
    constexpr size_t QUERY_BYTES =
        (2 * TILE_ROWS * QueryTiles::STRIDE + 4 * QueryTiles::COLUMNS * QueryTiles::STRIDE +
         QueryTiles::STAGING) *
        sizeof(Element);
    constexpr size_t SLOT_BYTES =
        2 * SlotTiles::COLUMNS * sizeof(float4) +
        (2 * TILE_ROWS * SlotTiles::STRIDE + 4 * SlotTiles::COLUMNS * SlotTiles::STRIDE +
         SlotTiles::STAGING) *
            sizeof(Element);
    static bool prepared;
    if (!prepared) {
        shared_allow(attention_dq_kernel<QueryTiles>, QUERY_BYTES);
        shared_allow(attention_dkv_kernel<SlotTiles>, SLOT_BYTES);
        prepared = true;
    }
    unsigned heads = static_cast<unsigned>(call.cache.heads);
    size_t entries = static_cast<size_t>(call.q.rows * call.group * call.cache.heads);
    size_t bytes = entries * QueryTiles::WIDTH * sizeof(Element);
    call.queries = scratch_cuda(queue, SCRATCH_QUERIES, bytes);
    call.gradients = scratch_cuda(queue, SCRATCH_GRADIENTS, bytes);
    call.numbers =
        static_cast<float4 *>(scratch_cuda(queue, SCRATCH_STATISTICS, entries * sizeof(float4)));
    int64_t blocks = pieces_of(call.q.rows * call.group, ENTRY_WARPS);
    LAUNCH(attention_entries_kernel<QueryTiles>, dim3(static_cast<unsigned>(blocks), heads),
           ENTRY_WARPS * 32, 0, queue, call);
    LAUNCH(attention_dq_kernel<QueryTiles>,
           dim3(static_cast<unsigned>(call.plan.item_count), heads), TILE_THREADS, QUERY_BYTES,
           queue, call);
    LAUNCH(attention_dkv_kernel<SlotTiles>,
           dim3(static_cast<unsigned>(call.plan.tile_count), heads), TILE_THREADS, SLOT_BYTES,
           queue, call);
}

static void shapes_check(const Backward *call)
{
    int64_t slots_end = call->plan.slots_end;
    int64_t width = static_cast<int64_t>(call->cache.heads) * call->cache.head_width;
    int64_t heads = call->cache.heads * call->group, rows = call->q.rows;
    CHECK(call->dq.rows == rows && call->y.rows == rows && call->out.rows == rows &&
              call->statistics.rows == rows && call->dq.width == call->q.width &&
              call->y.width == call->q.width && call->out.width == call->q.width &&
              call->statistics.width == 2 * heads,
          "shapes of attention's backward pass: %ld rows of %ld", static_cast<long>(rows),
          static_cast<long>(call->q.width));
    CHECK(call->dk.width == width && call->dv.width == width && call->dk.rows == call->dv.rows &&
              call->dk.rows >= slots_end,
          "gradients of keys [%ld, %ld] for slots up to %ld", static_cast<long>(call->dk.rows),
          static_cast<long>(call->dk.width), static_cast<long>(slots_end));
}

void attention_backward_cuda(Queue *queue, Tensor dq, Tensor dk, Tensor dv, Tensor y, Tensor out,
                             Tensor statistics, Tensor q, Cache cache, const Span *spans,
                             int64_t span_count, float scale)
{
    Backward call = {};
    call.dq = dq, call.dk = dk, call.dv = dv, call.y = y, call.out = out, call.q = q;
    call.statistics = statistics;
    call.cache = cache;
    call.scale = scale;
    call.group = static_cast<int>(attention_group(q, cache));
    call.plan = plan_backward(queue, spans, span_count, q.rows, call.group, cache);
    shapes_check(&call);
    if (call.plan.item_count == 0)
        return;
    bool narrow = cached_width(cache.head_width) == 64;
    if (cache.type == TYPE_BF16 && narrow)
        backward_launch<TensorCoreTiles<64, 64>, TensorCoreTiles<64, 64>>(queue, call);
    else if (cache.type == TYPE_BF16)
        backward_launch<TensorCoreTiles<128, 64>, TensorCoreTiles<128, 32>>(queue, call);
    else if (narrow)
        backward_launch<PlainTiles<64, 32>, PlainTiles<64, 32>>(queue, call);
    else
        backward_launch<PlainTiles<128, 32>, PlainTiles<128, 32>>(queue, call);
}
