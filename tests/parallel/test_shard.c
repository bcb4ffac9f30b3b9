// test_shard.c - shards tile arrays.

#include "tests/testing.h"

#include "parallel/shard.h"

static void shards_tile_the_padded_array(void **state)
{
    (void)state;
    static const int64_t lengths[] = {0, 1, 2047, 2048, 2049, 123456, 3000000001};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int size = 1; size <= 9; size++) {
            int64_t next = 0;
            for (int rank = 0; rank < size; rank++) {
                Shard shard = shard_of(lengths[i], rank, size);
                assert_int_equal(shard.global, lengths[i]);
                assert_int_equal(shard.first, next);
                assert_int_equal(shard.local % SHARD_ALIGNMENT, 0);
                assert_int_equal(shard.padded, shard.local * size);
                next += shard.local;
            }
            assert_true(next >= lengths[i]);
            // No more padding than a block a rank.
            assert_true(next - lengths[i] < (int64_t)size * SHARD_ALIGNMENT);
        }
    }
}

static void alignment_rounds_up_to_whole_blocks(void **state)
{
    (void)state;
    assert_int_equal(shard_align(0), 0);
    assert_int_equal(shard_align(1), SHARD_ALIGNMENT);
    assert_int_equal(shard_align(SHARD_ALIGNMENT), SHARD_ALIGNMENT);
    assert_int_equal(shard_align(SHARD_ALIGNMENT + 1), 2 * SHARD_ALIGNMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_tile_the_padded_array),
        cmocka_unit_test(alignment_rounds_up_to_whole_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
