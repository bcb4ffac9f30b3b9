// test_vocabulary.c - exp, log-sum-exp, log-probabilities, entropy, their gradient, the penalty.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "tests/kernels/arrays.h"

static const int64_t WIDTHS[] = {1, 7, 16, 17, 100, 576, 5003};
enum { WIDTH_COUNT = 7, ROW_COUNT = 13 };

// Logits in (-10, 10).
static Tensor random_logits(int64_t rows, int64_t width, uint64_t seed)
{
    Tensor logits = random_tensor(rows, width, 3, seed);
    for (int64_t k = 0; k < rows * logits.stride; k++) {
        if (k % logits.stride < width)
            logits.data[k] *= 10;
    }
    return logits;
}

// ---- exp ----------------------------------------------------------------------------------------

// exp of `count` numbers by way of the gradient: with log-sum-exp 0 and one coefficient of -1 on a
// column in front of them, the others become exp(z).
static void exponentials(const Kernels *kernels, float *x, int64_t count)
{
    const float lse = 0, coefficient = -1;
    const Target target = {.row = 0, .token = 0};
    kernels->target_backward(NULL, tensor_of(x - 1, 1, count + 1), &lse, NULL, NULL, &target,
                             &coefficient, 1, 1.0f);
}

static double ulps_off(float got, double wanted)
{
    int exponent;
    frexp(wanted, &exponent);
    double ulp = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
    return fabs((double)got - wanted) / ulp;
}

// Every 4,999th float from 0 to infinity, both signs.
static int64_t exp_arguments(float *x)
{
    int64_t count = 0;
    for (uint32_t bits = 0; bits < 0x7f800000u; bits += 4999) {
        memcpy(&x[count], &bits, sizeof bits);
        x[count + 1] = -x[count];
        count += 2;
    }
    // Densely where results are ordinary, and through the subnormal ones.
    int64_t first = count;
    do
        x[count] = -104.5f + (float)(count - first) * 1.37e-4f;
    while (x[count++] < 89.0f);
    return count;
}

static void exp_is_within_a_unit_in_the_last_place(void **state)
{
    (void)state;
    enum { CAPACITY = 2400000 };
    float *x = allocate(CAPACITY, 4), *first = NULL;
    int64_t count = exp_arguments(x);
    assert_true(count < CAPACITY - 1);
    for (int k = 0; k < ISA_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k]);
        if (!kernels)
            continue;
        float *y = allocate((size_t)count + 1, 4);
        memcpy(y + 1, x, (size_t)count * 4);
        exponentials(kernels, y + 1, count);
        if (first) {
            assert_int_equal(first_difference(y, first, count + 1), -1);
            release(y);
            continue;
        }
        first = y;
        double worst = 0;
        for (int64_t i = 0; i < count; i++) {
            double wanted = exp((double)x[i]);
            if (wanted >= 0x1.ffffffp127)
                assert_true(isinf(y[i + 1]));
            else if (wanted > 0x1p-150)
                worst = fmax(worst, ulps_off(y[i + 1], wanted));
            else
                assert_true(y[i + 1] == 0);
        }
        print_message("exp: at most %.3f units in the last place off\n", worst);
        assert_true(worst < 1.0);
    }
    release(first), release(x);
}

static void exp_knows_infinities_and_nan(void **state)
{
    (void)state;
    for (int k = 0; k < ISA_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k]);
        if (!kernels)
            continue;
        float x[7] = {0, INFINITY, -INFINITY, NAN, 0.0f, -0.0f, -103.9f};
        exponentials(kernels, x + 1, 6);
        assert_true(isinf(x[1]) && x[2] == 0 && isnan(x[3]) && x[4] == 1 && x[5] == 1);
        assert_true(x[6] == 0x1p-149f);
    }
}

// ---- log-sum-exp, log-probabilities, entropy ----------------------------------------------------

