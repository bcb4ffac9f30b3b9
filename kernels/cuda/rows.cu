// rows.cu - sums over rows and over columns: RMSNorm with the residual addition, and biases.
//
// A block has a row, and holds it in registers between the two passes over it. Sums over rows, for
// gradients of weights and biases, go over ROWS_AT_ONCE rows first and then over these sums in
// order.

#include "kernels/cuda/cuda.h"

enum {
    HELD = 4, // vectors of a row that a thread keeps; those past them are read again
    MOST_THREADS = 512,
    ROWS_AT_ONCE = 32,
    COLUMN_THREADS = 128
};

// Threads for a row of `vectors` vectors, so that each holds HELD of them.
static unsigned row_threads(int64_t vectors)
{
    return static_cast<unsigned>(
        least(MOST_THREADS, rounded_up(most(1, pieces_of(vectors, HELD)), 32)));
}

__device__ static float scale_of(float square_sum, int64_t width, float epsilon)
{
    return 1.0f / sqrtf(square_sum / static_cast<float>(width) + epsilon);
}

// ---- forward ------------------------------------------------------------------------------------

template <int STEP>
__device__ static Vector<STEP> add_vector(float *x, const float *delta, float *square_sum)
{
    Vector<STEP> a = vector_load<STEP>(x);
    if (delta) {
        Vector<STEP> b = vector_load<STEP>(delta);
#pragma unroll
        for (int i = 0; i < STEP; i++)
            a.x[i] += b.x[i];
        vector_store<STEP>(x, a);
    }
#pragma unroll
    for (int i = 0; i < STEP; i++)
        *square_sum = fmaf(a.x[i], a.x[i], *square_sum);
    return a;
}

template <int STEP>
__device__ static void scale_vector(float *out, Vector<STEP> a, const float *weight, float scale)
{
    Vector<STEP> w = vector_load<STEP>(weight);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        a.x[i] = a.x[i] * scale * w.x[i];
    vector_store<STEP>(out, a);
}

// `out` may be the memory of `delta`: a thread writes where it alone has read.
template <int STEP>
__global__ static void residual_rmsnorm_forward_kernel(Tensor out, Tensor x, Tensor delta,
                                                       const float *weight, float epsilon)
{
    SHARED(float, places, [32]);
    int64_t r = blockIdx.x, step = static_cast<int64_t>(blockDim.x) * STEP;
    int64_t first = static_cast<int64_t>(threadIdx.x) * STEP;
    float *row = row_of(x, r), sum = 0.0f;
    const float *added = delta.data ? row_of(delta, r) : NULL;
    Vector<STEP> held[HELD];
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        int64_t j = first + i * step;
        if (j < x.width)
            held[i] = add_vector<STEP>(row + j, added ? added + j : NULL, &sum);
    }
    for (int64_t j = first + HELD * step; j < x.width; j += step)
        add_vector<STEP>(row + j, added ? added + j : NULL, &sum);
    if (!out.data)
        return;
    float scale = scale_of(block_sum(sum, places), x.width, epsilon);
    float *to = row_of(out, r);
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        int64_t j = first + i * step;
        if (j < x.width)
            scale_vector<STEP>(to + j, held[i], weight + j, scale);
    }
    for (int64_t j = first + HELD * step; j < x.width; j += step)
        scale_vector<STEP>(to + j, vector_load<STEP>(row + j), weight + j, scale);
}

void residual_rmsnorm_forward_cuda(Queue *queue, Tensor out, Tensor x, Tensor delta,
                                   const float *weight, float epsilon)
{
    CHECK(!out.data || (out.rows == x.rows && out.width == x.width), "shapes of a norm");
    CHECK(!delta.data || (delta.rows == x.rows && delta.width == x.width), "shapes of a norm");
    if (x.rows == 0 || x.width == 0)
        return;
    bool vectors = vectors_fit(x) && (!out.data || (vectors_fit(out) && vectors_fit(weight))) &&
                   (!delta.data || vectors_fit(delta));
    unsigned rows = static_cast<unsigned>(x.rows);
    unsigned threads = row_threads(vectors ? x.width / 4 : x.width);
    if (vectors)
        LAUNCH(residual_rmsnorm_forward_kernel<4>, rows, threads, 0, queue, out, x, delta, weight,
               epsilon);
    else
        LAUNCH(residual_rmsnorm_forward_kernel<1>, rows, threads, 0, queue, out, x, delta, weight,
               epsilon);
}

