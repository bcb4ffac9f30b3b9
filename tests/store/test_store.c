#include "tests/testing.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/checksum.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "tests/store/model.h"
#include "tests/store/ranks.h"

// A group of the first `size` ranks; size 0 on the others.
static Group first_ranks(int size)
{
    return group_split(&world, world.rank < size ? 0 : -1, "first ranks");
}

static void read_model(const Group *group, const char *path, uint32_t version)
{
    Model expected = model_make(group, version), model = model_make(group, version + 1);
    Checkpoint *checkpoint = checkpoint_open(group, path);
    if (!checkpoint)
        fail_msg("rank %d: %s", world.rank, fail_message());
    expect_done(checkpoint_read(checkpoint, model.items, model.count));
    assert_true(model_equal(&model, &expected));
    const char *text;
    int64_t step;
    double best;
    expect_done(checkpoint_text(checkpoint, "config", &text));
    expect_done(checkpoint_integer(checkpoint, "step", &step));
    expect_done(checkpoint_real(checkpoint, "best", &best));
    assert_string_equal(text, "[train]\nseed = 1\n");
    assert_int_equal(step, version);
    assert_true(best == 0.1);
    assert_int_equal(checkpoint_integer(checkpoint, "config", &step), -1);
    expect_failure(EXIT_BAD_DATA, "no whole-number attribute 'config'");
    assert_int_equal(checkpoint_text(checkpoint, "absent", &text), -1);
    expect_done(checkpoint_verify(checkpoint));
    checkpoint_close(checkpoint);
    model_free(&model);
    model_free(&expected);
}

static void any_number_of_ranks_reads_what_any_number_wrote(void **state)
{
    (void)state;
    for (int writers = 1; writers <= world.size; writers++) {
        Group group = first_ranks(writers);
        if (group.size > 0)
            write_model(&group, path_of("any.h5"), (uint32_t)writers);
        group_free(&group);
        for (int readers = 1; readers <= world.size; readers++) {
            group_barrier(&world);
            group = first_ranks(readers);
            if (group.size > 0)
                read_model(&group, path_of("any.h5"), (uint32_t)writers);
            group_free(&group);
        }
        group_barrier(&world);
    }
}

static void the_file_does_not_depend_on_the_number_of_ranks(void **state)
{
    (void)state;
    Group one = first_ranks(1);
    write_model(&world, path_of("all.h5"), 1);
    if (one.size > 0) {
        Bytes a = {0}, b = {0};
        write_model(&one, path_of("one.h5"), 1);
        expect_done(regular_read(path_of("all.h5"), SIZE_MAX, &a));
        expect_done(regular_read(path_of("one.h5"), SIZE_MAX, &b));
        assert_int_equal(a.length, b.length);
        assert_memory_equal(a.data, b.data, a.length);
        bytes_free(&a);
        bytes_free(&b);
    }
    group_free(&one);
    group_barrier(&world);
}

static void elements_that_nobody_holds_are_refused(void **state)
{
    (void)state;
    Model model = model_make(&world, 1);
    if (world.rank == world.size - 1)
        model.items[0].count--;
    assert_int_equal(checkpoint_write(&world, path_of("hole.h5"), model_content(&model)), -1);
    expect_failure(EXIT_BUG, "no rank holds element 9999 of '/weights/a'");
    assert_int_equal(access(path_of("hole.h5"), F_OK), -1);
    model_free(&model);
}

static void ranks_that_disagree_about_a_tensor_are_refused(void **state)
{
    (void)state;
    Model model = model_make(&world, 1);
    int last = world.size - 1;
    if (world.rank == last)
        model.items[0].shape[0]++;
    assert_int_equal(checkpoint_write(&world, path_of("bad.h5"), model_content(&model)), -1);
    expect_failure(EXIT_BUG, "'/weights/a'");
    if (world.rank == last)
        model.items[0].shape[0]--;
    if (world.rank == last && last > 0)
        model.items[0].name = "/weights/unknown";
    int status = checkpoint_write(&world, path_of("bad.h5"), model_content(&model));
    assert_int_equal(status, last > 0 ? -1 : 0);
    if (last > 0)
        expect_failure(EXIT_BUG, "rank 0 does not list '/weights/unknown'");
    model_free(&model);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
}