static double reference_lse(const float *logits, int64_t width, double temperature)
{
    double greatest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < width; j++)
        greatest = fmax(greatest, (double)logits[j] / temperature);
    for (int64_t j = 0; j < width; j++)
        sum += exp((double)logits[j] / temperature - greatest);
    return greatest + log(sum);
}

static double reference_entropy(const float *logits, int64_t width, double temperature)
{
    double lse = reference_lse(logits, width, temperature), sum = 0;
    for (int64_t j = 0; j < width; j++) {
        double lp = (double)logits[j] / temperature - lse;
        sum -= exp(lp) * lp;
    }
    return sum;
}

static void check_row(const float *logits, const float *z, int64_t width, double temperature,
                      float lse, float entropy)
{
    assert_true(fabs((double)lse - reference_lse(logits, width, temperature)) < 2e-6);
    assert_true(fabs((double)entropy - reference_entropy(logits, width, temperature)) < 2e-5);
    for (int64_t j = 0; j < width; j++)
        assert_true(z[j] == logits[j] / (float)temperature);
}

static void check_logsumexp(const Kernels *kernels, int64_t rows, int64_t width, float temperature)
{
    Tensor logits = random_logits(rows, width, (uint64_t)width), z = copy_of_tensor(logits);
    float *lse = allocate((size_t)rows, 4), *entropy = allocate((size_t)rows, 4);
    kernels->logsumexp(NULL, lse, z, temperature);
    kernels->entropy(NULL, entropy, z, lse);
    for (int64_t r = 0; r < rows; r++) {
        float *row = z.data + r * z.stride, alone, alone_entropy;
        check_row(logits.data + r * z.stride, row, width, (double)temperature, lse[r], entropy[r]);
        assert_memory_equal(&row[width], &SENTINEL, 4);
        // The same row by itself, on the plain instruction set, gives the same bits.
        const Kernels *plain = kernels_cpu_named("plain");
        Tensor single = tensor_rows(logits, r, 1);
        plain->logsumexp(NULL, &alone, single, temperature);
        plain->entropy(NULL, &alone_entropy, single, &alone);
        assert_memory_equal(&alone, &lse[r], 4);
        assert_memory_equal(&alone_entropy, &entropy[r], 4);
        assert_memory_equal(single.data, row, (size_t)width * 4);
    }
    release(logits.data), release(z.data), release(lse), release(entropy);
}

static void logsumexp_and_entropy_are_those_of_the_scaled_logits(void **state)
{
    (void)state;
    for (int k = 0; k < ISA_COUNT * WIDTH_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / WIDTH_COUNT]);
        omp_set_num_threads(1 + k % 2);
        if (!kernels)
            continue;
        check_logsumexp(kernels, ROW_COUNT, WIDTHS[k % WIDTH_COUNT], 1.0f);
        check_logsumexp(kernels, ROW_COUNT, WIDTHS[k % WIDTH_COUNT], 0.7f);
    }
}

static void logits_that_are_not_numbers_give_nan(void **state)
{
    (void)state;
    for (int k = 0; k < ISA_COUNT * 2; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k / 2]);
        if (!kernels)
            continue;
        float lse[2], z[2 * 20] = {0};
        z[11] = k % 2 ? NAN : INFINITY;
        kernels->logsumexp(NULL, lse, tensor_of(z, 2, 20), 1.0f);
        assert_true(isnan(lse[0]));
        assert_true(fabsf(lse[1] - logf(20)) < 1e-6f);
    }
}

static void huge_logits_do_not_overflow(void **state)
{
    (void)state;
    float lse, z[3] = {3e38f, -3e38f, 3e38f};
    kernels_cpu()->logsumexp(NULL, &lse, tensor_of(z, 1, 3), 1.0f);
    assert_true(lse == 3e38f);
}

