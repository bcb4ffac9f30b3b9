// matrix.cu - weight matrices, embedding rows out of them, and conversions for products.

#include "kernels/cuda/cuda.h"

enum { THREADS = 256, PACK_MULTIPLE = 32, STEP = 8 }; // STEP elements of a row for a thread

// A block for each row and THREADS * STEP columns of `width`, which is a multiple of STEP.
static dim3 row_grid(int64_t rows, int64_t width)
{
    return dim3(static_cast<unsigned>(rows),
                static_cast<unsigned>(pieces_of(width, THREADS * STEP)));
}

// Elements [first, first + STEP) of a row of `width`; past its end 0.
template <bool VECTORS>
__device__ static void step_load(float (&to)[STEP], const float *row, int64_t first, int64_t width)
{
    if (VECTORS && first + STEP <= width) {
        float4 a = *reinterpret_cast<const float4 *>(row + first);
        float4 b = *reinterpret_cast<const float4 *>(row + first + 4);
        to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
        to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < STEP; i++)
        to[i] = first + i < width ? row[first + i] : 0.0f;
}

// The same of bf16, widened.
template <bool VECTORS>
__device__ static void step_load(float (&to)[STEP], const uint16_t *row, int64_t first,
                                 int64_t width)
{
    if (VECTORS && first + STEP <= width) {
        uint4 a = *reinterpret_cast<const uint4 *>(row + first);
        const uint32_t pairs[] = {a.x, a.y, a.z, a.w};
#pragma unroll
        for (int i = 0; i < STEP; i++)
            to[i] = bf16_widen(static_cast<uint16_t>(pairs[i / 2] >> 16 * (i % 2)));
        return;
    }
#pragma unroll
    for (int i = 0; i < STEP; i++)
        to[i] = first + i < width ? bf16_widen(row[first + i]) : 0.0f;
}

__device__ static void step_store(float *to, const float (&from)[STEP])
{
    *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
    *reinterpret_cast<float4 *>(to + 4) = make_float4(from[4], from[5], from[6], from[7]);
}

__device__ static uint32_t pair_of(uint16_t low, uint16_t high)
{
    return low | static_cast<uint32_t>(high) << 16;
}

__device__ static void step_store(uint16_t *to, const uint16_t (&from)[STEP])
{
    *reinterpret_cast<uint4 *>(to) =
        make_uint4(pair_of(from[0], from[1]), pair_of(from[2], from[3]), pair_of(from[4], from[5]),
                   pair_of(from[6], from[7]));
}

// ---- packing ------------------------------------------------------------------------------------

template <bool VECTORS, typename Source>
__global__ static void matrix_pack_kernel(Matrix w, int64_t first, const Source *source)
{
    int64_t padded = (w.width + STEP - 1) / STEP * STEP, r = blockIdx.x;
    int64_t column = (static_cast<int64_t>(blockIdx.y) * THREADS + threadIdx.x) * STEP;
    if (column >= padded)
        return;
    float x[STEP];
    step_load<VECTORS>(x, source + r * w.width, column, w.width);
    int64_t place = (first + r) * padded + column;
    if (w.type == TYPE_F32) {
        step_store(static_cast<float *>(w.packed) + place, x);
        return;
    }
    uint16_t rounded[STEP];
#pragma unroll
    for (int i = 0; i < STEP; i++)
        rounded[i] = bf16_narrow(x[i]);
    step_store(static_cast<uint16_t *>(w.packed) + place, rounded);
}

// Vectors hold eight elements of bf16 and four of fp32.
template <typename Source>
static void pack(Queue *queue, Matrix w, int64_t first, const Source *source, int64_t rows)
{
    dim3 grid = row_grid(rows, packed_width(w.width));
    if (reinterpret_cast<uintptr_t>(source) % 16 == 0 &&
        w.width % static_cast<int64_t>(16 / sizeof *source) == 0)
        LAUNCH((matrix_pack_kernel<true, Source>), grid, THREADS, 0, queue, w, first, source);
    else
        LAUNCH((matrix_pack_kernel<false, Source>), grid, THREADS, 0, queue, w, first, source);
}

void matrix_pack_cuda(Queue *queue, Matrix w, int64_t first, Elements source, int64_t rows)
{
    CHECK(first >= 0 && rows >= 0 && first + rows <= w.rows && first % PACK_MULTIPLE == 0,
          "rows %ld + %ld of %ld", static_cast<long>(first), static_cast<long>(rows),
          static_cast<long>(w.rows));
    if (rows == 0 || w.width == 0)
        return;
    if (source.type == TYPE_BF16)
        pack(queue, w, first, static_cast<const uint16_t *>(source.data), rows);
    else
        pack(queue, w, first, static_cast<const float *>(source.data), rows);
}