// ---- backward -----------------------------------------------------------------------------------

// One row's part of the gradient: x and g = y * weight.
template <int STEP> struct GradientVector {
    Vector<STEP> x, g;
};

template <int STEP>
__device__ static GradientVector<STEP> gradient_load(const float *x, const float *y,
                                                     const float *weight)
{
    GradientVector<STEP> v = {vector_load<STEP>(x), vector_load<STEP>(y)};
    Vector<STEP> w = vector_load<STEP>(weight);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        v.g.x[i] *= w.x[i];
    return v;
}

template <int STEP>
__device__ static void gradient_sums(const GradientVector<STEP> &v, float *squares, float *dot)
{
#pragma unroll
    for (int i = 0; i < STEP; i++) {
        *squares = fmaf(v.x.x[i], v.x.x[i], *squares);
        *dot = fmaf(v.g.x[i], v.x.x[i], *dot);
    }
}

template <int STEP>
__device__ static void gradient_add(float *dx, const GradientVector<STEP> &v, float scale, float c)
{
    Vector<STEP> to = vector_load<STEP>(dx);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        to.x[i] = fmaf(scale, fmaf(-v.x.x[i], c, v.g.x[i]), to.x[i]);
    vector_store<STEP>(dx, to);
}

template <int STEP>
__global__ static void rmsnorm_backward_kernel(Tensor dx, float *scales, Tensor y, Tensor x,
                                               const float *weight, float epsilon)
{
    SHARED(float, places, [2][32]);
    int64_t r = blockIdx.x, step = static_cast<int64_t>(blockDim.x) * STEP;
    int64_t first = static_cast<int64_t>(threadIdx.x) * STEP;
    const float *x_row = row_of(x, r), *y_row = row_of(y, r);
    float squares = 0.0f, dot = 0.0f, *to = row_of(dx, r);
    GradientVector<STEP> held[HELD];
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        int64_t j = first + i * step;
        if (j < x.width) {
            held[i] = gradient_load<STEP>(x_row + j, y_row + j, weight + j);
            gradient_sums<STEP>(held[i], &squares, &dot);
        }
    }
    for (int64_t j = first + HELD * step; j < x.width; j += step)
        gradient_sums<STEP>(gradient_load<STEP>(x_row + j, y_row + j, weight + j), &squares, &dot);
    float scale = scale_of(block_sum(squares, places[0]), x.width, epsilon);
    float c = block_sum(dot, places[1]) / static_cast<float>(x.width) * scale * scale;
    if (threadIdx.x == 0)
        scales[r] = scale;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        int64_t j = first + i * step;
        if (j < x.width)
            gradient_add<STEP>(to + j, held[i], scale, c);
    }
    for (int64_t j = first + HELD * step; j < x.width; j += step)
        gradient_add<STEP>(to + j, gradient_load<STEP>(x_row + j, y_row + j, weight + j), scale, c);
}

// ---- sums over rows -----------------------------------------------------------------------------

