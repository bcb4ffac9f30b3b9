// tiles.h - products of tiles in shared memory, for attention: bf16 on tensor cores, fp32 on the
// ordinary units. Device code only.
//
// A block of four warps holds a result of 64 rows, sixteen a warp; `WIDTH` is a head's, `COLUMNS`
// counts the keys (or entries) of a step. Both kinds name what a thread holds in the same way:
//   float s[ROWS_HELD][COLUMNS_HELD]  of a [64][COLUMNS] tile: rows row(r), columns column(c);
//   float o[ROWS_HELD][SUMS_HELD]     of a [64][WIDTH] tile: the same rows, columns sum_column(c).
// The ROW_LANES lanes that hold a row are neighbours. Rows of tiles lie STRIDE elements apart, so
// that the reads below meet different banks.

#ifndef L2A_KERNELS_CUDA_TILES_H
#define L2A_KERNELS_CUDA_TILES_H

#include "kernels/cuda/attention.h"
#include "kernels/cuda/instructions.h"

// ---- bf16 on tensor cores -----------------------------------------------------------------------

__device__ inline uint32_t bf16_pair(float low, float high)
{
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t *>(&pair);
}

template <int WIDTH_, int COLUMNS_> struct TensorCoreTiles {
    using Element = __nv_bfloat16;
    static constexpr int WIDTH = WIDTH_, COLUMNS = COLUMNS_, STRIDE = WIDTH + 8;
    static constexpr int ROWS_HELD = 2, COLUMNS_HELD = COLUMNS / 4, SUMS_HELD = WIDTH / 4;
    static constexpr int ROW_LANES = 4, STAGING = 0;

    __device__ static int row(int r)
    {
        return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + 8 * r;
    }

    __device__ static int column(int c)
    {
        return c / 2 * 8 + threadIdx.x % 4 * 2 + c % 2;
    }

    __device__ static int sum_column(int c)
    {
        return column(c);
    }

    __device__ static Element element(float x)
    {
        return __float2bfloat16_rn(x);
    }

    __device__ static float exponential(float x)
    {
        return __expf(x);
    }

    // s = a [64, WIDTH] b [COLUMNS, WIDTH]^T.
    __device__ static void scores(float (&s)[ROWS_HELD][COLUMNS_HELD], const Element *a,
                                  const Element *b)
    {
        int lane = threadIdx.x % 32;
        a += (threadIdx.x / 32 * 16 + lane % 16) * STRIDE + lane / 16 * 8;
        b += (lane / 16 * 8 + lane % 8) * STRIDE + lane / 8 % 2 * 8;
#pragma unroll
        for (int c = 0; c < COLUMNS_HELD; c++)
            s[0][c] = s[1][c] = 0.0f;
#pragma unroll
        for (int k = 0; k < WIDTH; k += 16) {
            uint32_t left[4];
            matrices_load(left, a + k);
#pragma unroll
            for (int n = 0; n < COLUMNS / 16; n++) {
                uint32_t right[4];
                matrices_load(right, b + n * 16 * STRIDE + k);
                multiply_add(&s[0][4 * n], &s[1][4 * n], left, right[0], right[1]);
                multiply_add(&s[0][4 * n + 2], &s[1][4 * n + 2], left, right[2], right[3]);
            }
        }
    }

    // o += p [64, COLUMNS], rounded to bf16, times b [COLUMNS, WIDTH].
    __device__ static void sums(float (&o)[ROWS_HELD][SUMS_HELD],
                                const float (&p)[ROWS_HELD][COLUMNS_HELD], const Element *b,
                                Element *)
    {
        int lane = threadIdx.x % 32;
        b += (lane / 8 % 2 * 8 + lane % 8) * STRIDE + lane / 16 * 8;
#pragma unroll
        for (int k = 0; k < COLUMNS / 16; k++) {
            uint32_t left[4] = {bf16_pair(p[0][4 * k], p[0][4 * k + 1]),
                                bf16_pair(p[1][4 * k], p[1][4 * k + 1]),
                                bf16_pair(p[0][4 * k + 2], p[0][4 * k + 3]),
                                bf16_pair(p[1][4 * k + 2], p[1][4 * k + 3])};
#pragma unroll
            for (int n = 0; n < WIDTH / 16; n++) {
                uint32_t right[4];
                matrices_load_turned(right, b + k * 16 * STRIDE + n * 16);
                multiply_add(&o[0][4 * n], &o[1][4 * n], left, right[0], right[1]);
                multiply_add(&o[0][4 * n + 2], &o[1][4 * n + 2], left, right[2], right[3]);
            }
        }
    }

    __device__ static void staging_reuse()
    {
    }
};

// ---- fp32 ---------------------------------------------------------------------------------------

