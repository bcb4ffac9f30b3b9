// test_adamw.c - AdamW against PyTorch's and the contract, with moments in fp32 and in bf16.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "tests/kernels/arrays.h"

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
static void five_steps(const Kernels *kernels, float *w, Moments moments, int64_t n, Hyper h)
{
    for (int t = 1; t <= 5; t++) {
        float *gradient = random_array(n, 100 + (uint64_t)t);
        AdamW settings = {.learning_rate = (float)h.learning_rate,
                          .beta1 = (float)h.beta1,
                          .beta2 = (float)h.beta2,
                          .epsilon = (float)h.epsilon,
                          .weight_decay = (float)h.weight_decay,
                          .gradient_scale = 0.5f,
                          .correction1 = (float)(1 - pow((double)(float)h.beta1, t)),
                          .correction2 = (float)(1 - pow((double)(float)h.beta2, t)),
                          .draws = draw_philox((Draw){.step = (uint32_t)t})};
        kernels->adamw(NULL, w, moments, gradient, n, settings);
        release(gradient);
    }
}

static void check_against_torch(const float *w, int64_t n, Hyper h, double tolerance)
{
    float *start = random_array(n, 1), *gradients[5];
    double moved = 0;
    for (int t = 0; t < 5; t++)
        gradients[t] = random_array(n, 101 + (uint64_t)t);
    for (int64_t j = 0; j < n; j++) {
        double wanted = (double)start[j], m = 0, v = 0;
        for (int t = 0; t < 5; t++)
            torch_adamw(&wanted, &m, &v, 0.5 * (double)gradients[t][j], t + 1, h);
        assert_true(fabs((double)w[j] - wanted) < tolerance);
        moved += fabs(wanted - (double)start[j]) / (double)n;
    }
    assert_true(moved > 1e-4);
    for (int t = 0; t < 5; t++)
        release(gradients[t]);
    release(start);
}

static Moments make_moments(int64_t n, ElementType type)
{
    size_t bytes = type_bytes(type);
    return (Moments){allocate((size_t)n, bytes), allocate((size_t)n, bytes), type};
}

static void free_moments(Moments moments)
{
    release(moments.m);
    release(moments.v);
}

// Moments in bf16 are off by up to 2^-7, once a step: of five steps of up to 1e-3 not much.
static void five_steps_are_pytorchs(ElementType type, double tolerance)
{
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
            float *w = random_array(n, 1);
            Moments moments = make_moments(n, type);
            five_steps(kernels, w, moments, n, h);
            if (!first) {
                check_against_torch(w, n, h, tolerance);
                first = w;
            } else {
                assert_int_equal(first_difference(w, first, n), -1);
                release(w);
            }
            free_moments(moments);
        }
        release(first);
    }
}

static void five_steps_of_adamw_are_pytorchs(void **state)
{
    (void)state;
    five_steps_are_pytorchs(TYPE_F32, 5e-7);
}

static void five_steps_with_moments_in_bf16_are_near(void **state)
{
    (void)state;
    five_steps_are_pytorchs(TYPE_BF16, 4e-5);
}

static const AdamW SETTINGS = {.learning_rate = 0.01f,
                               .beta1 = 0.9f,
                               .beta2 = 0.95f,
                               .epsilon = 1e-6f,
                               .weight_decay = 0.3f,
                               .gradient_scale = 0.7f,
                               .correction1 = 0.271f,
                               .correction2 = 0.142625f};

// The contract's own order of operations for one number, bit for bit.
static void contract_adamw(float *w, float *m, float *v, float gradient, AdamW s)
{
    volatile float g = gradient * s.gradient_scale;
    volatile float a = (1 - s.beta1) * g, b = (1 - s.beta2) * g;
    volatile float bg = b * g;
    *m = fmaf(s.beta1, *m, a);
    *v = fmaf(s.beta2, *v, bg);
    volatile float quotient = *v / s.correction2, numerator = *m / s.correction1;
    volatile float root = sqrtf(quotient);
    volatile float denominator = root + s.epsilon;
    volatile float step = numerator / denominator, decay = s.learning_rate * s.weight_decay;
    volatile float moved = s.learning_rate * step, left = 1 - decay;
    volatile float kept = *w * left;
    *w = kept - moved;
}

