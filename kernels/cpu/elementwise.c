// elementwise.c - biases, rotary positions, swiglu, movement, addition and scaling of rows.

#include <omp.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

// Elements of a flat array that a thread takes at a time.
enum { FLAT_BLOCK = 8192 };

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

static inline void add_part(float *out, const float *x, int64_t n)
{
    lanes_store_tail(out, lanes_add(lanes_load_tail(out, n), lanes_load_tail(x, n)), n);
}

static void row_add(float *out, const float *x, int64_t width)
{
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        add_part(out + j, x + j, LANES);
    if (j < width)
        add_part(out + j, x + j, width - j);
}

void CPU(add)(Queue *queue, float *out, const float *x, int64_t n)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (n >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < n; first += FLAT_BLOCK)
        row_add(out + first, x + first, at_most(n - first, FLAT_BLOCK));
}

static void scale_part(float *x, Lanes factor, int64_t n)
{
    lanes_store_tail(x, lanes_mul(lanes_load_tail(x, n), factor), n);
}

void CPU(scale)(Queue *queue, float *x, float factor, int64_t n)
{
    (void)queue;
    Lanes f = lanes_set(factor);
#pragma omp parallel for schedule(static) if (n >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < n; first += LANES)
        scale_part(x + first, f, at_most(n - first, LANES));
}

void CPU(bias_forward)(Queue *queue, Tensor x, const float *bias)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (x.rows * x.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < x.rows; r++)
        row_add(row_of(x, r), bias, x.width);
}

// Sums over rows are chains in row order, so threads share the columns: one run of columns each,
// because the memory likes long runs.
static int64_t column_share(int64_t width)
{
    int64_t threads = omp_get_max_threads();
    int64_t groups = (width + LANES - 1) / LANES;
    return (groups + threads - 1) / threads * LANES;
}

void CPU(bias_backward)(Queue *queue, float *dbias, Tensor y)
{
    (void)queue;
    int64_t share = column_share(y.width);
#pragma omp parallel for schedule(static) if (y.rows * y.width >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < y.width; first += share) {
        for (int64_t r = 0; r < y.rows; r++)
            row_add(dbias + first, row_of(y, r) + first, at_most(y.width - first, share));
    }
}

// One head: the halves (x1, x2) turn by the angles whose cosines and sines are given.
static void head_rotate(float *x, const float *cosines, const float *sines, int64_t half,
                        bool inverse)
{
    for (int64_t j = 0; j < half; j += LANES) {
        int64_t n = at_most(half - j, LANES);
        Lanes x1 = lanes_load_tail(x + j, n), x2 = lanes_load_tail(x + half + j, n);
        Lanes c = lanes_load_tail(cosines + j, n), s = lanes_load_tail(sines + j, n);
        if (inverse)
            s = lanes_negate(s);
        lanes_store_tail(x + j, lanes_fma(x1, c, lanes_negate(lanes_mul(x2, s))), n);
        lanes_store_tail(x + half + j, lanes_fma(x2, c, lanes_mul(x1, s)), n);
    }
}

void CPU(rotary)(Queue *queue, Tensor x, int32_t head_width, const float *table,
                 const int32_t *positions, bool inverse)
{
    (void)queue;
    CHECK(head_width > 0 && head_width % 2 == 0 && x.width % head_width == 0,
          "heads of width %d in rows of %lld", head_width, (long long)x.width);
    int64_t half = head_width / 2;
#pragma omp parallel for schedule(static) if (x.rows * x.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < x.rows; r++) {
        const float *cosines = table + (int64_t)positions[r] * head_width;
        for (int64_t j = 0; j < x.width; j += head_width)
            head_rotate(row_of(x, r) + j, cosines, cosines + half, half, inverse);
    }
}

static Lanes silu_lanes(Lanes gate)
{
    return lanes_div(gate, lanes_add(lanes_set(1.0f), lanes_exp(lanes_negate(gate))));
}

