// optimiser.c - flat arrays: AdamW, the gradient's norm, conversions.

#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

enum {
    FLAT_BLOCK = 8192, // elements that a thread takes at a time
    SUM_BLOCK = 2048,  // the contract's
    SUM_BLOCKS = 1024, // blocks between two additions in order
};

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

typedef struct {
    Lanes decay, learning_rate, beta1, rest1, beta2, rest2, epsilon, scale, correction1,
        correction2;
} AdamWLanes;

static AdamWLanes adamw_lanes(AdamW s)
{
    return (AdamWLanes){
        .decay = lanes_set(1.0f - s.learning_rate * s.weight_decay),
        .learning_rate = lanes_set(s.learning_rate),
        .beta1 = lanes_set(s.beta1),
        .rest1 = lanes_set(1.0f - s.beta1),
        .beta2 = lanes_set(s.beta2),
        .rest2 = lanes_set(1.0f - s.beta2),
        .epsilon = lanes_set(s.epsilon),
        .scale = lanes_set(s.gradient_scale),
        .correction1 = lanes_set(s.correction1),
        .correction2 = lanes_set(s.correction2),
    };
}

static inline void adamw_part(float *w, float *m, float *v, const float *gradient,
                              const AdamWLanes *s, int64_t n)
{
    Lanes g = lanes_mul(lanes_load_tail(gradient, n), s->scale);
    Lanes first = lanes_fma(s->beta1, lanes_load_tail(m, n), lanes_mul(s->rest1, g));
    Lanes second = lanes_fma(s->beta2, lanes_load_tail(v, n), lanes_mul(lanes_mul(s->rest2, g), g));
    Lanes root = lanes_add(lanes_sqrt(lanes_div(second, s->correction2)), s->epsilon);
    Lanes step = lanes_div(lanes_div(first, s->correction1), root);
    Lanes kept = lanes_mul(lanes_load_tail(w, n), s->decay);
    lanes_store_tail(w, lanes_sub(kept, lanes_mul(s->learning_rate, step)), n);
    lanes_store_tail(m, first, n);
    lanes_store_tail(v, second, n);
}

static void adamw_block(float *w, float *m, float *v, const float *gradient,
                        const AdamWLanes *settings, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        adamw_part(w + j, m + j, v + j, gradient + j, settings, LANES);
    if (j < n)
        adamw_part(w + j, m + j, v + j, gradient + j, settings, n - j);
}

void CPU(adamw)(Queue *queue, float *w, float *m, float *v, const float *gradient, int64_t n,
                AdamW settings)
{
    (void)queue;
    AdamWLanes lanes = adamw_lanes(settings);
#pragma omp parallel for schedule(static) if (n >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < n; first += FLAT_BLOCK)
        adamw_block(w + first, m + first, v + first, gradient + first, &lanes,
                    at_most(n - first, FLAT_BLOCK));
}

static float block_square_sum(const float *x, int64_t n)
{
    Lanes sum = lanes_zero();
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        Lanes a = lanes_load(x + j);
        sum = lanes_fma(a, a, sum);
    }
    if (j < n) {
        Lanes a = lanes_load_tail(x + j, n - j);
        sum = lanes_fma(a, a, sum);
    }
    return lanes_sum(sum);
}

void CPU(square_sum)(Queue *queue, double *out, const float *x, int64_t n)
{
    (void)queue;
    double total = 0.0;
    float sums[SUM_BLOCKS];
    int64_t blocks = (n + SUM_BLOCK - 1) / SUM_BLOCK;
    for (int64_t first = 0; first < blocks; first += SUM_BLOCKS) {
        int64_t count = at_most(blocks - first, SUM_BLOCKS);
#pragma omp parallel for schedule(static) if (count * SUM_BLOCK >= PARALLEL_ELEMENTS)
        for (int64_t b = 0; b < count; b++) {
            int64_t start = (first + b) * SUM_BLOCK;
            sums[b] = block_square_sum(x + start, at_most(n - start, SUM_BLOCK));
        }
        for (int64_t b = 0; b < count; b++)
            total += (double)sums[b];
    }
    *out = total;
}

void CPU(round_bf16)(Queue *queue, float *out, const float *x, int64_t n)
{
    (void)queue;
#pragma omp parallel for schedule(static) if (n >= PARALLEL_ELEMENTS)
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t count = at_most(n - j, LANES);
        lanes_store_tail(out + j, lanes_round_bf16(lanes_load_tail(x + j, count)), count);
    }
}

static void convert_block(void *out, ElementType type, Elements x, int64_t n)
{
    if (type == TYPE_F32) {
        for (int64_t j = 0; j < n; j += LANES) {
            int64_t count = at_most(n - j, LANES);
            lanes_store_tail((float *)out + j, lanes_load_elements(elements_from(x, j), count),
                             count);
        }
    } else {
        const float *from = x.data;
        uint16_t *to = out;
        int64_t j = 0;
        for (; j + LANES <= n; j += LANES)
            lanes_store_bf16(to + j, lanes_load(from + j));
        lanes_store_bf16_tail(to + j, lanes_load_tail(from + j, n - j), n - j);
    }
}

void CPU(convert)(Queue *queue, void *out, ElementType type, Elements x, int64_t n)
{
    if (type == x.type) {
        copy_cpu(queue, out, x.data, (size_t)n * type_bytes(type));
        return;
    }
#pragma omp parallel for schedule(static) if (n >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < n; first += FLAT_BLOCK)
        convert_block((char *)out + (size_t)first * type_bytes(type), type, elements_from(x, first),
                      at_most(n - first, FLAT_BLOCK));
}
