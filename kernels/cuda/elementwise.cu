// elementwise.cu - rotary positions, SwiGLU, rows by index, additions.
//
// Formulas round as kernels.h writes them; only exp differs from the CPU's.

#include "kernels/cuda/cuda.h"

enum { THREADS = 256 };

// A block for each row and THREADS vectors of it.
static dim3 row_grid(int64_t rows, int64_t vectors)
{
    return dim3(static_cast<unsigned>(rows), static_cast<unsigned>(pieces_of(vectors, THREADS)));
}

// This thread's first element of a row that row_grid shares out.
template <int STEP> __device__ static int64_t column_at()
{
    return (static_cast<int64_t>(blockIdx.y) * THREADS + threadIdx.x) * STEP;
}

// ---- rotary positions ---------------------------------------------------------------------------

template <int STEP>
__global__ static void rotary_kernel(Tensor x, int32_t half_width, const float *table,
                                     const int32_t *positions, bool inverse)
{
    int64_t pair = column_at<STEP>(); // of the row's pairs of rotated elements
    if (pair >= x.width / 2)
        return;
    int64_t d = pair % half_width, head = pair / half_width;
    float *first = row_of(x, blockIdx.x) + head * 2 * half_width + d, *second = first + half_width;
    const float *angles = table + static_cast<int64_t>(positions[blockIdx.x]) * 2 * half_width + d;
    Vector<STEP> x1 = vector_load<STEP>(first), x2 = vector_load<STEP>(second);
    Vector<STEP> c = vector_load<STEP>(angles), s = vector_load<STEP>(angles + half_width);
#pragma unroll
    for (int i = 0; i < STEP; i++) {
        float sine = inverse ? -s.x[i] : s.x[i], a = x1.x[i], b = x2.x[i];
        x1.x[i] = fmaf(a, c.x[i], -(b * sine));
        x2.x[i] = fmaf(b, c.x[i], a * sine);
    }
    vector_store<STEP>(first, x1);
    vector_store<STEP>(second, x2);
}

void rotary_cuda(Queue *queue, Tensor x, int32_t head_width, const float *table,
                 const int32_t *positions, bool inverse)
{
    CHECK(head_width > 0 && head_width % 2 == 0 && x.width % head_width == 0,
          "rows of %ld for heads of %d", static_cast<long>(x.width), head_width);
    if (x.rows == 0 || x.width == 0)
        return;
    if (vectors_fit(x) && vectors_fit(table) && head_width % 8 == 0)
        LAUNCH(rotary_kernel<4>, row_grid(x.rows, x.width / 8), THREADS, 0, queue, x,
               head_width / 2, table, positions, inverse);
    else
        LAUNCH(rotary_kernel<1>, row_grid(x.rows, x.width / 2), THREADS, 0, queue, x,
               head_width / 2, table, positions, inverse);
}

// ---- SwiGLU -------------------------------------------------------------------------------------

template <int STEP>
__global__ static void swiglu_forward_kernel(Tensor out, Tensor gate, Tensor up)
{
    int64_t r = blockIdx.x, j = column_at<STEP>();
    if (j >= out.width)
        return;
    Vector<STEP> g = vector_load<STEP>(row_of(gate, r) + j);
    Vector<STEP> u = vector_load<STEP>(row_of(up, r) + j);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        g.x[i] = g.x[i] / (1.0f + expf(-g.x[i])) * u.x[i];
    vector_store<STEP>(row_of(out, r) + j, g);
}

static bool same_shape(Tensor a, Tensor b)
{
    return a.rows == b.rows && a.width == b.width;
}

