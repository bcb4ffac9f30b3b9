// vocabulary.c - rows of logits: log-sum-exp, log-probabilities, entropy and their gradient.

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/mathematics.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

// Columns whose hits are counted at a time by target_backward.
enum { HIT_BLOCK = 2048 };

static inline Lanes divide_part(float *z, Lanes temperature, Lanes greatest, int64_t n)
{
    Lanes a = lanes_div(lanes_load_tail(z, n), temperature);
    lanes_store_tail(z, a, n);
    return lanes_max(greatest, n < LANES ? lanes_keep(a, n, -INFINITY) : a);
}

static inline Lanes maximum_part(const float *z, Lanes greatest, int64_t n)
{
    Lanes a = lanes_load_tail(z, n);
    return lanes_max(greatest, n < LANES ? lanes_keep(a, n, -INFINITY) : a);
}

// z /= temperature; returns the largest. (A division by 1 changes nothing and is left out.)
static float row_divide(float *z, float temperature, int64_t width)
{
    Lanes greatest = lanes_set(-INFINITY), t = lanes_set(temperature);
    int64_t whole = width / LANES * LANES;
    if (temperature == 1.0f) {
        for (int64_t j = 0; j < whole; j += LANES)
            greatest = maximum_part(z + j, greatest, LANES);
        if (whole < width)
            greatest = maximum_part(z + whole, greatest, width - whole);
        return lanes_maximum(greatest);
    }
    for (int64_t j = 0; j < whole; j += LANES)
        greatest = divide_part(z + j, t, greatest, LANES);
    if (whole < width)
        greatest = divide_part(z + whole, t, greatest, width - whole);
    return lanes_maximum(greatest);
}

static float row_exp_sum(const float *z, float greatest, int64_t width)
{
    Lanes sum = lanes_zero(), m = lanes_set(greatest);
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
        sum = lanes_add(sum, lanes_exp(lanes_sub(lanes_load(z + j), m)));
    if (j < width) {
        Lanes p = lanes_exp(lanes_sub(lanes_load_tail(z + j, width - j), m));
        sum = lanes_add(sum, lanes_keep(p, width - j, 0.0f));
    }
    return lanes_sum(sum);
}

void CPU(logsumexp)(Queue *queue, float *out, Tensor logits, float temperature)
{
    (void)queue;
    CHECK(temperature > 0.0f, "temperature %g", (double)temperature);
#pragma omp parallel for schedule(static) if (logits.rows * logits.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < logits.rows; r++) {
        float greatest = row_divide(row_of(logits, r), temperature, logits.width);
        float sum = row_exp_sum(row_of(logits, r), greatest, logits.width);
        // The largest element gives 1: less means that there was a NaN or an infinity.
        out[r] = sum >= 1.0f ? (float)((double)greatest + math_log((double)sum)) : NAN;
    }
}

void CPU(target_logprobs)(Queue *queue, float *out, Tensor z, const float *lse,
                          const Target *targets, int64_t count)
{
    (void)queue;
    for (int64_t i = 0; i < count; i++) {
        int32_t r = targets[i].row;
        out[i] = row_of(z, r)[targets[i].token] - lse[r];
    }
}

static float row_entropy(const float *z, float lse, int64_t width)
{
    Lanes sum = lanes_zero(), l = lanes_set(lse);
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES) {
        Lanes a = lanes_load(z + j);
        sum = lanes_fma(lanes_exp(lanes_sub(a, l)), a, sum);
    }
    if (j < width) {
        Lanes a = lanes_load_tail(z + j, width - j);
        Lanes p = lanes_keep(lanes_exp(lanes_sub(a, l)), width - j, 0.0f);
        sum = lanes_fma(p, a, sum);
    }
    return lse - lanes_sum(sum);
}

void CPU(entropy)(Queue *queue, float *out, Tensor z, const float *lse)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (z.rows * z.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < z.rows; r++)
        out[r] = row_entropy(row_of(z, r), lse[r], z.width);
}

