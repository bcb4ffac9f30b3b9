// test_optimiser.c - AdamW, sums of squares, rounding to bf16.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "tests/kernels/arrays.h"

// ---- AdamW --------------------------------------------------------------------------------------

typedef struct {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
} Hyper;

// torch/optim/adamw.py, _single_tensor_adamw, transcribed for one number.
static void torch_adamw(double *w, double *m, double *v, double gradient, int step, Hyper h)
{
    *w *= 1 - h.learning_rate * h.weight_decay;
    *m += (gradient - *m) * (1 - h.beta1); // lerp_
    *v = *v * h.beta2 + (1 - h.beta2) * gradient * gradient;
    double correction1 = 1 - pow(h.beta1, step), correction2 = 1 - pow(h.beta2, step);
    double step_size = h.learning_rate / correction1;
    double denominator = sqrt(*v) / sqrt(correction2) + h.epsilon;
    *w -= step_size * *m / denominator;
}

// The gradient of step t: half of `gradient`, so that gradient_scale has something to do.
static void five_steps(const Kernels *kernels, float *w, float *m, float *v, int64_t n, Hyper h)
{
    for (int t = 1; t <= 5; t++) {
        float *gradient = random_array(n, (uint64_t)(100 + t));
        AdamW settings = {.learning_rate = (float)h.learning_rate,
                          .beta1 = (float)h.beta1,
                          .beta2 = (float)h.beta2,
                          .epsilon = (float)h.epsilon,
                          .weight_decay = (float)h.weight_decay,
                          .gradient_scale = 0.5f,
                          .correction1 = (float)(1 - pow((double)(float)h.beta1, t)),
                          .correction2 = (float)(1 - pow((double)(float)h.beta2, t))};
        kernels->adamw(NULL, w, m, v, gradient, n, settings);
        release(gradient);
    }
}

static void check_against_torch(const float *w, int64_t n, Hyper h)
{
    float *start = random_array(n, 1), *gradients[5];
    double moved = 0;
    for (int t = 0; t < 5; t++)
        gradients[t] = random_array(n, (uint64_t)(101 + t));
    for (int64_t j = 0; j < n; j++) {
        double wanted = (double)start[j], m = 0, v = 0;
        for (int t = 0; t < 5; t++)
            torch_adamw(&wanted, &m, &v, 0.5 * (double)gradients[t][j], t + 1, h);
        assert_true(fabs((double)w[j] - wanted) < 5e-7);
        moved += fabs(wanted - (double)start[j]) / (double)n;
    }
    assert_true(moved > 1e-4);
    for (int t = 0; t < 5; t++)
        release(gradients[t]);
    release(start);
}

static void five_steps_of_adamw_are_pytorchs(void **state)
{
    (void)state;
    const Hyper h = {1e-3, 0.9, 0.999, 1e-8, 0.1};
    const int64_t sizes[] = {1, 16, 33, 100001};
    for (int i = 0; i < 4; i++) {
        int64_t n = sizes[i];
        float *first = NULL;
        for (int k = 0; k < ISA_COUNT * 2; k++) {
            const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / 2]);
            if (!kernels)
                continue;
            omp_set_num_threads(1 + k % 2);
            float *w = random_array(n, 1), *m = allocate((size_t)n, 4), *v = allocate((size_t)n, 4);
            five_steps(kernels, w, m, v, n, h);
            if (!first) {
                check_against_torch(w, n, h);
                first = w;
            } else {
                assert_int_equal(first_difference(w, first, n), -1);
                release(w);
            }
            release(m), release(v);
        }
        release(first);
    }
}

// The contract's own order of operations, bit for bit.
static void adamw_rounds_as_the_contract_says(void **state)
{
    (void)state;
    const AdamW s = {.learning_rate = 0.01f,
                     .beta1 = 0.9f,
                     .beta2 = 0.95f,
                     .epsilon = 1e-6f,
                     .weight_decay = 0.3f,
                     .gradient_scale = 0.7f,
                     .correction1 = 0.271f,
                     .correction2 = 0.142625f};
    enum { N = 1000 };
    float *w = random_array(N, 1), *m = random_array(N, 2), *v = random_array(N, 3);
    float *gradient = random_array(N, 4), *wanted = allocate(N, sizeof *wanted);
    for (int j = 0; j < N; j++) {
        v[j] *= v[j];
        volatile float g = gradient[j] * s.gradient_scale;
        volatile float a = (1 - s.beta1) * g, b = (1 - s.beta2) * g;
        volatile float bg = b * g;
        float first = fmaf(s.beta1, m[j], a), second = fmaf(s.beta2, v[j], bg);
        volatile float quotient = second / s.correction2, numerator = first / s.correction1;
        volatile float root = sqrtf(quotient);
        volatile float denominator = root + s.epsilon;
        volatile float step = numerator / denominator, decay = s.learning_rate * s.weight_decay;
        volatile float moved = s.learning_rate * step, left = 1 - decay;
        volatile float kept = w[j] * left;
        wanted[j] = kept - moved;
    }
    kernels_cpu()->adamw(NULL, w, m, v, gradient, N, s);
    assert_int_equal(first_difference(w, wanted, N), -1);
    release(w), release(m), release(v), release(gradient), release(wanted);
}

