// optimiser.c - flat arrays: AdamW, the gradient's norm, conversions.

#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

enum {
    FLAT_BLOCK = 8192, // elements that a thread takes at a time
    DRAWN = 4 * LANES, // elements that are rounded by sixteen draws
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

// One set of lanes; `m` and `v` become the new moments.
static inline void adamw_part(float *w, Lanes *m, Lanes *v, const float *gradient,
                              const AdamWLanes *s, int64_t n)
{
    Lanes g = lanes_mul(lanes_load_tail(gradient, n), s->scale);
    *m = lanes_fma(s->beta1, *m, lanes_mul(s->rest1, g));
    *v = lanes_fma(s->beta2, *v, lanes_mul(lanes_mul(s->rest2, g), g));
    Lanes root = lanes_add(lanes_sqrt(lanes_div(*v, s->correction2)), s->epsilon);
    Lanes step = lanes_div(lanes_div(*m, s->correction1), root);
    Lanes kept = lanes_mul(lanes_load_tail(w, n), s->decay);
    lanes_store_tail(w, lanes_sub(kept, lanes_mul(s->learning_rate, step)), n);
}

static inline void adamw_part_f32(float *w, float *m, float *v, const float *gradient,
                                  const AdamWLanes *settings, int64_t n)
{
    Lanes first = lanes_load_tail(m, n), second = lanes_load_tail(v, n);
    adamw_part(w, &first, &second, gradient, settings, n);
    lanes_store_tail(m, first, n);
    lanes_store_tail(v, second, n);
}

static void adamw_block_f32(float *w, float *m, float *v, const float *gradient,
                            const AdamWLanes *settings, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        adamw_part_f32(w + j, m + j, v + j, gradient + j, settings, LANES);
    if (j < n)
        adamw_part_f32(w + j, m + j, v + j, gradient + j, settings, n - j);
}

// The words of sixteen draws, positions ascending from that of `at`: the outer loop vectorises.
static inline void draw_group(Philox at, uint32_t words[DRAWN])
{
    for (uint32_t i = 0; i < LANES; i++) {
        uint32_t a = at.counter[0], b = at.counter[1], c = at.counter[2], d = at.counter[3] + i;
#pragma GCC unroll 10
        for (uint32_t round = 0; round < 10; round++) {
            uint64_t low = (uint64_t)0xD2511F53u * a, high = (uint64_t)0xCD9E8D57u * c;
            a = (uint32_t)(high >> 32) ^ b ^ (at.key[0] + round * 0x9E3779B9u);
            c = (uint32_t)(low >> 32) ^ d ^ (at.key[1] + round * 0xBB67AE85u);
            b = (uint32_t)high;
            d = (uint32_t)low;
        }
        words[4 * i] = a;
        words[4 * i + 1] = b;
        words[4 * i + 2] = c;
        words[4 * i + 3] = d;
    }
}

// The upper half of x + r; a NaN stays one.
static inline uint16_t narrow_by(float x, uint32_t r)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((x != x ? bits | 0x00400000u : bits + r) >> 16);
}

static void adamw_group_bf16(float *w, uint16_t *m, uint16_t *v, const float *gradient,
                             const AdamWLanes *settings, Philox draws, int64_t n)
{
    float first[DRAWN], second[DRAWN];
    uint32_t words[DRAWN];
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t count = at_most(n - j, LANES);
        Lanes a = lanes_load_bf16_tail(m + j, count), b = lanes_load_bf16_tail(v + j, count);
        adamw_part(w + j, &a, &b, gradient + j, settings, count);
        lanes_store(first + j, a);
        lanes_store(second + j, b);
    }
    draw_group(draws, words);
    for (int64_t j = 0; j < n; j++) {
        m[j] = narrow_by(first[j], words[j] & 0xffffu);
        v[j] = narrow_by(second[j], words[j] >> 16);
    }
}

static void adamw_block(float *w, Moments moments, const float *gradient,
                        const AdamWLanes *settings, Philox draws, int64_t n)
{
    if (moments.type == TYPE_F32) {
        adamw_block_f32(w, moments.m, moments.v, gradient, settings, n);
        return;
    }
    uint16_t *m = moments.m, *v = moments.v;
    for (int64_t j = 0; j < n; j += DRAWN, draws.counter[3] += DRAWN / 4)
        adamw_group_bf16(w + j, m + j, v + j, gradient + j, settings, draws, at_most(n - j, DRAWN));
}

void CPU(adamw)(Queue *queue, float *w, Moments moments, const float *gradient, int64_t n,
                AdamW settings)
{
    (void)queue;
    AdamWLanes lanes = adamw_lanes(settings);
#pragma omp parallel for schedule(static) if (n >= PARALLEL_ELEMENTS)
    for (int64_t first = 0; first < n; first += FLAT_BLOCK) {
        Philox draws = settings.draws;
        draws.counter[3] += (uint32_t)(first / 4);
        adamw_block(w + first, moments_from(moments, first), gradient + first, &lanes, draws,
                    at_most(n - first, FLAT_BLOCK));
    }
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