template <int WIDTH_, int COLUMNS_> struct PlainTiles {
    using Element = float;
    static constexpr int WIDTH = WIDTH_, COLUMNS = COLUMNS_, STRIDE = WIDTH + 4;
    static constexpr int ROWS_HELD = 4, COLUMNS_HELD = COLUMNS / 8, SUMS_HELD = WIDTH / 8;
    static constexpr int ROW_LANES = 8, STAGING_STRIDE = COLUMNS + 4;
    static constexpr int STAGING = TILE_ROWS * STAGING_STRIDE;

    __device__ static int row(int r)
    {
        return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 8 + 4 * r;
    }

    __device__ static int column(int c)
    {
        return threadIdx.x % 8 + 8 * c;
    }

    __device__ static int sum_column(int c)
    {
        return c / 4 * 32 + threadIdx.x % 8 * 4 + c % 4;
    }

    __device__ static Element element(float x)
    {
        return x;
    }

    __device__ static float exponential(float x)
    {
        return expf(x);
    }

    // Chains over the width, as on the CPU.
    __device__ static void scores(float (&s)[ROWS_HELD][COLUMNS_HELD], const Element *a,
                                  const Element *b)
    {
#pragma unroll
        for (int r = 0; r < ROWS_HELD; r++) {
#pragma unroll
            for (int c = 0; c < COLUMNS_HELD; c++)
                s[r][c] = 0.0f;
        }
#pragma unroll 4
        for (int k = 0; k < WIDTH; k += 4) {
            float4 left[ROWS_HELD];
#pragma unroll
            for (int r = 0; r < ROWS_HELD; r++)
                left[r] = *reinterpret_cast<const float4 *>(a + row(r) * STRIDE + k);
#pragma unroll
            for (int c = 0; c < COLUMNS_HELD; c++) {
                float4 right = *reinterpret_cast<const float4 *>(b + column(c) * STRIDE + k);
#pragma unroll
                for (int r = 0; r < ROWS_HELD; r++) {
                    float sum = fmaf(left[r].x, right.x, s[r][c]);
                    sum = fmaf(left[r].y, right.y, sum);
                    sum = fmaf(left[r].z, right.z, sum);
                    s[r][c] = fmaf(left[r].w, right.w, sum);
                }
            }
        }
    }

    // A warp's own rows of p go through `staging` [64][STAGING_STRIDE].
    __device__ static void sums(float (&o)[ROWS_HELD][SUMS_HELD],
                                const float (&p)[ROWS_HELD][COLUMNS_HELD], const Element *b,
                                Element *staging)
    {
#pragma unroll
        for (int r = 0; r < ROWS_HELD; r++) {
#pragma unroll
            for (int c = 0; c < COLUMNS_HELD; c++)
                staging[row(r) * STAGING_STRIDE + column(c)] = p[r][c];
        }
        __syncwarp();
        for (int j = 0; j < COLUMNS; j += 4) {
            float4 left[ROWS_HELD];
#pragma unroll
            for (int r = 0; r < ROWS_HELD; r++)
                left[r] = *reinterpret_cast<const float4 *>(staging + row(r) * STAGING_STRIDE + j);
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int c = 0; c < SUMS_HELD; c += 4) {
                    float4 right = *reinterpret_cast<const float4 *>(b + (j + i) * STRIDE +
                                                                     sum_column(c));
#pragma unroll
                    for (int r = 0; r < ROWS_HELD; r++) {
                        float x = i == 0   ? left[r].x
                                  : i == 1 ? left[r].y
                                  : i == 2 ? left[r].z
                                           : left[r].w;
                        o[r][c] = fmaf(x, right.x, o[r][c]);
                        o[r][c + 1] = fmaf(x, right.y, o[r][c + 1]);
                        o[r][c + 2] = fmaf(x, right.z, o[r][c + 2]);
                        o[r][c + 3] = fmaf(x, right.w, o[r][c + 3]);
                    }
                }
            }
        }
    }

    // Between two calls of sums where no barrier of the block is.
    __device__ static void staging_reuse()
    {
        __syncwarp();
    }
};

// ---- both ---------------------------------------------------------------------------------------

// A tile of an item's keys: from the range's key `key` on.
struct Step {
    KeyRange range;
    int key;
};

// Tiles of both ranges of an item, and the one numbered t.
template <class Tiles> __device__ inline int steps_of(const Item &item)
{
    return (item.ranges[0].length + Tiles::COLUMNS - 1) / Tiles::COLUMNS +
           (item.ranges[1].length + Tiles::COLUMNS - 1) / Tiles::COLUMNS;
}

template <class Tiles> __device__ inline Step step_at(const Item &item, int t)
{
    int before = (item.ranges[0].length + Tiles::COLUMNS - 1) / Tiles::COLUMNS;
    return t < before ? Step{item.ranges[0], t * Tiles::COLUMNS}
                      : Step{item.ranges[1], (t - before) * Tiles::COLUMNS};
}

// How many keys of a tile the item's row i sees: none if less than 1, all if COLUMNS or more.
__device__ inline int step_visible(const Step &step, int i)
{
    return min(step.range.length, step.range.visible + step.range.grows * i) - step.key;
}

// Starts to copy rows [0, count) of `from`, WIDTH elements each, to a tile of ROWS rows; the rest
// of the tile becomes zero. copies_wait says when they are there.
template <class Tiles, int ROWS>
__device__ inline void tile_load(typename Tiles::Element *tile,
                                 const typename Tiles::Element *from, int count)
{
    constexpr int STEP = 16 / sizeof(typename Tiles::Element), STEPS = Tiles::WIDTH / STEP;
#pragma unroll 4
    for (int i = threadIdx.x; i < ROWS * STEPS; i += TILE_THREADS) {
        int row = i / STEPS, column = i % STEPS * STEP, bytes = row < count ? 16 : 0;
        const void *source = row < count ? from + row * Tiles::WIDTH + column : from;
        copy_start(tile + row * Tiles::STRIDE + column, source, bytes);
    }
}

// Over the lanes that hold a row.
template <class Tiles> __device__ inline float row_maximum(float x)
{
    for (int step = 1; step < Tiles::ROW_LANES; step *= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

template <class Tiles> __device__ inline float row_sum(float x)
{
    for (int step = 1; step < Tiles::ROW_LANES; step *= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

#endif
