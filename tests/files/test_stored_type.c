#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "files/stored_type.h"

static void all_halves_convert_as_ieee_says(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        uint16_t stored = (uint16_t)half;
        float value, expected;
        stored_type_to_f32(STORED_F16, &stored, 1, &value);
        int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
        double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent == 31) {
            assert_true(fraction ? isnan(value) : isinf(value));
            continue;
        }
        expected = (float)(half & 0x8000 ? -magnitude : magnitude);
        assert_memory_equal(&value, &expected, sizeof value);
    }
}

// Nearest by search: of the two neighbours in bf16, the nearer; of two equally near, the even one.
static uint16_t nearest_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t low = (uint16_t)(bits >> 16), high = (uint16_t)(low + 1);
    float below, above;
    stored_type_to_f32(STORED_BF16, &low, 1, &below);
    stored_type_to_f32(STORED_BF16, &high, 1, &above);
    double top = isinf(above) ? (above > 0 ? 0x1p128 : -0x1p128) : (double)above;
    double down = fabs((double)value - (double)below), up = fabs(top - (double)value);
    return down < up || (down == up && low % 2 == 0) ? low : high;
}

static void bf16_is_rounded_to_the_nearest_ties_to_even(void **state)
{
    (void)state;
    uint32_t bits = 12345;
    for (int i = 0; i < 200000; i++) {
        bits = bits * 1664525 + 1013904223;
        uint32_t tie = i % 4 == 0 ? (bits & 0xffff0000) | 0x8000 : bits;
        float value;
        uint16_t rounded;
        memcpy(&value, &tie, sizeof value);
        stored_type_from_f32(STORED_BF16, &value, 1, &rounded);
        if (isnan(value)) {
            float back;
            stored_type_to_f32(STORED_BF16, &rounded, 1, &back);
            assert_true(isnan(back));
        } else if (!isinf(value)) {
            assert_int_equal(rounded, nearest_bf16(value));
        }
    }
    const uint32_t low_nan = 0x7f800001;
    uint16_t rounded;
    float value;
    memcpy(&value, &low_nan, sizeof value);
    stored_type_from_f32(STORED_BF16, &value, 1, &rounded);
    assert_int_equal(rounded, 0x7fc0);
}

static void counts_of_elements_do_not_overflow(void **state)
{
    (void)state;
    const int64_t shape[3] = {3, 5, 7}, large[2] = {INT64_C(1) << 32, INT64_C(1) << 31};
    const int64_t negative[1] = {-1}, empty[2] = {0, INT64_MAX};
    assert_int_equal(stored_type_elements(STORED_F32, 3, shape), 105);
    assert_int_equal(stored_type_elements(STORED_F32, 0, NULL), 1);
    assert_int_equal(stored_type_elements(STORED_U8, 2, large), -1);
    assert_int_equal(stored_type_elements(STORED_F32, 1, negative), -1);
    assert_int_equal(stored_type_elements(STORED_F64, 2, empty), 0);
    const int64_t edge[1] = {INT64_MAX / 4};
    assert_int_equal(stored_type_elements(STORED_F32, 1, edge), INT64_MAX / 4);
    assert_int_equal(stored_type_elements(STORED_F64, 1, edge), -1);
}

static void types_have_their_names(void **state)
{
    (void)state;
    for (StoredType type = 0; type < STORED_TYPE_COUNT; type++)
        assert_int_equal(stored_type_of_name(stored_type_name(type)), type);
    assert_int_equal(stored_type_of_name("F31"), STORED_TYPE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_halves_convert_as_ieee_says),
        cmocka_unit_test(bf16_is_rounded_to_the_nearest_ties_to_even),
        cmocka_unit_test(counts_of_elements_do_not_overflow),
        cmocka_unit_test(types_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