void swiglu_forward_cuda(Queue *queue, Tensor out, Tensor gate, Tensor up)
{
    CHECK(same_shape(out, gate) && same_shape(out, up), "shapes of SwiGLU");
    if (out.rows == 0 || out.width == 0)
        return;
    if (vectors_fit(out) && vectors_fit(gate) && vectors_fit(up))
        LAUNCH(swiglu_forward_kernel<4>, row_grid(out.rows, out.width / 4), THREADS, 0, queue, out,
               gate, up);
    else
        LAUNCH(swiglu_forward_kernel<1>, row_grid(out.rows, out.width), THREADS, 0, queue, out,
               gate, up);
}

// The results may be the memory of the inputs: a thread writes where it alone has read.
template <int STEP>
__global__ static void swiglu_backward_kernel(Tensor dgate, Tensor dup, Tensor y, Tensor gate,
                                              Tensor up)
{
    int64_t r = blockIdx.x, j = column_at<STEP>();
    if (j >= y.width)
        return;
    Vector<STEP> g = vector_load<STEP>(row_of(gate, r) + j);
    Vector<STEP> u = vector_load<STEP>(row_of(up, r) + j);
    Vector<STEP> d = vector_load<STEP>(row_of(y, r) + j);
#pragma unroll
    for (int i = 0; i < STEP; i++) {
        float s = 1.0f / (1.0f + expf(-g.x[i])), gradient = d.x[i];
        d.x[i] = gradient * (g.x[i] * s);
        g.x[i] = (gradient * u.x[i]) * (s * fmaf(g.x[i], 1.0f - s, 1.0f));
    }
    vector_store<STEP>(row_of(dgate, r) + j, g);
    vector_store<STEP>(row_of(dup, r) + j, d);
}

void swiglu_backward_cuda(Queue *queue, Tensor dgate, Tensor dup, Tensor y, Tensor gate, Tensor up)
{
    CHECK(same_shape(y, gate) && same_shape(y, up) && same_shape(y, dgate) && same_shape(y, dup),
          "shapes of SwiGLU");
    if (y.rows == 0 || y.width == 0)
        return;
    bool vectors = vectors_fit(dgate) && vectors_fit(dup) && vectors_fit(y) && vectors_fit(gate) &&
                   vectors_fit(up);
    if (vectors)
        LAUNCH(swiglu_backward_kernel<4>, row_grid(y.rows, y.width / 4), THREADS, 0, queue, dgate,
               dup, y, gate, up);
    else
        LAUNCH(swiglu_backward_kernel<1>, row_grid(y.rows, y.width), THREADS, 0, queue, dgate, dup,
               y, gate, up);
}

// ---- rows by index ------------------------------------------------------------------------------

template <int STEP>
__global__ static void rows_gather_kernel(Tensor out, Tensor x, const int32_t *index)
{
    int64_t r = blockIdx.x, j = column_at<STEP>();
    if (j < out.width)
        vector_store<STEP>(row_of(out, r) + j, vector_load<STEP>(row_of(x, index[r]) + j));
}

void rows_gather_cuda(Queue *queue, Tensor out, Tensor x, const int32_t *index)
{
    CHECK(out.width == x.width, "rows of %ld from rows of %ld", static_cast<long>(out.width),
          static_cast<long>(x.width));
    if (out.rows == 0 || out.width == 0)
        return;
    if (vectors_fit(out) && vectors_fit(x))
        LAUNCH(rows_gather_kernel<4>, row_grid(out.rows, out.width / 4), THREADS, 0, queue, out, x,
               index);
    else
        LAUNCH(rows_gather_kernel<1>, row_grid(out.rows, out.width), THREADS, 0, queue, out, x,
               index);
}

