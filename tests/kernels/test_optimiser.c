// test_optimiser.c - sums of squares, rounding to bf16.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "tests/kernels/arrays.h"

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
        cmocka_unit_test(sums_of_squares_run_in_blocks_in_order),
        cmocka_unit_test(every_kind_of_number_rounds_to_the_nearest_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
