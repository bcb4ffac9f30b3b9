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
#include "files/directory.h"
#include "files/raw.h"
#include "files/run_files.h"
#include "store/run_directory.h"
#include "tests/store/model.h"

static Group world;
static char directory[256];

static const char *path_of(const char *name)
{
    enum { BUFFERS = 4 };
    static char paths[BUFFERS][512];
    static int turn;
    char *path = paths[turn++ % BUFFERS];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void expect_failure(ExitCode code, const char *part)
{
    if (fail_code() != code || !strstr(fail_message(), part))
        fail_msg("rank %d: failure %d '%s', expected %d '%s'", world.rank, (int)fail_code(),
                 fail_message(), (int)code, part);
}

static void expect_done(int status)
{
    if (status)
        fail_msg("rank %d: %s", world.rank, fail_message());
}

static void write_model(const Group *group, const char *path, uint32_t version)
{
    Model model = model_make(group, version);
    expect_done(checkpoint_write(group, path, model.items, model.count, model.attributes, 3));
    model_free(&model);
}

// A group of the first `size` ranks; size 0 on the others.
static Group first_ranks(int size)
{
    return group_split(&world, world.rank < size ? 0 : -1);
}

static void read_model(const Group *group, const char *path, uint32_t version)
{
    Model expected = model_make(group, version), model = model_make(group, version + 1);
    Checkpoint *checkpoint = checkpoint_open(group, path, true);
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
        expect_done(raw_read_file(path_of("all.h5"), SIZE_MAX, &a));
        expect_done(raw_read_file(path_of("one.h5"), SIZE_MAX, &b));
        assert_int_equal(a.length, b.length);
        assert_memory_equal(a.data, b.data, a.length);
        bytes_free(&a);
        bytes_free(&b);
    }
    group_free(&one);
    group_barrier(&world);
}

static void the_size_on_disk_is_known_beforehand(void **state)
{
    (void)state;
    Model model = model_make(&world, 1);
    expect_done(checkpoint_write(&world, path_of("size.h5"), model.items, model.count, NULL, 0));
    struct stat status;
    assert_int_equal(stat(path_of("size.h5"), &status), 0);
    int64_t expected = checkpoint_bytes(model.items, model.count);
    assert_in_range(status.st_size, expected - 300000, expected);
    model_free(&model);
}

static void elements_that_nobody_holds_are_refused(void **state)
{
    (void)state;
    Model model = model_make(&world, 1);
    if (world.rank == world.size - 1)
        model.items[0].count--;
    assert_int_equal(
        checkpoint_write(&world, path_of("hole.h5"), model.items, model.count, NULL, 0), -1);
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
    assert_int_equal(checkpoint_write(&world, path_of("bad.h5"), model.items, model.count, NULL, 0),
                     -1);
    expect_failure(EXIT_BUG, "'/weights/a'");
    if (world.rank == last)
        model.items[0].shape[0]--;
    if (world.rank == last && last > 0)
        model.items[0].name = "/weights/unknown";
    int status = checkpoint_write(&world, path_of("bad.h5"), model.items, model.count, NULL, 0);
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
        int status = checkpoint_write(&world, path, model.items, model.count, model.attributes, 3);
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
    assert_int_equal(
        checkpoint_write(&world, path_of("nowhere/x.h5"), model.items, model.count, NULL, 0), -1);
    expect_failure(EXIT_CANNOT_CREATE, "nowhere/x.h5");
    assert_null(checkpoint_open(&world, path_of("nowhere/x.h5"), true));
    expect_failure(EXIT_NO_INPUT, "nowhere/x.h5");
    model_free(&model);
}