static void targets_are_scored(void **state)
{
    (void)state;
    Tensor z = random_logits(4, 100, 2);
    float lse[4], lp[3];
    kernels_cpu()->logsumexp(NULL, lse, z, 1.0f);
    const Target targets[3] = {{0, 99}, {3, 0}, {3, 57}};
    kernels_cpu()->target_logprobs(NULL, lp, z, lse, targets, 3);
    for (int i = 0; i < 3; i++) {
        const float *row = z.data + targets[i].row * z.stride;
        double wanted = (double)row[targets[i].token] - reference_lse(row, 100, 1.0);
        assert_true(fabs((double)lp[i] - wanted) < 2e-6);
    }
    release(z.data);
}

// ---- gradient -----------------------------------------------------------------------------------

typedef struct {
    const Target *targets;
    const float *coefficients;
    int64_t count;
    double temperature;
    const float *slopes; // by the rows' entropies; NULL: none
} Loss;

// The part of sum_i c_i lp_i + sum_r slopes_r H_r that row r has, with logit j moved by `step`.
static double loss_of_row(const Loss *loss, Tensor logits, int64_t r, int64_t j, double step)
{
    double sum = 0, total = 0, l = 0;
    const float *row = logits.data + r * logits.stride;
    for (int64_t k = 0; k < logits.width; k++)
        total += exp(((double)row[k] + (k == j ? step : 0)) / loss->temperature);
    l = log(total);
    bool has_target = false;
    for (int64_t i = 0; i < loss->count; i++) {
        has_target = has_target || loss->targets[i].row == r;
        int32_t token = loss->targets[i].token;
        if (loss->targets[i].row == r)
            sum += (double)loss->coefficients[i] *
                   (((double)row[token] + (token == j ? step : 0)) / loss->temperature - l);
    }
    for (int64_t k = 0; loss->slopes && has_target && k < logits.width; k++) {
        double lp = ((double)row[k] + (k == j ? step : 0)) / loss->temperature - l;
        sum -= (double)loss->slopes[r] * exp(lp) * lp;
    }
    return sum;
}

static void check_gradient(const Loss *loss, Tensor logits, Tensor gradient)
{
    for (int64_t k = 0; k < logits.rows * logits.width; k++) {
        int64_t r = k / logits.width, j = k % logits.width;
        double wanted =
            (loss_of_row(loss, logits, r, j, 1e-5) - loss_of_row(loss, logits, r, j, -1e-5)) / 2e-5;
        double got = (double)gradient.data[r * gradient.stride + j];
        assert_true(fabs(got - wanted) < 1e-6);
    }
}

// All instruction sets give the same bits; the first is compared with the loss.
static void check_all_sets(const Loss *loss, Tensor logits)
{
    Tensor first = {0};
    for (int k = 0; k < ISA_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k]);
        if (!kernels)
            continue;
        Tensor z = copy_of_tensor(logits);
        float lse[4], entropy[4];
        kernels->logsumexp(NULL, lse, z, (float)loss->temperature);
        kernels->entropy(NULL, entropy, z, lse);
        kernels->target_backward(NULL, z, lse, entropy, loss->slopes, loss->targets,
                                 loss->coefficients, loss->count, (float)loss->temperature);
        if (!first.data) {
            first = z;
            check_gradient(loss, logits, z);
            continue;
        }
        assert_int_equal(tensor_difference(z, first), -1);
        release(z.data);
    }
    release(first.data);
}

static void the_targets_gradient_is_a_finite_difference(void **state)
{
    (void)state;
    // Row 0: none; row 1: one; row 2: one token twice, another, and the last; row 3: none.
    for (int w = 0; w < 6; w++) {
        int32_t last = (int32_t)WIDTHS[w] - 1;
        const Target targets[5] = {{1, last / 2}, {2, 0}, {2, last}, {2, 0}, {2, last / 3}};
        const float c[5] = {0.7f, -0.4f, 0.3f, 0.9f, -0.2f}, slopes[4] = {1, -0.25f, 0.5f, 1};
        Tensor logits = random_logits(4, last + 1, 77);
        check_all_sets(&(Loss){targets, c, 5, (double)0.8f, NULL}, logits);
        check_all_sets(&(Loss){targets, c, 5, (double)0.8f, slopes}, logits);
        release(logits.data);
    }
}