static int entries(const char *path)
{
    int64_t *steps;
    int64_t count = run_files_list(path, &steps);
    release(steps);
    return (int)count;
}

static void a_full_disk_on_one_rank_keeps_the_old_checkpoint(void **state)
{
    (void)state;
    expect_done(directory_make(path_of("full")));
    group_barrier(&world);
    const char *path = path_of("full/step-000001.h5");
    write_model(&world, path, 1);
    for (int rank = 0; rank < world.size; rank++) {
        Model model = model_make(&world, 2);
        if (world.rank == rank)
            limit_files(4096); // every rank has data behind the first page
        int status = checkpoint_write(&world, path, model_content(&model));
        limit_files(RLIM_INFINITY);
        assert_int_equal(status, -1);
        assert_true(fail_code() == EXIT_CANNOT_WRITE || fail_code() == EXIT_CANNOT_CREATE);
        model_free(&model);
        read_model(&world, path, 1);
        group_barrier(&world);
    }
    assert_int_equal(entries(path_of("full")), 1);
    if (world.rank == 0)
        assert_int_equal(rmdir(path_of("full")), -1); // still holds the checkpoint ...
    group_barrier(&world);
    if (world.rank == 0) {
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(path_of("full")), 0); // ... and nothing else
    }
    group_barrier(&world);
}

static void a_directory_that_is_missing_is_told_to_all(void **state)
{
    (void)state;
    Model model = model_make(&world, 1);
    assert_int_equal(checkpoint_write(&world, path_of("nowhere/x.h5"), model_content(&model)), -1);
    expect_failure(EXIT_CANNOT_CREATE, "nowhere/x.h5");
    assert_null(checkpoint_open(&world, path_of("nowhere/x.h5")));
    expect_failure(EXIT_NO_INPUT, "nowhere/x.h5");
    model_free(&model);
}

static void a_checkpoint_of_another_model_is_refused(void **state)
{
    (void)state;
    write_model(&world, path_of("other.h5"), 1);
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("other.h5"));
    assert_non_null(checkpoint);
    float values[16];
    CheckpointItem item = {
        .name = "/weights/absent", .type = STORED_F32, .rank = 1, .shape = {4}, .data = values};
    assert_int_equal(checkpoint_read(checkpoint, &item, 1), -1);
    expect_failure(EXIT_BAD_DATA, "has no '/weights/absent'");
    item.name = "/weights/a";
    assert_int_equal(checkpoint_read(checkpoint, &item, 1), -1);
    expect_failure(EXIT_BAD_DATA, "has shape [100, 100], this run needs [4]");
    item.rank = 2;
    item.shape[0] = item.shape[1] = 100;
    item.type = STORED_F16;
    assert_int_equal(checkpoint_read(checkpoint, &item, 1), -1);
    expect_failure(EXIT_BAD_DATA, "is stored as F32, this run needs F16");
    // One rank's failure is everybody's.
    item.type = world.rank == world.size - 1 ? STORED_I64 : STORED_F32;
    assert_int_equal(checkpoint_read(checkpoint, &item, 1), -1);
    expect_failure(EXIT_BAD_DATA, "this run needs I64");
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, "/weights/a");
    assert_int_equal(tensor->shape[1], 100);
    assert_null(checkpoint_tensor(checkpoint, "/weights/absent"));
    checkpoint_close(checkpoint);
}

