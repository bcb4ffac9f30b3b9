#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "store/run_directory.h"
#include "tests/store/model.h"
#include "tests/store/ranks.h"

enum { REFUSED = -9 };

static void write_step(RunDirectory *run, int64_t step, bool is_best, KeepPolicy policy)
{
    Model model = model_make(&world, (uint32_t)step);
    expect_done(run_directory_save(run, &(RunSave){step, is_best, policy, model_content(&model)}));
    assert_true(run_directory_saves(run));
    double seconds;
    expect_done(run_directory_save_end(run, &seconds));
    assert_true(seconds > 0);
    assert_false(run_directory_saves(run));
    model_free(&model);
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
    run_directory_close(run);
}

// Reads nothing, so that all blocks are left to the verification, or refuses.
static int take_step(void *context, Checkpoint *checkpoint)
{
    int64_t *step = context;
    if (*step == REFUSED)
        return fail(EXIT_BAD_DATA, "not wanted");
    return checkpoint_integer(checkpoint, "step", step);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    (void)state;
    RunDirectory *run = run_directory_open(&world, path_of("fallback"));
    int64_t step, written = 0;
    expect_done(run_directory_resume(run, take_step, &written, &step));
    assert_int_equal(step, -1);
    for (int64_t i = 1; i <= 3; i++)
        write_step(run, i, false, (KeepPolicy){0});
    damage(path_of("fallback/step-000003.h5"), 5000);
    expect_done(run_directory_resume(run, take_step, &written, &step));
    assert_int_equal(step, 2);
    assert_int_equal(written, 2);
    // Who refuses a good one is not given an older one.
    written = REFUSED;
    assert_int_equal(run_directory_resume(run, take_step, &written, &step), -1);
    expect_failure(EXIT_BAD_DATA, "not wanted");
    written = 0;
    damage(path_of("fallback/step-000001.h5"), 5000);
    damage(path_of("fallback/step-000002.h5"), 1000000);
    assert_int_equal(run_directory_resume(run, take_step, &written, &step), -1);
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
    // Also when the file does not tell by whom.
    group_barrier(&world);
    if (world.rank == 0)
        assert_int_equal(truncate(path_of("locked/lock"), 0), 0);
    assert_null(run_directory_open(&world, path_of("locked")));
    expect_failure(EXIT_CANNOT_CREATE, "on unknown");
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
        assert_non_null(lock);
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
    ranks_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_checkpoints_are_pruned_as_the_policy_says),
        cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(a_second_job_is_refused),
        cmocka_unit_test(a_dead_jobs_lock_and_leavings_are_taken_over),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    ranks_stop();
    return failures;
}
