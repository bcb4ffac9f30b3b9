// test_damage.c - a run whose newest checkpoint differs in one bit, or ends too early, goes on from
// the one before, and says what is wrong.
//
//     test_damage [COUNT]     COUNT flipped bits and truncations, a third of them truncations

#include "tests/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/checksum.h"
#include "files/raw.h"
#include "store/run_directory.h"
#include "tests/store/model.h"
#include "tests/store/ranks.h"

static int count = 500;

typedef struct {
    int64_t step;
    bool right; // the content is that of the step
} Taken;

static int take_model(void *context, Checkpoint *checkpoint)
{
    Taken *taken = context;
    *taken = (Taken){0};
    if (checkpoint_integer(checkpoint, "step", &taken->step) != 0)
        return -1;
    Model expected = model_make(&world, (uint32_t)taken->step), model = model_make(&world, 9);
    int status = checkpoint_read(checkpoint, model.items, model.count);
    taken->right = model_equal(&model, &expected);
    model_free(&expected);
    model_free(&model);
    return status;
}

static void save_step(RunDirectory *run, int64_t step)
{
    Model model = model_make(&world, (uint32_t)step);
    expect_done(run_directory_save(
        run, &(RunSave){.step = step, .policy = {0}, .content = model_content(&model)}));
    expect_done(run_directory_save_end(run, NULL));
    model_free(&model);
}

static uint64_t next(uint64_t *draw)
{
    *draw = *draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *draw >> 16;
}

// A place anywhere, in HDF5's head, or in the trailer.
static int64_t choose_place(uint64_t *draw, int64_t bytes)
{
    switch (next(draw) % 3) {
    case 0:
        return (int64_t)(next(draw) % (uint64_t)bytes);
    case 1:
        return (int64_t)(next(draw) % 4096);
    default:
        return bytes - 1 - (int64_t)(next(draw) % 100);
    }
}

// The run has steps 1 and 2, of which the second is damaged.
static void expect_the_one_before(RunDirectory *run, const char *what, int64_t place,
                                  int64_t payload)
{
    Taken taken;
    int64_t step;
    fail(EXIT_BUG, "nothing was found");
    int silent = open("/dev/null", O_WRONLY), speaking = dup(STDERR_FILENO);
    dup2(silent, STDERR_FILENO); // a warning each time
    int status = run_directory_resume(run, take_model, &taken, &step);
    dup2(speaking, STDERR_FILENO);
    close(silent);
    close(speaking);
    expect_done(status);
    if (step != 1 || taken.step != 1 || !taken.right)
        fail_msg("%s at %lld: step %lld was taken, %s", what, (long long)place, (long long)step,
                 taken.right ? "right" : "wrong");
    char block[48];
    snprintf(block, sizeof block, "is damaged in block %lld (",
             (long long)(place / CHECKSUM_BLOCK_BYTES));
    if (!strstr(fail_message(), "step-000002.h5") ||
        (place < payload && !strstr(fail_message(), block)) ||
        (place < payload && !strstr(fail_message(), ", in ")))
        fail_msg("%s at %lld: '%s'", what, (long long)place, fail_message());
}

static void flip(int descriptor, int64_t place, int bit)
{
    char byte;
    assert_int_equal(pread(descriptor, &byte, 1, place), 1);
    byte = (char)(byte ^ (1 << bit));
    assert_int_equal(pwrite(descriptor, &byte, 1, place), 1);
}

static void the_checkpoint_before_is_taken_whatever_is_damaged(void **state)
{
    (void)state;
    uint64_t draw = 7;
    ChecksumTrailer trailer;
    Bytes file = {0};
    RunDirectory *run = run_directory_open(&world, path_of("run"));
    save_step(run, 1);
    save_step(run, 2);
    const char *path = path_of("run/step-000002.h5");
    expect_done(regular_read(path, SIZE_MAX, &file));
    int64_t bytes = (int64_t)file.length;
    int descriptor = open(path, O_RDWR);
    expect_done(checksum_read_trailer(descriptor, path, bytes, &trailer));
    for (int i = 0; i < count; i++) {
        int64_t place = choose_place(&draw, bytes);
        int bit = (int)(next(&draw) % 8);
        if (i % 3 == 2) {
            assert_int_equal(ftruncate(descriptor, place), 0);
            expect_the_one_before(run, "truncation", bytes, trailer.payload_bytes);
            expect_done(
                raw_write_at(descriptor, path, file.data + place, (size_t)(bytes - place), place));
            continue;
        }
        flip(descriptor, place, bit);
        expect_the_one_before(run, "flipped bit", place, trailer.payload_bytes);
        flip(descriptor, place, bit);
    }
    Taken taken;
    int64_t step;
    expect_done(run_directory_resume(run, take_model, &taken, &step));
    assert_true(step == 2 && taken.right); // as it was
    close(descriptor);
    checksum_free(&trailer);
    bytes_free(&file);
    run_directory_close(run);
}

int main(int argc, char **argv)
{
    ranks_start(&argc, &argv);
    count = argc > 1 ? atoi(argv[1]) : count;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checkpoint_before_is_taken_whatever_is_damaged),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    ranks_stop();
    return failures;
}
