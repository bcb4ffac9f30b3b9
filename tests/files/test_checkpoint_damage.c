// test_checkpoint_damage.c - a checkpoint that differs from what was written is never taken for it.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/checksum.h"
#include "tests/files/sample.h"
#include "tests/files/scratch.h"

// HDF5 1.10.8 forgets memory when it meets a damaged structure; the leak checker shall not blame
// us.
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static void flip(char *bytes, size_t bit)
{
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
}

static uint64_t next(uint64_t *draw)
{
    *draw = *draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *draw >> 16;
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    size_t bytes;
    sample_make("flip.h5");
    char *file = scratch_read("flip.h5", &bytes);
    uint64_t draw = 7;
    for (int i = 0; i < 300; i++) {
        // A third anywhere, a third in HDF5's head, a third in the trailer with its footer.
        size_t place = i % 3 == 0   ? next(&draw) % bytes
                       : i % 3 == 1 ? next(&draw) % 4096
                                    : bytes - 1 - next(&draw) % 64;
        size_t bit = place * 8 + next(&draw) % 8;
        flip(file, bit);
        scratch_write("flipped.h5", file, bytes);
        flip(file, bit);
        if (checkpoint_file_open(scratch_path("flipped.h5"), CHECKPOINT_VERIFY_ALL))
            fail_msg("bit %zu of %zu bytes was not found", bit, bytes);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
    }
    release(file);
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    size_t bytes;
    sample_make("cut.h5");
    char *file = scratch_read("cut.h5", &bytes);
    uint64_t draw = 11;
    for (int i = 0; i < 300; i++) {
        size_t left = i < 64 ? bytes - 1 - (size_t)i : next(&draw) % bytes;
        scratch_write("short.h5", file, left);
        assert_null(checkpoint_file_open(scratch_path("short.h5"), CHECKPOINT_VERIFY_ALL));
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
    }
    release(file);
}

static void every_inserted_byte_is_found(void **state)
{
    (void)state;
    enum { FOOTER_BYTES = 48 };
    size_t bytes;
    sample_make("grow.h5");
    char *file = scratch_read("grow.h5", &bytes);
    const size_t places[] = {0, 5000, bytes - FOOTER_BYTES, bytes - 1, bytes};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *longer = allocate(bytes + 1, 1);
        memcpy(longer, file, places[i]);
        memcpy(longer + places[i] + 1, file + places[i], bytes - places[i]);
        scratch_write("grown.h5", longer, bytes + 1);
        assert_null(checkpoint_file_open(scratch_path("grown.h5"), CHECKPOINT_VERIFY_ALL));
        assert_failed(EXIT_BAD_DATA, "trailer");
        release(longer);
    }
    release(file);
}

// Damaged by a program that then sealed it: HDF5 is content, as the trailer makes up for the
// length.
static void tensors_that_reach_into_the_trailer_are_refused(void **state)
{
    (void)state;
    int64_t payload_bytes;
    const char *path = scratch_path("reach.h5");
    CheckpointTensor tensor = {.name = "/t", .type = STORED_F32, .rank = 1, .shape = {100000}};
    assert_int_equal(checkpoint_file_create(path, &tensor, 1, NULL, 0, &payload_bytes), 0);
    assert_int_equal(tensor.offset + 400000, payload_bytes);
    assert_int_equal(truncate(path, payload_bytes - 8), 0);
    assert_int_equal(checkpoint_file_seal(path, payload_bytes - 8, NULL, 0), 0);
    assert_null(checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "the data of '/t' are not in one piece within the file");
}

static void damage_is_told_with_block_and_tensor(void **state)
{
    (void)state;
    size_t bytes;
    sample_make("told.h5");
    CheckpointFile *checkpoint =
        checkpoint_file_open(scratch_path("told.h5"), CHECKPOINT_VERIFY_ALL);
    int64_t index = checkpoint_file_find(checkpoint, "/weights/model.norm.weight");
    int64_t offset = checkpoint_file_tensor(checkpoint, index)->offset + 100;
    checkpoint_file_close(checkpoint);
    char *file = scratch_read("told.h5", &bytes), expected[64];
    file[offset] ^= 1;
    scratch_write("told.h5", file, bytes);
    release(file);
    snprintf(expected, sizeof expected, "damaged in block %lld",
             (long long)(offset / CHECKSUM_BLOCK_BYTES));
    assert_null(checkpoint_file_open(scratch_path("told.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "told.h5");
    assert_failed(EXIT_BAD_DATA, expected);
    assert_failed(EXIT_BAD_DATA, "in /weights/model.norm.weight");
}

static void random_damage_of_the_structure_never_crashes(void **state)
{
    (void)state;
    size_t bytes;
    sample_make("wild.h5");
    char *file = scratch_read("wild.h5", &bytes);
    int64_t payload_bytes = (int64_t)bytes - 48;
    while (payload_bytes + 9 * checksum_block_count(payload_bytes) + 48 > (int64_t)bytes)
        payload_bytes--;
    uint64_t draw = 3;
    for (int i = 0; i < 300; i++) {
        char *wild = allocate(bytes, 1);
        memcpy(wild, file, bytes);
        for (int flips = 0; flips < 3; flips++)
            wild[next(&draw) % 5000] = (char)next(&draw);
        scratch_write("wild.h5", wild, (size_t)payload_bytes);
        release(wild);
        // Sealed anew, so the damage reaches HDF5: an attacker's file.
        assert_int_equal(checkpoint_file_seal(scratch_path("wild.h5"), payload_bytes, NULL, 0), 0);
        CheckpointFile *opened =
            checkpoint_file_open(scratch_path("wild.h5"), CHECKPOINT_VERIFY_ALL);
        for (int64_t k = 0; opened && k < checkpoint_file_count(opened); k++) {
            const CheckpointTensor *tensor = checkpoint_file_tensor(opened, k);
            if (tensor->offset >= 0)
                assert_true(tensor->offset + sample_bytes(tensor) <= payload_bytes);
        }
        checkpoint_file_close(opened);
    }
    release(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(every_inserted_byte_is_found),
        cmocka_unit_test(tensors_that_reach_into_the_trailer_are_refused),
        cmocka_unit_test(damage_is_told_with_block_and_tensor),
        cmocka_unit_test(random_damage_of_the_structure_never_crashes),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
