// test_sample.c - draws of tokens against a brute-force reading of the contract, and their
// distribution.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "tests/kernels/arrays.h"

enum { WIDTH_MAX = 5003 };

// ---- the contract, read literally ---------------------------------------------------------------

typedef struct {
    float z;
    int32_t token;
} Ranked;

static int by_probability(const void *left, const void *right)
{
    const Ranked *a = left, *b = right;
    if (a->z != b->z)
        return a->z > b->z ? -1 : 1;
    return a->token < b->token ? -1 : 1;
}

// exp(z_j - lse): the gradient of a target in an added column, with a coefficient of -1.
static void probabilities_of(double *p, const float *z, float lse, int64_t width)
{
    static float row[WIDTH_MAX + 1];
    const float coefficient = -1;
    const Target target = {.row = 0, .token = (int32_t)width};
    memcpy(row, z, (size_t)width * 4);
    kernels_cpu_named("plain")->target_backward(NULL, tensor_of(row, 1, width + 1), &lse, NULL,
                                                NULL, &target, &coefficient, 1, 1.0f);
    for (int64_t j = 0; j < width; j++)
        p[j] = rint((double)row[j] * 0x1p52) * 0x1p-52;
}

// Sets left[j] for the tokens that top_k and top_p leave.
static void brute_set(bool *left, const float *z, const double *p, int64_t width, Sampling sampling)
{
    static Ranked ranked[WIDTH_MAX];
    for (int64_t j = 0; j < width; j++) {
        ranked[j] = (Ranked){z[j], (int32_t)j};
        left[j] = false;
    }
    qsort(ranked, (size_t)width, sizeof ranked[0], by_probability);
    int64_t k = sampling.top_k > 0 && sampling.top_k < width ? sampling.top_k : width;
    double limit = (double)sampling.top_p, sum = 0;
    if (sampling.top_k > 0) {
        for (int64_t i = 0; i < k; i++)
            sum += p[ranked[i].token];
        limit *= sum;
        sum = 0;
    }
    for (int64_t i = 0; i < k; i++) {
        left[ranked[i].token] = true;
        sum += p[ranked[i].token];
        if (sampling.top_p < 1 && sum >= limit)
            return;
    }
}

static int32_t brute_draw(const bool *left, const double *p, int64_t width, double uniform)
{
    double total = 0, sum = 0;
    for (int64_t j = 0; j < width; j++)
        total += left[j] ? p[j] : 0;
    for (int64_t j = 0; j < width; j++) {
        sum += left[j] ? p[j] : 0;
        if (sum > uniform * total)
            return (int32_t)j;
    }
    return -1;
}

static double uniform_of(int64_t i)
{
    return draw_uniform((Draw){.seed = 9, .purpose = PURPOSE_POLICY, .position = (uint32_t)i});
}

// Logits from flat (spread 0) to peaked, with many equal ones where `steps` is not 0.
static Tensor logits_make(int64_t rows, int64_t width, float spread, float steps)
{
    Tensor z = random_tensor(rows, width, 3, (uint64_t)(width + (int64_t)spread));
    for (int64_t k = 0; k < rows * z.stride; k++) {
        if (k % z.stride >= width)
            continue;
        z.data[k] *= spread;
        if (steps > 0)
            z.data[k] = (float)((int)(z.data[k] * steps)) / steps;
    }
    return z;
}

enum { DRAWS = 16 };