static void adamw_rounds_as_the_contract_says(void **state)
{
    (void)state;
    enum { N = 1000 };
    float *w = random_array(N, 1), *m = random_array(N, 2), *v = random_array(N, 3);
    float *gradient = random_array(N, 4), *found = random_array(N, 1);
    Moments moments = make_moments(N, TYPE_F32);
    for (int j = 0; j < N; j++)
        v[j] *= v[j];
    memcpy(moments.m, m, N * sizeof *m);
    memcpy(moments.v, v, N * sizeof *v);
    for (int j = 0; j < N; j++)
        contract_adamw(&w[j], &m[j], &v[j], gradient[j], SETTINGS);
    kernels_cpu()->adamw(NULL, found, moments, gradient, N, SETTINGS);
    assert_int_equal(first_difference(found, w, N), -1);
    assert_int_equal(first_difference(moments.m, m, N), -1);
    assert_int_equal(first_difference(moments.v, v, N), -1);
    release(w), release(m), release(v), release(gradient), release(found);
    free_moments(moments);
}

// ---- moments in bf16 ----------------------------------------------------------------------------

static const Draw DRAW = {.seed = 9, .purpose = PURPOSE_ROUNDING, .step = 77, .position = 1000};

// What is kept of a moment, by the lower or the upper half of the word that element i has.
static uint16_t contract_narrow(float x, int64_t i, int half)
{
    uint32_t words[4];
    Draw draw = DRAW;
    draw.position += (uint32_t)(i / 4);
    draw_words(draw, words);
    uint32_t r = words[i % 4] >> 16 * half & 0xffff;
    return (uint16_t)((uint64_t)(bits_of(x) + (uint64_t)r) >> 16);
}

static Moments narrow_moments(const float *m, const float *v, int64_t n)
{
    Moments moments = make_moments(n, TYPE_BF16);
    kernels_cpu()->convert(NULL, moments.m, TYPE_BF16, elements_f32(m), n);
    kernels_cpu()->convert(NULL, moments.v, TYPE_BF16, elements_f32(v), n);
    return moments;
}

static void compare_with_contract(int64_t n)
{
    AdamW settings = SETTINGS;
    settings.draws = draw_philox(DRAW);
    float *w = random_array(n, 1), *m = random_array(n, 2), *v = random_array(n, 3);
    float *gradient = random_array(n, 4);
    for (int64_t j = 0; j < n; j++)
        v[j] *= v[j];
    Moments start = narrow_moments(m, v, n), wanted = narrow_moments(m, v, n);
    uint16_t *first = wanted.m, *second = wanted.v;
    for (int64_t j = 0; j < n; j++) {
        m[j] = from_bits((uint32_t)first[j] << 16), v[j] = from_bits((uint32_t)second[j] << 16);
        contract_adamw(&w[j], &m[j], &v[j], gradient[j], settings);
        first[j] = contract_narrow(m[j], j, 0), second[j] = contract_narrow(v[j], j, 1);
    }
    for (int k = 0; k < ISA_COUNT * 2; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / 2]);
        if (!kernels)
            continue;
        omp_set_num_threads(1 + k % 2);
        float *found = random_array(n, 1);
        Moments moments = make_moments(n, TYPE_BF16);
        memcpy(moments.m, start.m, (size_t)n * sizeof *first);
        memcpy(moments.v, start.v, (size_t)n * sizeof *second);
        kernels->adamw(NULL, found, moments, gradient, n, settings);
        assert_int_equal(first_difference(found, w, n), -1);
        assert_memory_equal(moments.m, wanted.m, (size_t)n * sizeof *first);
        assert_memory_equal(moments.v, wanted.v, (size_t)n * sizeof *second);
        release(found), free_moments(moments);
    }
    release(w), release(m), release(v), release(gradient);
    free_moments(start), free_moments(wanted);
}

static void moments_in_bf16_are_rounded_by_the_draws_of_the_contract(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 15, 16, 63, 64, 100, 8192 + 5, 100001};
    for (int i = 0; i < 8; i++)
        compare_with_contract(sizes[i]);
}