static void a_checkpoint_of_another_model_is_refused(void **state)
{
    (void)state;
    write_model(&world, path_of("other.h5"), 1);
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("other.h5"), true);
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
    item.type = STORED_BF16;
    assert_int_equal(checkpoint_read(checkpoint, &item, 1), -1);
    expect_failure(EXIT_BAD_DATA, "is stored as F32, this run needs BF16");
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
    expect_done(checkpoint_write(&world, path_of("wide.h5"), &item, 1, NULL, 0));
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("wide.h5"), true);
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

static void damage(const char *path, int64_t offset)
{
    Bytes file = {0};
    if (world.rank == 0) {
        expect_done(raw_read_file(path, SIZE_MAX, &file));
        file.data[offset] ^= 4;
        FILE *stream = fopen(path, "wb");
        assert_int_equal(fwrite(file.data, 1, file.length, stream), file.length);
        fclose(stream);
        bytes_free(&file);
    }
    group_barrier(&world);
}

static void damage_is_told_to_all_with_the_tensor(void **state)
{
    (void)state;
    write_model(&world, path_of("damaged.h5"), 1);
    Checkpoint *checkpoint = checkpoint_open(&world, path_of("damaged.h5"), true);
    assert_non_null(checkpoint);
    int64_t offset = checkpoint_tensor(checkpoint, "/weights/large")->offset + 2500000;
    checkpoint_close(checkpoint);
    damage(path_of("damaged.h5"), offset);
    assert_null(checkpoint_open(&world, path_of("damaged.h5"), true));
    expect_failure(EXIT_BAD_DATA, "is damaged in block");
    expect_failure(EXIT_BAD_DATA, "in /weights/large");
    checkpoint = checkpoint_open(&world, path_of("damaged.h5"), false);
    assert_non_null(checkpoint); // as asked: unverified
    checkpoint_close(checkpoint);
}

static void write_step(RunDirectory *run, int64_t step, bool is_best, KeepPolicy policy)
{
    char *path = run_directory_checkpoint_path(run, step);
    write_model(&world, path, (uint32_t)step);
    expect_done(run_directory_publish(run, step, is_best, policy));
    release(path);
}

static void expect_steps(const char *run, const int64_t *expected, int64_t count)
{
    int64_t *steps;
    group_barrier(&world);
    assert_int_equal(run_files_list(path_of(run), &steps), count);
    assert_memory_equal(steps, expected, (size_t)count * sizeof *steps);
    release(steps);
    group_barrier(&world);
}

static void old_checkpoints_are_pruned_as_the_policy_says(void **state)
{
    (void)state;
    RunDirectory *run = run_directory_open(&world, path_of("pruned"));
    assert_non_null(run);
    KeepPolicy policy = {.keep_last = 2, .keep_every = 4, .keep_best = true};
    for (int64_t step = 1; step <= 7; step++)
        write_step(run, step, step == 3, policy);
    expect_steps("pruned", (const int64_t[]){7, 6, 4, 3}, 4);
    assert_int_equal(run_files_pointer(path_of("pruned"), "LATEST"), 7);
    assert_int_equal(run_files_pointer(path_of("pruned"), "BEST"), 3);
    // A run taken up at step 5 after step 7 proved bad: the new one stays, 7 is left for the user.
    write_step(run, 5, false, (KeepPolicy){.keep_last = 1});
    expect_steps("pruned", (const int64_t[]){7, 6, 5}, 3);
    write_step(run, 8, false, (KeepPolicy){0});
    expect_steps("pruned", (const int64_t[]){8, 7, 6, 5}, 4);
    assert_int_equal(run_directory_publish(run, 99, false, policy), -1);
    expect_failure(EXIT_CANNOT_WRITE, "has vanished");
    run_directory_close(run);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    (void)state;
    RunDirectory *run = run_directory_open(&world, path_of("fallback"));
    Checkpoint *checkpoint;
    int64_t step;
    expect_done(run_directory_resume(run, &checkpoint, &step));
    assert_null(checkpoint);
    assert_int_equal(step, -1);
    for (int64_t i = 1; i <= 3; i++)
        write_step(run, i, false, (KeepPolicy){0});
    damage(path_of("fallback/step-000003.h5"), 5000);
    expect_done(run_directory_resume(run, &checkpoint, &step));
    assert_non_null(checkpoint);
    assert_int_equal(step, 2);
    int64_t written;
    expect_done(checkpoint_integer(checkpoint, "step", &written));
    assert_int_equal(written, 2);
    checkpoint_close(checkpoint);
    damage(path_of("fallback/step-000001.h5"), 5000);
    damage(path_of("fallback/step-000002.h5"), 5000);
    assert_int_equal(run_directory_resume(run, &checkpoint, &step), -1);
    assert_null(checkpoint);
    expect_failure(EXIT_BAD_DATA, "none of the 3 checkpoints");
    expect_failure(EXIT_BAD_DATA, "step-000001.h5");
    run_directory_close(run);
}