static void bf16_is_widened_where_fp32_is_wanted(void **state)
{
    (void)state;
    uint16_t stored[6] = {0x3f80, 0xc000, 0, 0x8000, 0x7f80, 1};
    float values[6] = {0};
    CheckpointItem item = {.name = "/m",
                           .type = STORED_BF16,
                           .rank = 1,
                           .shape = {6},
                           .count = world.rank == 0 ? 6 : 0,
                           .data = stored};
    expect_done(checkpoint_write(&world, path_of("wide.h5"),
                                 (CheckpointContent){.items = &item, .count = 1}));
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("wide.h5"));
    item.type = STORED_F32;
    item.count = 6;
    item.data = values;
    expect_done(checkpoint_read(checkpoint, &item, 1));
    assert_true(values[0] == 1 && values[1] == -2);
    for (int i = 0; i < 6; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        assert_int_equal(bits, (uint32_t)stored[i] << 16);
    }
    checkpoint_close(checkpoint);
}

static void fp32_is_rounded_where_bf16_is_wanted(void **state)
{
    (void)state;
    enum { COUNT = 10000, FIRST = 3 }; // more than is converted at a time
    float values[COUNT];
    uint16_t narrow[COUNT - FIRST], wanted[COUNT - FIRST];
    for (int i = 0; i < COUNT; i++)
        values[i] = 1 / (3.0f + (float)i);
    CheckpointItem item = {.name = "/m",
                           .type = STORED_F32,
                           .rank = 1,
                           .shape = {COUNT},
                           .count = world.rank == 0 ? COUNT : 0,
                           .data = values};
    expect_done(checkpoint_write(&world, path_of("narrow.h5"),
                                 (CheckpointContent){.items = &item, .count = 1}));
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("narrow.h5"));
    item.type = STORED_BF16;
    item.first = FIRST;
    item.count = COUNT - FIRST;
    item.data = narrow;
    expect_done(checkpoint_read(checkpoint, &item, 1));
    stored_type_from_f32(STORED_BF16, values + FIRST, COUNT - FIRST, wanted);
    assert_memory_equal(narrow, wanted, sizeof wanted);
    checkpoint_close(checkpoint);
}

static void damage_is_told_to_all_with_the_tensor(void **state)
{
    (void)state;
    char place[64];
    write_model(&world, path_of("damaged.h5"), 1);
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("damaged.h5"));
    assert_non_null(checkpoint);
    int64_t offset = checkpoint_tensor(checkpoint, "/weights/large")->offset + 1500000;
    checkpoint_close(checkpoint);
    damage(path_of("damaged.h5"), offset);
    Model model = model_make(&world, 1);
    checkpoint = checkpoint_open(&world, path_of("damaged.h5"));
    assert_non_null(checkpoint); // nobody has looked there so far
    expect_done(checkpoint_read(checkpoint, model.items, 1));
    assert_false(checkpoint_damaged(checkpoint));
    assert_int_equal(checkpoint_read(checkpoint, model.items, model.count), -1);
    snprintf(place, sizeof place, "is damaged in block %lld ",
             (long long)(offset / CHECKSUM_BLOCK_BYTES));
    expect_failure(EXIT_BAD_DATA, place);
    expect_failure(EXIT_BAD_DATA, "in /weights/large");
    assert_true(checkpoint_damaged(checkpoint));
    checkpoint_close(checkpoint);
    checkpoint = checkpoint_open(&world, path_of("damaged.h5"));
    assert_int_equal(checkpoint_verify(checkpoint), -1); // read by nobody, found all the same
    expect_failure(EXIT_BAD_DATA, "in /weights/large");
    checkpoint_close(checkpoint);
    model_free(&model);
}

int main(int argc, char **argv)
{
    ranks_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_ranks_reads_what_any_number_wrote),
        cmocka_unit_test(the_file_does_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(elements_that_nobody_holds_are_refused),
        cmocka_unit_test(ranks_that_disagree_about_a_tensor_are_refused),
        cmocka_unit_test(a_full_disk_on_one_rank_keeps_the_old_checkpoint),
        cmocka_unit_test(a_directory_that_is_missing_is_told_to_all),
        cmocka_unit_test(a_checkpoint_of_another_model_is_refused),
        cmocka_unit_test(bf16_is_widened_where_fp32_is_wanted),
        cmocka_unit_test(fp32_is_rounded_where_bf16_is_wanted),
        cmocka_unit_test(damage_is_told_to_all_with_the_tensor),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    ranks_stop();
    return failures;
}