__global__ static void embedding_forward_kernel(Tensor out, Matrix w, const int32_t *tokens,
                                                int *faults)
{
    int64_t r = blockIdx.x, token = tokens[r], padded = (w.width + STEP - 1) / STEP * STEP;
    if (token < 0 || token >= w.rows) {
        if (threadIdx.x == 0)
            atomicMin(&faults[FAULT_TOKEN], static_cast<int>(r));
        return;
    }
    const uint16_t *halves = static_cast<const uint16_t *>(w.packed) + token * padded;
    const float *wholes = static_cast<const float *>(w.packed) + token * padded;
    float *to = row_of(out, r);
    for (int64_t j = threadIdx.x; j < w.width; j += THREADS)
        to[j] = w.type == TYPE_BF16 ? bf16_widen(halves[j]) : wholes[j];
}

void embedding_forward_cuda(Queue *queue, Tensor out, Matrix w, const int32_t *tokens)
{
    CHECK(out.width == w.width, "width %ld of an embedding of %ld", static_cast<long>(out.width),
          static_cast<long>(w.width));
    if (out.rows == 0)
        return;
    LAUNCH(embedding_forward_kernel, static_cast<unsigned>(out.rows), THREADS, 0, queue, out, w,
           tokens, faults_cuda());
}

// ---- conversions --------------------------------------------------------------------------------

template <bool VECTORS> __global__ static void round_rows_kernel(__nv_bfloat16 *to, Tensor x)
{
    int64_t padded = (x.width + STEP - 1) / STEP * STEP, r = blockIdx.x;
    int64_t column = (static_cast<int64_t>(blockIdx.y) * THREADS + threadIdx.x) * STEP;
    if (column >= padded)
        return;
    float values[STEP];
    step_load<VECTORS>(values, row_of(x, r), column, x.width);
    uint16_t rounded[STEP];
#pragma unroll
    for (int i = 0; i < STEP; i++)
        rounded[i] = __bfloat16_as_ushort(__float2bfloat16_rn(values[i]));
    step_store(reinterpret_cast<uint16_t *>(to) + r * padded + column, rounded);
}

void round_rows_cuda(Queue *queue, __nv_bfloat16 *to, Tensor x)
{
    dim3 grid = row_grid(x.rows, packed_width(x.width));
    if (vectors_fit(x))
        LAUNCH(round_rows_kernel<true>, grid, THREADS, 0, queue, to, x);
    else
        LAUNCH(round_rows_kernel<false>, grid, THREADS, 0, queue, to, x);
}

template <bool VECTORS, bool RIGHT>
__global__ static void split_kernel(__nv_bfloat16 *to, Tensor x)
{
    int64_t padded = (x.width + STEP - 1) / STEP * STEP, r = blockIdx.x;
    int64_t column = (static_cast<int64_t>(blockIdx.y) * THREADS + threadIdx.x) * STEP;
    if (column >= padded)
        return;
    float values[STEP];
    step_load<VECTORS>(values, row_of(x, r), column, x.width);
    uint16_t high[STEP], low[STEP];
#pragma unroll
    for (int i = 0; i < STEP; i++) {
        __nv_bfloat16 rounded = __float2bfloat16_rn(values[i]);
        high[i] = __bfloat16_as_ushort(rounded);
        low[i] = __bfloat16_as_ushort(__float2bfloat16_rn(values[i] - __bfloat162float(rounded)));
    }
    uint16_t *place = reinterpret_cast<uint16_t *>(to) + r * padded + column;
    int64_t part = x.rows * padded;
    step_store(place, high);
    step_store(place + part, RIGHT ? low : high);
    step_store(place + 2 * part, RIGHT ? high : low);
}

template <bool RIGHT> static void split_launch(Queue *queue, __nv_bfloat16 *to, Tensor x)
{
    dim3 grid = row_grid(x.rows, packed_width(x.width));
    if (vectors_fit(x))
        LAUNCH((split_kernel<true, RIGHT>), grid, THREADS, 0, queue, to, x);
    else
        LAUNCH((split_kernel<false, RIGHT>), grid, THREADS, 0, queue, to, x);
}

void split_cuda(Queue *queue, __nv_bfloat16 *to, Tensor x, bool right)
{
    if (right)
        split_launch<true>(queue, to, x);
    else
        split_launch<false>(queue, to, x);
}