static inline void swiglu_part(float *out, const float *gate, const float *up, int64_t n)
{
    Lanes a = silu_lanes(lanes_load_tail(gate, n));
    lanes_store_tail(out, lanes_mul(a, lanes_load_tail(up, n)), n);
}

static void row_swiglu(float *out, const float *gate, const float *up, int64_t width)
{
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        swiglu_part(out + j, gate + j, up + j, LANES);
    if (j < width)
        swiglu_part(out + j, gate + j, up + j, width - j);
}

void CPU(swiglu_forward)(Queue *queue, Tensor out, Tensor gate, Tensor up)
{
    (void)queue;
    CHECK(gate.rows == out.rows && gate.width == out.width && up.rows == out.rows &&
              up.width == out.width,
          "shapes of swiglu");
#pragma omp parallel for schedule(static) if (out.rows * out.width >= PARALLEL_ELEMENTS / 4)
    for (int64_t r = 0; r < out.rows; r++)
        row_swiglu(row_of(out, r), row_of(gate, r), row_of(up, r), out.width);
}

static inline void swiglu_part_backward(float *dgate, float *dup, const float *y, const float *gate,
                                        const float *up, int64_t n)
{
    const Lanes one = lanes_set(1.0f);
    Lanes g = lanes_load_tail(gate, n), u = lanes_load_tail(up, n), dout = lanes_load_tail(y, n);
    Lanes sigma = lanes_div(one, lanes_add(one, lanes_exp(lanes_negate(g))));
    Lanes slope = lanes_mul(sigma, lanes_fma(g, lanes_sub(one, sigma), one));
    lanes_store_tail(dgate, lanes_mul(lanes_mul(dout, u), slope), n);
    lanes_store_tail(dup, lanes_mul(dout, lanes_mul(g, sigma)), n);
}

static void row_swiglu_backward(float *dgate, float *dup, const float *y, const float *gate,
                                const float *up, int64_t width)
{
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        swiglu_part_backward(dgate + j, dup + j, y + j, gate + j, up + j, LANES);
    if (j < width)
        swiglu_part_backward(dgate + j, dup + j, y + j, gate + j, up + j, width - j);
}

void CPU(swiglu_backward)(Queue *queue, Tensor dgate, Tensor dup, Tensor y, Tensor gate, Tensor up)
{
    (void)queue;
    CHECK(dgate.rows == y.rows && dup.rows == y.rows && gate.rows == y.rows && up.rows == y.rows &&
              dgate.width == y.width && dup.width == y.width && gate.width == y.width &&
              up.width == y.width,
          "shapes of swiglu");
#pragma omp parallel for schedule(static) if (y.rows * y.width >= PARALLEL_ELEMENTS / 4)
    for (int64_t r = 0; r < y.rows; r++)
        row_swiglu_backward(row_of(dgate, r), row_of(dup, r), row_of(y, r), row_of(gate, r),
                            row_of(up, r), y.width);
}

void CPU(rows_gather)(Queue *queue, Tensor out, Tensor x, const int32_t *index)
{
    (void)queue;
    CHECK(out.width == x.width, "widths %lld and %lld", (long long)out.width, (long long)x.width);
#pragma omp parallel for schedule(static) if (out.rows * out.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < out.rows; r++)
        memcpy(row_of(out, r), row_of(x, index[r]), (size_t)x.width * sizeof(float));
}

// An index may occur more than once: threads share the columns, each takes the rows in order.
void CPU(rows_scatter)(Queue *queue, Tensor x, Tensor y, const int32_t *index)
{
    (void)queue;
    CHECK(y.width == x.width, "widths %lld and %lld", (long long)y.width, (long long)x.width);
    int64_t share = column_share(x.width);
#pragma omp parallel for schedule(static) if (y.rows * y.width >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < x.width; first += share) {
        for (int64_t r = 0; r < y.rows; r++)
            row_add(row_of(x, index[r]) + first, row_of(y, r) + first,
                    at_most(x.width - first, share));
    }
}