// The block of the first row that names a target adds all rows that name it, in order; the blocks of
// the others end.
__global__ static void rows_scatter_kernel(Tensor x, Tensor y, const int32_t *index, int *faults)
{
    SHARED(int, found, [THREADS]);
    SHARED(int, counts, [THREADS / 32]);
    int64_t r = blockIdx.x;
    int32_t target = index[r];
    if (target < 0 || target >= x.rows) {
        if (threadIdx.x == 0)
            atomicMin(&faults[FAULT_TOKEN], static_cast<int>(r));
        return;
    }
    bool earlier = false;
    for (int64_t i = threadIdx.x; i < r; i += THREADS)
        earlier = earlier || index[i] == target;
    if (__syncthreads_or(earlier))
        return;
    int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    for (int64_t first = r; first < y.rows; first += THREADS) {
        int64_t i = first + threadIdx.x;
        bool mine = i < y.rows && index[i] == target;
        unsigned matches = __ballot_sync(0xffffffffu, mine);
        if (lane == 0)
            counts[warp] = __popc(matches);
        __syncthreads();
        int before = 0, total = 0;
        for (int w = 0; w < THREADS / 32; w++) {
            before += w < warp ? counts[w] : 0;
            total += counts[w];
        }
        if (mine)
            found[before + __popc(matches & ((1u << lane) - 1))] = static_cast<int>(threadIdx.x);
        __syncthreads();
        if (total == 0)
            continue;
        for (int64_t j = threadIdx.x; j < y.width; j += THREADS) {
            float sum = row_of(x, target)[j];
            for (int k = 0; k < total; k++)
                sum += row_of(y, first + found[k])[j];
            row_of(x, target)[j] = sum;
        }
    }
}

void rows_scatter_cuda(Queue *queue, Tensor x, Tensor y, const int32_t *index)
{
    CHECK(x.width == y.width, "rows of %ld to rows of %ld", static_cast<long>(y.width),
          static_cast<long>(x.width));
    if (y.rows == 0 || y.width == 0)
        return;
    LAUNCH(rows_scatter_kernel, static_cast<unsigned>(y.rows), THREADS, 0, queue, x, y, index,
           faults_cuda());
}

void embedding_backward_cuda(Queue *queue, Tensor gradient, Tensor y, const int32_t *tokens)
{
    rows_scatter_cuda(queue, gradient, y, tokens);
}

// ---- additions ----------------------------------------------------------------------------------

template <int STEP> __global__ static void add_kernel(float *out, const float *x, int64_t n)
{
    int64_t j = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * STEP;
    if (j + STEP > n) {
        for (; j < n; j++)
            out[j] += x[j];
        return;
    }
    Vector<STEP> a = vector_load<STEP>(out + j), b = vector_load<STEP>(x + j);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        a.x[i] += b.x[i];
    vector_store<STEP>(out + j, a);
}

void add_cuda(Queue *queue, float *out, const float *x, int64_t n)
{
    if (n <= 0)
        return;
    bool vectors = vectors_fit(out) && vectors_fit(x);
    unsigned blocks = static_cast<unsigned>(pieces_of(n, vectors ? 4 * THREADS : THREADS));
    if (vectors)
        LAUNCH(add_kernel<4>, blocks, THREADS, 0, queue, out, x, n);
    else
        LAUNCH(add_kernel<1>, blocks, THREADS, 0, queue, out, x, n);
}

template <int STEP> __global__ static void scale_kernel(float *x, float factor, int64_t n)
{
    int64_t j = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * STEP;
    if (j + STEP > n) {
        for (; j < n; j++)
            x[j] *= factor;
        return;
    }
    Vector<STEP> a = vector_load<STEP>(x + j);
#pragma unroll
    for (int i = 0; i < STEP; i++)
        a.x[i] *= factor;
    vector_store<STEP>(x + j, a);
}

void scale_cuda(Queue *queue, float *x, float factor, int64_t n)
{
    if (n <= 0)
        return;
    bool vectors = vectors_fit(x);
    unsigned blocks = static_cast<unsigned>(pieces_of(n, vectors ? 4 * THREADS : THREADS));
    if (vectors)
        LAUNCH(scale_kernel<4>, blocks, THREADS, 0, queue, x, factor, n);
    else
        LAUNCH(scale_kernel<1>, blocks, THREADS, 0, queue, x, factor, n);
}