static void a_slope_of_zero_changes_no_bit(void **state)
{
    (void)state;
    const Target targets[2] = {{0, 3}, {1, 90}};
    const float c[2] = {0.7f, -0.4f}, slopes[2] = {0, 0};
    Tensor logits = random_logits(2, 100, 5), with = copy_of_tensor(logits);
    float lse[2], entropy[2];
    kernels_cpu()->logsumexp(NULL, lse, with, 1);
    kernels_cpu()->entropy(NULL, entropy, with, lse);
    Tensor without = copy_of_tensor(with);
    kernels_cpu()->target_backward(NULL, with, lse, entropy, slopes, targets, c, 2, 1);
    kernels_cpu()->target_backward(NULL, without, lse, NULL, NULL, targets, c, 2, 1);
    assert_int_equal(tensor_difference(with, without), -1);
    release(logits.data), release(with.data), release(without.data);
}

static void a_rows_gradient_does_not_depend_on_rows_or_threads(void **state)
{
    (void)state;
    const int64_t width = 5003; // several blocks of columns
    Tensor logits = random_logits(ROW_COUNT, width, 4);
    Target targets[3 * ROW_COUNT];
    float c[3 * ROW_COUNT], lse[ROW_COUNT];
    for (int32_t i = 0; i < 3 * ROW_COUNT; i++) {
        targets[i] = (Target){.row = i / 3, .token = i * 971 % (int32_t)width};
        c[i] = 0.1f * (float)(i % 7 - 3);
    }
    const Kernels *kernels = kernels_cpu();
    Tensor whole = copy_of_tensor(logits), parts = copy_of_tensor(logits);
    kernels->logsumexp(NULL, lse, whole, 1.0f);
    omp_set_num_threads(2);
    kernels->target_backward(NULL, whole, lse, NULL, NULL, targets, c, 3 * ROW_COUNT, 1.0f);
    omp_set_num_threads(1);
    for (int r = 0; r < ROW_COUNT; r++) {
        const Target own[3] = {{0, targets[3 * r].token},
                               {0, targets[3 * r + 1].token},
                               {0, targets[3 * r + 2].token}};
        kernels->target_backward(NULL, tensor_rows(parts, r, 1), lse + r, NULL, NULL, own,
                                 c + 3 * r, 3, 1.0f);
    }
    assert_int_equal(tensor_difference(parts, whole), -1);
    release(whole.data), release(parts.data), release(logits.data);
}

// ---- penalty ------------------------------------------------------------------------------------

static void the_penalty_divides_positive_and_multiplies_negative_logits(void **state)
{
    (void)state;
    for (int k = 0; k < ISA_COUNT; k++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[k]);
        if (!kernels)
            continue;
        float z[8] = {3, -3, 0, 5, 1, 1, -1, -1};
        const int32_t seen[3] = {0, 1, 2};
        const int64_t offsets[3] = {0, 2, 3};
        kernels->penalise(NULL, tensor_of(z, 2, 4), seen, offsets, 1.2f);
        const float wanted[8] = {3 / 1.2f, -3 * 1.2f, 0, 5, 1, 1, -1 * 1.2f, -1};
        assert_memory_equal(z, wanted, sizeof z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_a_unit_in_the_last_place),
        cmocka_unit_test(exp_knows_infinities_and_nan),
        cmocka_unit_test(logsumexp_and_entropy_are_those_of_the_scaled_logits),
        cmocka_unit_test(logits_that_are_not_numbers_give_nan),
        cmocka_unit_test(huge_logits_do_not_overflow),
        cmocka_unit_test(targets_are_scored),
        cmocka_unit_test(the_targets_gradient_is_a_finite_difference),
        cmocka_unit_test(a_slope_of_zero_changes_no_bit),
        cmocka_unit_test(a_rows_gradient_does_not_depend_on_rows_or_threads),
        cmocka_unit_test(the_penalty_divides_positive_and_multiplies_negative_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