static void check_draws(Tensor logits, Sampling sampling)
{
    static double p[WIDTH_MAX];
    static bool left[WIDTH_MAX];
    // As many equal rows as draws, each with its own uniform number.
    Tensor z = {.rows = DRAWS, .width = logits.width, .stride = logits.stride};
    z.data = allocate((size_t)(DRAWS * z.stride), 4);
    double uniform[DRAWS];
    float lse[DRAWS], logprobs[DRAWS];
    int32_t tokens[DRAWS];
    for (int r = 0; r < DRAWS; r++) {
        memcpy(z.data + r * z.stride, logits.data, (size_t)z.stride * 4);
        uniform[r] = r == 0 ? 0x1p-53 : r == 1 ? 1 - 0x1p-53 : uniform_of(r);
    }
    omp_set_num_threads(1);
    kernels_cpu()->logsumexp(NULL, lse, z, 1.0f);
    probabilities_of(p, logits.data, lse[0], logits.width);
    brute_set(left, logits.data, p, logits.width, sampling);
    int32_t wanted[DRAWS];
    for (int r = 0; r < DRAWS; r++)
        wanted[r] = brute_draw(left, p, logits.width, uniform[r]);
    for (int k = 0; k < ISA_COUNT * 2; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / 2]);
        bool threaded = k % 2; // small shapes stay on one thread anyway
        if (!kernels || (threaded && z.width < WIDTH_MAX))
            continue;
        omp_set_num_threads(1 + threaded);
        kernels->sample(NULL, tokens, logprobs, z, lse, uniform, sampling);
        for (int r = 0; r < DRAWS; r++) {
            assert_int_equal(tokens[r], wanted[r]);
            assert_true(logprobs[r] == logits.data[tokens[r]] - lse[0]);
        }
    }
    release(z.data);
}

static void check_all_widths(Sampling sampling)
{
    const int64_t widths[] = {1, 7, 16, 17, 100, 576, 2048, WIDTH_MAX};
    const float spreads[] = {0, 2, 10, 60}, steps[] = {0, 3};
    for (int i = 0; i < 8 * 4 * 2; i++) {
        Tensor logits = logits_make(1, widths[i / 8], spreads[i / 2 % 4], steps[i % 2]);
        check_draws(logits, sampling);
        release(logits.data);
    }
}

// ---- tests --------------------------------------------------------------------------------------

static void a_draw_is_the_first_token_past_its_share(void **state)
{
    (void)state;
    check_all_widths((Sampling){.temperature = 1, .top_p = 1});
}

static void top_p_leaves_the_smallest_set_that_reaches_it(void **state)
{
    (void)state;
    const float top_ps[] = {1e-6f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f, 0.99999994f};
    for (int i = 0; i < 7; i++)
        check_all_widths((Sampling){.temperature = 1, .top_p = top_ps[i]});
}

static void top_k_leaves_the_k_most_probable(void **state)
{
    (void)state;
    const int32_t top_ks[] = {1, 2, 5, 19, 20, 300, 6000};
    for (int i = 0; i < 7; i++)
        check_all_widths((Sampling){.temperature = 1, .top_p = 1, .top_k = top_ks[i]});
}

static void top_p_counts_within_the_top_k(void **state)
{
    (void)state;
    check_all_widths((Sampling){.temperature = 0.7f, .top_p = 0.8f, .top_k = 20});
    check_all_widths((Sampling){.temperature = 0.7f, .top_p = 0.5f, .top_k = 3});
}

static void temperature_0_takes_the_most_probable_token(void **state)
{
    (void)state;
    for (int k = 0; k < ISA_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k]);
        if (!kernels)
            continue;
        for (int64_t best = 0; best < 100; best++) {
            Tensor z = random_tensor(1, 100, 0, (uint64_t)best);
            z.data[best] = 1.5f;
            z.data[best + (99 - best) / 2] = 1.5f; // a tie
            float lse = 3, logprob;
            double uniform = 0.99;
            int32_t token;
            kernels->sample(NULL, &token, &logprob, z, &lse, &uniform, (Sampling){.top_p = 0.9f});
            assert_int_equal(token, best);
            assert_true(logprob == -1.5f);
            release(z.data);
        }
    }
}