// partial [blocks of rows, width]: sums of y_rj (x_rj scale_r), or of y_rj where x.data is NULL.
__global__ static void columns_partial_kernel(float *partial, Tensor y, Tensor x,
                                              const float *scales)
{
    int64_t j = static_cast<int64_t>(blockIdx.x) * COLUMN_THREADS + threadIdx.x;
    int64_t first = static_cast<int64_t>(blockIdx.y) * ROWS_AT_ONCE;
    int64_t end = min(first + ROWS_AT_ONCE, y.rows);
    if (j >= y.width)
        return;
    float sum = 0.0f;
    if (x.data) {
#pragma unroll 8
        for (int64_t r = first; r < end; r++)
            sum = fmaf(row_of(y, r)[j], row_of(x, r)[j] * scales[r], sum);
    } else {
#pragma unroll 8
        for (int64_t r = first; r < end; r++)
            sum += row_of(y, r)[j];
    }
    partial[blockIdx.y * y.width + j] = sum;
}

__global__ static void columns_finish_kernel(float *to, const float *partial, int64_t blocks,
                                             int64_t width)
{
    int64_t j = static_cast<int64_t>(blockIdx.x) * COLUMN_THREADS + threadIdx.x;
    if (j >= width)
        return;
    float sum = to[j];
#pragma unroll 8
    for (int64_t b = 0; b < blocks; b++)
        sum += partial[b * width + j];
    to[j] = sum;
}

// to [width] += what columns_partial_kernel sums.
static void columns_add(Queue *queue, float *to, Tensor y, Tensor x, const float *scales)
{
    int64_t blocks = pieces_of(y.rows, ROWS_AT_ONCE);
    CHECK(blocks < 65536, "sums over %ld rows", static_cast<long>(y.rows));
    float *partial = static_cast<float *>(scratch_cuda(
        queue, SCRATCH_PARTIAL, static_cast<size_t>(blocks * y.width) * sizeof(float)));
    unsigned wide = static_cast<unsigned>(pieces_of(y.width, COLUMN_THREADS));
    LAUNCH(columns_partial_kernel, dim3(wide, static_cast<unsigned>(blocks)), COLUMN_THREADS, 0,
           queue, partial, y, x, scales);
    LAUNCH(columns_finish_kernel, wide, COLUMN_THREADS, 0, queue, to, partial, blocks, y.width);
}

void rmsnorm_backward_cuda(Queue *queue, Tensor dx, float *dweight, Tensor y, Tensor x,
                           const float *weight, float epsilon)
{
    CHECK(dx.rows == x.rows && dx.width == x.width && y.rows == x.rows && y.width == x.width,
          "shapes of a norm");
    if (x.rows == 0 || x.width == 0)
        return;
    float *scales = static_cast<float *>(scratch_cuda(
        queue, SCRATCH_ROWS, static_cast<size_t>(x.rows) * sizeof(float)));
    bool vectors = vectors_fit(x) && vectors_fit(y) && vectors_fit(dx) && vectors_fit(weight);
    unsigned rows = static_cast<unsigned>(x.rows);
    unsigned threads = row_threads(vectors ? x.width / 4 : x.width);
    if (vectors)
        LAUNCH(rmsnorm_backward_kernel<4>, rows, threads, 0, queue, dx, scales, y, x, weight,
               epsilon);
    else
        LAUNCH(rmsnorm_backward_kernel<1>, rows, threads, 0, queue, dx, scales, y, x, weight,
               epsilon);
    if (dweight)
        columns_add(queue, dweight, y, x, scales);
}

// ---- biases -------------------------------------------------------------------------------------

__global__ static void bias_forward_kernel(Tensor x, const float *bias)
{
    float *row = row_of(x, blockIdx.x);
    for (int64_t j = threadIdx.x; j < x.width; j += blockDim.x)
        row[j] += bias[j];
}

void bias_forward_cuda(Queue *queue, Tensor x, const float *bias)
{
    if (x.rows == 0 || x.width == 0)
        return;
    LAUNCH(bias_forward_kernel, static_cast<unsigned>(x.rows), row_threads(x.width), 0, queue, x,
           bias);
}

void bias_backward_cuda(Queue *queue, float *dbias, Tensor y)
{
    if (y.rows == 0 || y.width == 0)
        return;
    Tensor none = {};
    columns_add(queue, dbias, y, none, NULL);
}
