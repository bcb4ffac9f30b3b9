// norm.c - RMSNorm with the residual addition before it, forward and backward.

#include <math.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

// Rows that the backward pass takes at a time: small enough to be in cache when the weight's
// gradient reads them again, large enough for the two barriers not to count.
enum { ROW_BLOCK = 256, COLUMN_BLOCK = 4 * LANES };

static float scale_of(float square_sum, int64_t width, float epsilon)
{
    return 1.0f / sqrtf(square_sum / (float)width + epsilon);
}

static inline Lanes add_square(float *x, const float *delta, Lanes sum, int64_t n)
{
    Lanes a = lanes_load_tail(x, n);
    if (delta) {
        a = lanes_add(a, lanes_load_tail(delta, n));
        lanes_store_tail(x, a, n);
    }
    return lanes_fma(a, a, sum);
}

// x += delta where there is one; returns the lane sum of x^2.
static float row_add_square(float *x, const float *delta, int64_t width)
{
    Lanes sum = lanes_zero();
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        sum = add_square(x + j, delta ? delta + j : NULL, sum, LANES);
    if (j < width)
        sum = add_square(x + j, delta ? delta + j : NULL, sum, width - j);
    return lanes_sum(sum);
}

static inline void scale_part(float *out, const float *x, const float *weight, Lanes scale,
                              int64_t n)
{
    Lanes a = lanes_mul(lanes_load_tail(x, n), scale);
    lanes_store_tail(out, lanes_mul(a, lanes_load_tail(weight, n)), n);
}

static void row_scale(float *out, const float *x, const float *weight, float scale, int64_t width)
{
    Lanes s = lanes_set(scale);
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        scale_part(out + j, x + j, weight + j, s, LANES);
    if (j < width)
        scale_part(out + j, x + j, weight + j, s, width - j);
}

void CPU(residual_rmsnorm_forward)(Queue *queue, Tensor out, Tensor x, Tensor delta,
                                   const float *weight, float epsilon)
{
    (void)queue;
    CHECK(!out.data || (out.rows == x.rows && out.width == x.width), "shapes of a norm");
    CHECK(!delta.data || (delta.rows == x.rows && delta.width == x.width), "shapes of a norm");
#pragma omp parallel for schedule(static) if (x.rows * x.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < x.rows; r++) {
        const float *added = delta.data ? row_of(delta, r) : NULL;
        float square_sum = row_add_square(row_of(x, r), added, x.width);
        if (out.data)
            row_scale(row_of(out, r), row_of(x, r), weight, scale_of(square_sum, x.width, epsilon),
                      x.width);
    }
}

typedef struct {
    Lanes squares, products;
} RowSums;

static inline RowSums sums_part(RowSums sums, const float *y, const float *x, const float *weight,
                                int64_t n)
{
    Lanes a = lanes_load_tail(x, n);
    Lanes g = lanes_mul(lanes_load_tail(y, n), lanes_load_tail(weight, n));
    return (RowSums){.squares = lanes_fma(a, a, sums.squares),
                     .products = lanes_fma(g, a, sums.products)};
}

static inline void gradient_part(float *dx, const float *y, const float *x, const float *weight,
                                 Lanes scale, Lanes minus_c, int64_t n)
{
    Lanes g = lanes_mul(lanes_load_tail(y, n), lanes_load_tail(weight, n));
    g = lanes_fma(lanes_load_tail(x, n), minus_c, g);
    lanes_store_tail(dx, lanes_fma(scale, g, lanes_load_tail(dx, n)), n);
}

// Adds one row's gradient to dx and returns the row's scale.
static float row_backward(float *dx, const float *y, const float *x, const float *weight,
                          int64_t width, float epsilon)
{
    RowSums sums = {lanes_zero(), lanes_zero()};
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        sums = sums_part(sums, y + j, x + j, weight + j, LANES);
    if (j < width)
        sums = sums_part(sums, y + j, x + j, weight + j, width - j);
    float scale = scale_of(lanes_sum(sums.squares), width, epsilon);
    float c = lanes_sum(sums.products) / (float)width * scale * scale;
    Lanes s = lanes_set(scale), minus_c = lanes_set(-c);
    for (j = 0; j + LANES <= width; j += LANES)
        gradient_part(dx + j, y + j, x + j, weight + j, s, minus_c, LANES);
    if (j < width)
        gradient_part(dx + j, y + j, x + j, weight + j, s, minus_c, width - j);
    return scale;
}

// dweight of n <= 16 columns from `first` on: a chain over the rows.
static void columns_backward(float *dweight, Tensor y, Tensor x, const float *scale, int64_t first,
                             int64_t n)
{
    Lanes sum = lanes_load_tail(dweight + first, n);
    for (int64_t r = 0; r < x.rows; r++) {
        Lanes a = lanes_mul(lanes_load_tail(row_of(x, r) + first, n), lanes_set(scale[r]));
        sum = lanes_fma(lanes_load_tail(row_of(y, r) + first, n), a, sum);
    }
    lanes_store_tail(dweight + first, sum, n);
}

// The same of 64 columns at once, so that a row gives whole cache lines and four chains run.
static void column_block_backward(float *dweight, Tensor y, Tensor x, const float *scale,
                                  int64_t first)
{
    Lanes sum[COLUMN_BLOCK / LANES];
    for (int i = 0; i < COLUMN_BLOCK / LANES; i++)
        sum[i] = lanes_load(dweight + first + i * LANES);
    for (int64_t r = 0; r < x.rows; r++) {
        const float *a = row_of(x, r) + first, *b = row_of(y, r) + first;
        Lanes s = lanes_set(scale[r]);
        for (int i = 0; i < COLUMN_BLOCK / LANES; i++)
            sum[i] = lanes_fma(lanes_load(b + i * LANES), lanes_mul(lanes_load(a + i * LANES), s),
                               sum[i]);
    }
    for (int i = 0; i < COLUMN_BLOCK / LANES; i++)
        lanes_store(dweight + first + i * LANES, sum[i]);
}

void CPU(rmsnorm_backward)(Queue *queue, Tensor dx, float *dweight, Tensor y, Tensor x,
                           const float *weight, float epsilon)
{
    (void)queue;
    CHECK(dx.rows == x.rows && dx.width == x.width && y.rows == x.rows && y.width == x.width,
          "shapes of a norm");
    float scale[ROW_BLOCK];
#pragma omp parallel if (x.rows * x.width >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < x.rows; first += ROW_BLOCK) {
        int64_t rows = x.rows - first < ROW_BLOCK ? x.rows - first : ROW_BLOCK;
        Tensor x_block = tensor_rows(x, first, rows), y_block = tensor_rows(y, first, rows);
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++)
            scale[r] = row_backward(row_of(dx, first + r), row_of(y_block, r), row_of(x_block, r),
                                    weight, x.width, epsilon);
#pragma omp for schedule(static)
        for (int64_t j = 0; j < (dweight ? x.width : 0); j += COLUMN_BLOCK) {
            if (j + COLUMN_BLOCK <= x.width) {
                column_block_backward(dweight, y_block, x_block, scale, j);
                continue;
            }
            for (int64_t k = j; k < x.width; k += LANES)
                columns_backward(dweight, y_block, x_block, scale, k,
                                 x.width - k < LANES ? x.width - k : LANES);
        }
    }
}