// Pearson's chi-square of `draws` draws in rows of 1,000 against exp in double.
static double chi_square(const float *logits, int64_t width, int draws, Sampling sampling)
{
    enum { ROWS = 1000 };
    double expected[64], total = 0, sum = 0;
    int observed[64] = {0};
    Tensor z = tensor_of(allocate((size_t)(ROWS * width), 4), ROWS, width);
    for (int64_t k = 0; k < ROWS * width; k++)
        z.data[k] = logits[k % width];
    static float lse[ROWS], logprobs[ROWS];
    static int32_t tokens[ROWS];
    static double uniform[ROWS];
    kernels_cpu()->logsumexp(NULL, lse, z, sampling.temperature);
    for (int i = 0; i < draws; i += ROWS) {
        for (int r = 0; r < ROWS; r++)
            uniform[r] = uniform_of(i + r);
        kernels_cpu()->sample(NULL, tokens, logprobs, z, lse, uniform, sampling);
        for (int r = 0; r < ROWS; r++)
            observed[tokens[r]]++;
    }
    for (int64_t j = 0; j < width; j++)
        total += expected[j] = exp((double)(logits[j] / sampling.temperature));
    for (int64_t j = 0; j < width; j++) {
        double wanted = expected[j] / total * draws;
        sum += (observed[j] - wanted) * (observed[j] - wanted) / wanted;
    }
    release(z.data);
    return sum;
}

static void draws_follow_the_softmax(void **state)
{
    (void)state;
    float *logits = random_array(64, 6);
    // 63 degrees of freedom: mean 63, deviation 11; the uniform numbers are fixed.
    double sum = chi_square(logits, 64, 200000, (Sampling){.temperature = 0.5f, .top_p = 1});
    assert_true(sum > 30 && sum < 110);
    // Almost everything left: the other path, the same distribution.
    sum = chi_square(logits, 64, 200000, (Sampling){.temperature = 0.5f, .top_p = 0.9999999f});
    assert_true(sum > 30 && sum < 110);
    release(logits);
}

// Two equal tokens: half of the mass is not exceeded by the first of them.
static void a_share_must_be_exceeded_not_reached(void **state)
{
    (void)state;
    for (int k = 0; k < ISA_COUNT * 2; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / 2]);
        if (!kernels)
            continue;
        float z[3] = {2, 2, -200}, lse, logprob;
        double uniform = 0.5;
        int32_t token;
        kernels->logsumexp(NULL, &lse, tensor_of(z, 1, 3), 1.0f);
        kernels->sample(NULL, &token, &logprob, tensor_of(z, 1, 3), &lse, &uniform,
                        (Sampling){.temperature = 1, .top_p = 1, .top_k = k % 2 ? 2 : 0});
        assert_int_equal(token, 1);
    }
}

static jmp_buf ended;

static void end(int code)
{
    assert_int_equal(code, EXIT_BAD_DATA);
    longjmp(ended, 1);
}

static void logits_that_are_not_numbers_end_the_program(void **state)
{
    (void)state;
    float z[4] = {0, NAN, 1, 2}, lse, logprob;
    double uniform = 0.5;
    int32_t token;
    kernels_cpu()->logsumexp(NULL, &lse, tensor_of(z, 1, 4), 1.0f);
    die_set_end(end);
    if (setjmp(ended) == 0) {
        kernels_cpu()->sample(NULL, &token, &logprob, tensor_of(z, 1, 4), &lse, &uniform,
                              (Sampling){.temperature = 1, .top_p = 1});
        fail_msg("sample came back");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draw_is_the_first_token_past_its_share),
        cmocka_unit_test(top_p_leaves_the_smallest_set_that_reaches_it),
        cmocka_unit_test(top_k_leaves_the_k_most_probable),
        cmocka_unit_test(top_p_counts_within_the_top_k),
        cmocka_unit_test(temperature_0_takes_the_most_probable_token),
        cmocka_unit_test(a_share_must_be_exceeded_not_reached),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(logits_that_are_not_numbers_end_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
