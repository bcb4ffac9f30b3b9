// test_slurm.c - what the environment and squeue say, read; squeue is a script of ours here
// (tests/slurm has the real one).

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "parallel/slurm.h"
#include "tests/files/scratch.h"

// `commands` answer in the place of squeue.
static void answer_by(const char *commands)
{
    char script[256];
    snprintf(script, sizeof script, "#!/bin/sh\n%s\n", commands);
    scratch_write_text("squeue", script);
    assert_int_equal(chmod(scratch_path("squeue"), 0700), 0);
}

static int make_place(void **state)
{
    char path[4096];
    int status = scratch_make(state);
    snprintf(path, sizeof path, "%s:%s", scratch_path(""), getenv("PATH"));
    return status != 0 ? status : setenv("PATH", path, 1);
}

static int leave_slurm(void **state)
{
    (void)state;
    static const char *const names[] = {
        "SLURM_STEP_NUM_TASKS", "SLURM_PROCID",        "SLURM_JOB_ID",
        "SLURM_CLUSTER_NAME",   "PMIX_RANK",           "PMI_RANK",
        "SLURM_JOB_END_TIME",   "OMPI_COMM_WORLD_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    return 0;
}

static void durations_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } list[] = {{"0:00\n", 0},
                {"1:05\n", 65},
                {"59:59\n", 3599},
                {"2:00:01\n", 7201},
                {"1-02:03:04\n", 93784},
                {"365-00:00:00\n", 31536000},
                {"UNLIMITED\n", INFINITY}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        assert_true(slurm_read_duration(list[i].text) == list[i].seconds);
    static const char *const bad[] = {"",        "\n",         "INVALID\n", "NOT_SET\n",
                                      "5\n",     "1:2:3:4\n",  ":5\n",      "1:\n",
                                      "-1:00\n", "1-2-3:00\n", "1:00 \n",   "1:00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(isnan(slurm_read_duration(bad[i])));
}

static void the_end_of_the_job_comes_from_the_environment_or_squeue(void **state)
{
    (void)state;
    char text[32];
    answer_by("exit 1");
    assert_true(isinf(slurm_seconds_left())); // no job
    setenv("SLURM_JOB_ID", "12", 1);
    assert_true(isnan(slurm_seconds_left()));
    answer_by("[ \"$*\" = '--noheader --states=all --jobs 12 --format %L' ] && echo 1:30:00");
    assert_true(slurm_seconds_left() == 5400);
    answer_by("echo UNLIMITED");
    assert_true(isinf(slurm_seconds_left()));
    answer_by("printf 1:00");
    assert_true(isnan(slurm_seconds_left()));
    snprintf(text, sizeof text, "%lld", (long long)time(NULL) + 100);
    setenv("SLURM_JOB_END_TIME", text, 1);
    double left = slurm_seconds_left();
    assert_true(left > 90 && left <= 100);
    setenv("SLURM_JOB_END_TIME", "soon", 1);
    answer_by("echo 0:07");
    assert_true(slurm_seconds_left() == 7);
}

static void a_job_has_ended_when_squeue_says_so_or_knows_it_no_more(void **state)
{
    (void)state;
    answer_by("[ \"$*\" = '--noheader --states=all --jobs 7,7 --format %T' ] && echo COMPLETED");
    assert_false(slurm_job_has_ended("7@here")); // on no cluster
    setenv("SLURM_CLUSTER_NAME", "here", 1);
    assert_true(slurm_job_has_ended("7@here"));
    assert_false(slurm_job_has_ended("7@there"));
    assert_false(slurm_job_has_ended("7"));
    assert_false(slurm_job_has_ended("none"));
    assert_false(slurm_job_has_ended("7;true@here"));
    answer_by("true");
    assert_true(slurm_job_has_ended("7@here"));
    static const char *const alive[] = {
        "echo RUNNING",        "echo PENDING",       "echo COMPLETING", "echo FAILED; echo RUNNING",
        "echo FAILED; exit 1", "echo COMPLETED_NOT", "echo COMPLETE"};
    for (size_t i = 0; i < sizeof alive / sizeof *alive; i++) {
        answer_by(alive[i]);
        assert_false(slurm_job_has_ended("7@here"));
    }
    answer_by("echo TIMEOUT; echo NODE_FAIL");
    assert_true(slurm_job_has_ended("7@here"));
}

static void the_job_has_a_name(void **state)
{
    (void)state;
    char name[SLURM_JOB_BYTES];
    slurm_name_job(name);
    assert_string_equal(name, "none");
    setenv("SLURM_JOB_ID", "7", 1);
    slurm_name_job(name);
    assert_string_equal(name, "7");
    setenv("SLURM_CLUSTER_NAME", "here", 1);
    slurm_name_job(name);
    assert_string_equal(name, "7@here");
    setenv("SLURM_JOB_ID", "7 8", 1);
    slurm_name_job(name);
    assert_string_equal(name, "none");
}

static void tasks_that_do_not_know_each_other_are_refused(void **state)
{
    (void)state;
    assert_int_equal(slurm_check_launch(), 0);
    assert_int_equal(slurm_check_ranks(1), 0);
    setenv("SLURM_STEP_NUM_TASKS", "1", 1);
    assert_int_equal(slurm_check_launch(), 0);
    assert_int_equal(slurm_check_ranks(1), 0);
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    assert_int_equal(slurm_check_launch(), -1);
    assert_failed(EXIT_USAGE, "srun started 4 tasks");
    assert_int_equal(slurm_check_ranks(1), -1);
    assert_failed(EXIT_USAGE, "use srun --mpi=pmix");
    assert_int_equal(slurm_check_ranks(4), 0);
    setenv("PMIX_RANK", "0", 1);
    assert_int_equal(slurm_check_launch(), 0);
    assert_int_equal(slurm_check_ranks(1), -1);
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1); // mpirun, which srun started on other nodes
    unsetenv("PMIX_RANK");
    assert_int_equal(slurm_check_launch(), 0);
    assert_int_equal(slurm_check_ranks(1), 0);
    assert_true(slurm_speaks());
    setenv("SLURM_PROCID", "1", 1);
    assert_false(slurm_speaks());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_strictly),
        cmocka_unit_test_setup(the_end_of_the_job_comes_from_the_environment_or_squeue,
                               leave_slurm),
        cmocka_unit_test_setup(a_job_has_ended_when_squeue_says_so_or_knows_it_no_more,
                               leave_slurm),
        cmocka_unit_test_setup(the_job_has_a_name, leave_slurm),
        cmocka_unit_test_setup(tasks_that_do_not_know_each_other_are_refused, leave_slurm),
    };
    return cmocka_run_group_tests(tests, make_place, scratch_remove);
}