static void a_second_job_is_refused(void **state)
{
    (void)state;
    RunDirectory *run = run_directory_open(&world, path_of("locked"));
    assert_non_null(run);
    assert_null(run_directory_open(&world, path_of("locked")));
    expect_failure(EXIT_CANNOT_CREATE, "the run is in use");
    char host[128] = "", expected[200];
    gethostname(host, sizeof host - 1);
    long pid = (long)getpid();
    group_broadcast(&world, &pid, sizeof pid, 0);
    snprintf(expected, sizeof expected, "process %ld on %s (job none)", pid, host);
    if (!getenv("SLURM_JOB_ID"))
        expect_failure(EXIT_CANNOT_CREATE, expected);
    run_directory_close(run);
    group_barrier(&world);
    run = run_directory_open(&world, path_of("locked"));
    assert_non_null(run);
    run_directory_close(run);
    group_barrier(&world);
}

static void a_dead_jobs_lock_and_leavings_are_taken_over(void **state)
{
    (void)state;
    if (world.rank == 0) {
        expect_done(directory_make(path_of("dead")));
        FILE *lock = fopen(path_of("dead/lock"), "w");
        fputs("host=elsewhere pid=1 job=77\n", lock);
        fclose(lock);
        fclose(fopen(path_of("dead/step-000004.h5.tmp-1-0"), "w"));
    }
    group_barrier(&world);
    RunDirectory *run = run_directory_open(&world, path_of("dead"));
    assert_non_null(run);
    assert_int_equal(access(path_of("dead/step-000004.h5.tmp-1-0"), F_OK), -1);
    run_directory_close(run);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    world = group_world();
    const char *root = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/learn2ask-XXXXXX", root && root[0] ? root : "/tmp");
    if (world.rank == 0 && !mkdtemp(directory))
        die(EXIT_CANNOT_CREATE, "cannot make %s", directory);
    group_broadcast(&world, directory, sizeof directory, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_ranks_reads_what_any_number_wrote),
        cmocka_unit_test(the_file_does_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(the_size_on_disk_is_known_beforehand),
        cmocka_unit_test(elements_that_nobody_holds_are_refused),
        cmocka_unit_test(ranks_that_disagree_about_a_tensor_are_refused),
        cmocka_unit_test(a_full_disk_on_one_rank_keeps_the_old_checkpoint),
        cmocka_unit_test(a_directory_that_is_missing_is_told_to_all),
        cmocka_unit_test(a_checkpoint_of_another_model_is_refused),
        cmocka_unit_test(bf16_is_widened_where_fp32_is_wanted),
        cmocka_unit_test(damage_is_told_to_all_with_the_tensor),
        cmocka_unit_test(old_checkpoints_are_pruned_as_the_policy_says),
        cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(a_second_job_is_refused),
        cmocka_unit_test(a_dead_jobs_lock_and_leavings_are_taken_over),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_barrier(&world);
    if (world.rank == 0 && directory_remove_tree(directory))
        die_failed();
    group_free(&world);
    group_stop();
    return failures;
}