// The first target of row r or of a later one, by bisection.
static int64_t first_target(const Target *targets, int64_t count, int64_t r)
{
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (targets[middle].row < r)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef struct {
    float lse, temperature;
    float coefficient; // C_r
    bool has_slope;
    float entropy, slope;
} RowGradient;

static inline void backward_part(float *z, const float *hits, Lanes lse, Lanes minus_c,
                                 Lanes temperature, int64_t n)
{
    Lanes p = lanes_exp(lanes_sub(lanes_load_tail(z, n), lse));
    Lanes hit = hits ? lanes_load_tail(hits, n) : lanes_zero();
    lanes_store_tail(z, lanes_div(lanes_fma(minus_c, p, hit), temperature), n);
}

static inline void entropy_part(float *z, const float *hits, const RowGradient *row, int64_t n)
{
    Lanes a = lanes_sub(lanes_load_tail(z, n), lanes_set(row->lse)), p = lanes_exp(a);
    Lanes hit = hits ? lanes_load_tail(hits, n) : lanes_zero();
    Lanes sum = lanes_fma(lanes_set(-row->coefficient), p, hit);
    Lanes pull = lanes_mul(lanes_set(-row->slope), p);
    sum = lanes_fma(pull, lanes_add(a, lanes_set(row->entropy)), sum);
    lanes_store_tail(z, lanes_div(sum, lanes_set(row->temperature)), n);
}

// `hits` [n]: the coefficients at each column; NULL: none of them is hit.
static void block_backward(float *z, const float *hits, RowGradient row, int64_t n)
{
    for (int64_t j = 0; row.has_slope && j < n; j += LANES)
        entropy_part(z + j, hits ? hits + j : NULL, &row, n - j < LANES ? n - j : LANES);
    if (row.has_slope)
        return;
    Lanes lse = lanes_set(row.lse), minus_c = lanes_set(-row.coefficient);
    Lanes temperature = lanes_set(row.temperature);
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        backward_part(z + j, hits ? hits + j : NULL, lse, minus_c, temperature, LANES);
    if (j < n)
        backward_part(z + j, hits ? hits + j : NULL, lse, minus_c, temperature, n - j);
}

// Adds the coefficients of targets in columns [first, first + n) to `hits`; false: there are none.
static bool count_hits(float *hits, const Target *targets, const float *coefficients, int64_t count,
                       int64_t first, int64_t n)
{
    bool any = false;
    for (int64_t i = 0; i < count; i++) {
        int64_t column = targets[i].token - first;
        if (column < 0 || column >= n)
            continue;
        if (!any)
            memset(hits, 0, (size_t)n * sizeof hits[0]);
        any = true;
        hits[column] += coefficients[i];
    }
    return any;
}

static void row_backward(float *z, RowGradient row, const Target *targets,
                         const float *coefficients, int64_t count, int64_t width)
{
    if (count == 0) {
        memset(z, 0, (size_t)width * sizeof z[0]);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        row.coefficient += coefficients[i];
    for (int64_t first = 0; first < width; first += HIT_BLOCK) {
        float hits[HIT_BLOCK];
        int64_t n = width - first < HIT_BLOCK ? width - first : HIT_BLOCK;
        bool any = count_hits(hits, targets, coefficients, count, first, n);
        block_backward(z + first, any ? hits : NULL, row, n);
    }
}

void CPU(target_backward)(Queue *queue, Tensor z, const float *lse, const float *entropy,
                          const float *slopes, const Target *targets, const float *coefficients,
                          int64_t count, float temperature)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (z.rows * z.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < z.rows; r++) {
        int64_t first = first_target(targets, count, r);
        int64_t end = first_target(targets, count, r + 1);
        RowGradient row = {.lse = lse[r],
                           .temperature = temperature,
                           .has_slope = slopes != NULL,
                           .entropy = slopes ? entropy[r] : 0,
                           .slope = slopes ? slopes[r] : 0};
        row_backward(row_of(z, r), row, targets + first, coefficients + first, end - first,
                     z.width);
    }
}

void CPU(penalise)(Queue *queue, Tensor logits, const int32_t *seen, const int64_t *offsets,
                   float penalty)
{
    (void)queue;
    for (int64_t r = 0; r < logits.rows; r++) {
        float *row = row_of(logits, r);
        for (int64_t i = offsets[r]; i < offsets[r + 1]; i++) {
            float *logit = &row[seen[i]];
            *logit = *logit > 0.0f ? *logit / penalty : *logit * penalty;
        }
    }
}