// ---- sums of squares ----------------------------------------------------------------------------

static float lane_sum_of_squares(const float *x, int64_t n)
{
    float lane[16] = {0};
    for (int64_t j = 0; j < n; j++)
        lane[j % 16] = fmaf(x[j], x[j], lane[j % 16]);
    for (int step = 8; step >= 1; step /= 2) {
        for (int i = 0; i < step; i++)
            lane[i] += lane[i + step];
    }
    return lane[0];
}

static void sums_of_squares_run_in_blocks_in_order(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 15, 2048, 2049, 5000, 2048 * 1024 + 77};
    for (int i = 0; i < 7; i++) {
        float *x = random_array(sizes[i] + 1, 5);
        double wanted = 0, exact = 0;
        for (int64_t j = 0; j < sizes[i]; j += 2048)
            wanted += (double)lane_sum_of_squares(x + j, sizes[i] - j < 2048 ? sizes[i] - j : 2048);
        for (int64_t j = 0; j < sizes[i]; j++)
            exact += (double)x[j] * (double)x[j];
        assert_true(fabs(wanted - exact) <= 1e-5 * exact);
        for (int k = 0; k < ISA_COUNT * 2; k++) {
            const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / 2]);
            omp_set_num_threads(1 + k % 2);
            double sum = -1;
            if (kernels)
                kernels->square_sum(NULL, &sum, x, sizes[i]);
            assert_true(!kernels || sum == wanted);
        }
        release(x);
    }
}

// ---- bf16 ---------------------------------------------------------------------------------------

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Nearest bf16 by looking at both neighbours in double.
static uint32_t nearest_bf16(float x)
{
    uint32_t bits = bits_of(x), low = bits & 0xffff0000u, high = low + 0x10000u;
    if (x != x)
        return low | 0x00400000u;
    if (isinf(x))
        return bits;
    // Past the largest bf16 comes what would be 2^128.
    double below = fabs((double)from_bits(low));
    double above = (high & 0x7f800000u) == 0x7f800000u ? 0x1p128 : fabs((double)from_bits(high));
    double distance = fabs((double)x) - below, other = above - fabs((double)x);
    bool up = distance > other || (distance == other && (low & 0x10000u));
    return up ? high : low;
}

static void every_kind_of_number_rounds_to_the_nearest_bf16(void **state)
{
    (void)state;
    // All upper halves, with lower halves on, beside and between the ties.
    const uint32_t lows[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { COUNT = 65536 * 6 };
    float *x = allocate(COUNT + 1, sizeof *x), *out = allocate(COUNT + 1, sizeof *out);
    uint16_t *narrow = allocate(COUNT + 1, sizeof *narrow);
    for (uint32_t i = 0; i < COUNT; i++)
        x[i] = from_bits((i / 6) << 16 | lows[i % 6]);
    for (int k = 0; k < ISA_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k]);
        if (!kernels)
            continue;
        out[COUNT] = SENTINEL;
        kernels->round_bf16(NULL, out, x, COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(bits_of(out[i]), nearest_bf16(x[i]));
        assert_true(out[COUNT] == SENTINEL);
        kernels->round_bf16(NULL, out, x + 6 * 0x3f80, 13); // a tail
        assert_int_equal(bits_of(out[12]), 0x3f820000);
        assert_int_equal(bits_of(out[13]), nearest_bf16(x[13]));

        narrow[COUNT] = 0x1234;
        kernels->convert(NULL, narrow, TYPE_BF16, elements_f32(x), COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(narrow[i], nearest_bf16(x[i]) >> 16);
        assert_int_equal(narrow[COUNT], 0x1234);
        kernels->convert(NULL, narrow, TYPE_BF16, elements_f32(x + 6 * 0x3f80), 13);
        assert_int_equal(narrow[12], 0x3f82);
        assert_int_equal(narrow[13], nearest_bf16(x[13]) >> 16);

        out[1003] = SENTINEL;
        kernels->convert(NULL, out, TYPE_F32, (Elements){narrow + 1, TYPE_BF16}, 1003);
        for (uint32_t i = 0; i < 1003; i++)
            assert_int_equal(bits_of(out[i]), (uint32_t)narrow[i + 1] << 16);
        assert_true(out[1003] == SENTINEL);
        kernels->convert(NULL, out, TYPE_F32, elements_f32(x + 3), COUNT - 3);
        assert_memory_equal(out, x + 3, (COUNT - 3) * sizeof *x);
    }
    release(x), release(out), release(narrow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_steps_of_adamw_are_pytorchs),
        cmocka_unit_test(adamw_rounds_as_the_contract_says),
        cmocka_unit_test(sums_of_squares_run_in_blocks_in_order),
        cmocka_unit_test(every_kind_of_number_rounds_to_the_nearest_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