// A part of an array, with the draws of its first element, is computed as within the whole.
static void a_part_is_rounded_as_in_the_whole(void **state)
{
    (void)state;
    enum { N = 1000, FIRST = 404 };
    AdamW settings = SETTINGS;
    float *m = random_array(N, 2), *v = allocate(N, sizeof *v), *gradient = random_array(N, 4);
    float *whole = random_array(N, 1), *parts = random_array(N, 1);
    Moments once = narrow_moments(m, v, N), twice = narrow_moments(m, v, N);
    settings.draws = draw_philox(DRAW);
    kernels_cpu()->adamw(NULL, whole, once, gradient, N, settings);
    kernels_cpu()->adamw(NULL, parts, twice, gradient, FIRST, settings);
    settings.draws.counter[3] += FIRST / 4;
    kernels_cpu()->adamw(NULL, parts + FIRST, moments_from(twice, FIRST), gradient + FIRST,
                         N - FIRST, settings);
    assert_memory_equal(once.m, twice.m, N * sizeof(uint16_t));
    assert_memory_equal(once.v, twice.v, N * sizeof(uint16_t));
    release(m), release(v), release(gradient), release(whole), release(parts);
    free_moments(once), free_moments(twice);
}

// Mean of v over elements that all begin at 1 and meet the same gradients, after `steps`.
static double mean_after(float gradient, int steps)
{
    enum { N = 4096 };
    AdamW settings = {.beta1 = 0.9f,
                      .beta2 = 0.999f,
                      .epsilon = 1e-8f,
                      .gradient_scale = 1,
                      .correction1 = 1,
                      .correction2 = 1};
    float *w = allocate(N, sizeof *w), *ones = allocate(N, sizeof *ones);
    float *gradients = allocate(N, sizeof *gradients);
    double sum = 0;
    for (int j = 0; j < N; j++)
        ones[j] = 1, gradients[j] = gradient;
    Moments moments = narrow_moments(ones, ones, N);
    for (int t = 0; t < steps; t++) {
        settings.draws = draw_philox((Draw){.step = (uint32_t)t});
        kernels_cpu()->adamw(NULL, w, moments, gradients, N, settings);
    }
    kernels_cpu()->convert(NULL, ones, TYPE_F32, (Elements){moments.v, TYPE_BF16}, N);
    for (int j = 0; j < N; j++)
        sum += (double)ones[j] / N;
    release(w), release(ones), release(gradients), free_moments(moments);
    return sum;
}

// v changes by a thousandth of itself at most, a quarter of what nearest would need to see it.
static void the_mean_of_a_slow_moment_follows_its_gradients(void **state)
{
    (void)state;
    for (int steps = 100; steps <= 1600; steps *= 4) {
        double fallen = pow(0.999, steps), risen = 1.5 - 0.5 * fallen;
        assert_true(fabs(mean_after(0, steps) / fallen - 1) < 0.01);
        assert_true(fabs(mean_after(sqrtf(1.5f), steps) / risen - 1) < 0.01);
    }
}

static void what_is_no_finite_number_stays_so_in_bf16(void **state)
{
    (void)state;
    enum { N = 256 };
    const float bad[] = {NAN, from_bits(0xffffffff), from_bits(0x7f800001), INFINITY};
    float w[N] = {0}, m[N], v[N], gradient[N];
    AdamW settings = SETTINGS;
    settings.draws = draw_philox(DRAW);
    for (int j = 0; j < N; j++)
        m[j] = 0, v[j] = bad[j % 4], gradient[j] = j % 4 == 3 ? 0 : v[j];
    Moments moments = narrow_moments(m, v, N);
    kernels_cpu()->adamw(NULL, w, moments, gradient, N, settings);
    kernels_cpu()->convert(NULL, m, TYPE_F32, (Elements){moments.m, TYPE_BF16}, N);
    kernels_cpu()->convert(NULL, v, TYPE_F32, (Elements){moments.v, TYPE_BF16}, N);
    for (int j = 0; j < N; j++) {
        assert_true(j % 4 == 3 ? m[j] == 0 : isnan(m[j]));
        assert_true(j % 4 == 3 ? isinf(v[j]) : isnan(v[j]));
    }
    free_moments(moments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_steps_of_adamw_are_pytorchs),
        cmocka_unit_test(five_steps_with_moments_in_bf16_are_near),
        cmocka_unit_test(adamw_rounds_as_the_contract_says),
        cmocka_unit_test(moments_in_bf16_are_rounded_by_the_draws_of_the_contract),
        cmocka_unit_test(a_part_is_rounded_as_in_the_whole),
        cmocka_unit_test(the_mean_of_a_slow_moment_follows_its_gradients),
        cmocka_unit_test(what_is_no_finite_number_stays_so_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
