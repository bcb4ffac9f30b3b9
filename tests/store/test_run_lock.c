// test_run_lock.c - whose lock is respected: by host, process and job, on file systems with a
// flock, with one that may hold on one node only, and without.

#include "tests/testing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/run_lock.h"
#include "tests/files/scratch.h"

static long file_system = 0xEF53; // ext4
static bool has_flock = true;

// In the place of the C library's.
int fstatfs(int descriptor, struct statfs *status)
{
    (void)descriptor;
    *status = (struct statfs){.f_type = file_system};
    return 0;
}

int flock(int descriptor, int operation)
{
    if (has_flock)
        return (int)syscall(SYS_flock, descriptor, operation);
    errno = ENOSYS;
    return -1;
}

static void leave_by(const char *host, long pid, const char *job)
{
    char text[256];
    snprintf(text, sizeof text, "host=%s pid=%ld job=%s\n", host, pid, job);
    scratch_write_text("lock", text);
}

static void expect_taken(void)
{
    int lock = run_lock_take(scratch_path(""));
    assert_true(lock >= 0);
    run_lock_release(lock);
}

static void expect_refused(const char *by)
{
    assert_int_equal(run_lock_take(scratch_path("")), -1);
    assert_failed(EXIT_CANNOT_CREATE, "the run is in use");
    assert_failed(EXIT_CANNOT_CREATE, by);
}

// This job is 12@here; `answer` is what squeue prints of job 7.
static int become_a_job(const char *answer)
{
    char script[128];
    snprintf(script, sizeof script, "#!/bin/sh\n%s\n", answer);
    scratch_write_text("squeue", script);
    assert_int_equal(chmod(scratch_path("squeue"), 0700), 0);
    setenv("SLURM_JOB_ID", "12", 1);
    return setenv("SLURM_CLUSTER_NAME", "here", 1);
}

static int begin(void **state)
{
    (void)state;
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_CLUSTER_NAME");
    file_system = 0xEF53;
    has_flock = true;
    return 0;
}

static int make_place(void **state)
{
    char path[4096];
    int status = scratch_make(state);
    snprintf(path, sizeof path, "%s:%s", scratch_path(""), getenv("PATH"));
    return status != 0 ? status : setenv("PATH", path, 1);
}

static const char *this_host(void)
{
    static char host[128];
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    return host;
}

enum { NOBODY = 4194304 + 1 }; // no process can have that number

static void a_lock_says_whose_it_is_and_is_empty_when_given_back(void **state)
{
    (void)state;
    char expected[256];
    become_a_job("exit 1");
    int lock = run_lock_take(scratch_path(""));
    snprintf(expected, sizeof expected, "host=%s pid=%ld job=12@here\n", this_host(),
             (long)getpid());
    size_t bytes;
    char *text = scratch_read("lock", &bytes);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(text, expected, bytes);
    release(text);
    snprintf(expected, sizeof expected, "process %ld on %s (job 12@here)", (long)getpid(),
             this_host());
    expect_refused(expected); // the same process by another descriptor
    run_lock_release(lock);
    text = scratch_read("lock", &bytes);
    assert_int_equal(bytes, 0);
    release(text);
}

static void with_flock_what_nobody_holds_is_taken_over(void **state)
{
    (void)state;
    leave_by(this_host(), 1, "none"); // a process of that number lives, and is another one
    expect_taken();
    leave_by("elsewhere", 1, "7@there");
    expect_taken();
}

static void where_flock_may_not_reach_other_nodes_their_holders_are_respected(void **state)
{
    (void)state;
    static const long doubtful[] = {0x0BD00BD0, 0x19830326, 0x47504653, 0x65735546};
    for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
        file_system = doubtful[i];
        leave_by("elsewhere", 1, "none");
        expect_refused("process 1 on elsewhere (job none)");
        leave_by(this_host(), 1, "none");
        expect_taken();
    }
}

static void without_flock_a_living_process_and_another_node_are_respected(void **state)
{
    (void)state;
    has_flock = false;
    leave_by(this_host(), (long)getppid(), "none");
    expect_refused("(job none)");
    leave_by(this_host(), NOBODY, "none");
    expect_taken();
    leave_by("elsewhere", NOBODY, "none");
    expect_refused("on elsewhere");
}

static void a_job_that_slurm_knows_to_have_ended_holds_nothing(void **state)
{
    (void)state;
    for (int flocks = 0; flocks < 2; flocks++) {
        has_flock = flocks;
        file_system = 0x0BD00BD0;
        become_a_job("echo RUNNING");
        leave_by("elsewhere", 1, "7@here");
        expect_refused("process 1 on elsewhere (job 7@here)");
        become_a_job("echo TIMEOUT");
        leave_by("elsewhere", 1, "7@here");
        expect_taken();
        leave_by("elsewhere", 1, "7@there");
        expect_refused("(job 7@there)");
        become_a_job("exit 1"); // no answer
        leave_by("elsewhere", 1, "7@here");
        expect_refused("(job 7@here)");
        leave_by("elsewhere", 1, "12@here"); // this job before it was requeued
        expect_taken();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_lock_says_whose_it_is_and_is_empty_when_given_back, begin),
        cmocka_unit_test_setup(with_flock_what_nobody_holds_is_taken_over, begin),
        cmocka_unit_test_setup(where_flock_may_not_reach_other_nodes_their_holders_are_respected,
                               begin),
        cmocka_unit_test_setup(without_flock_a_living_process_and_another_node_are_respected,
                               begin),
        cmocka_unit_test_setup(a_job_that_slurm_knows_to_have_ended_holds_nothing, begin),
    };
    return cmocka_run_group_tests(tests, make_place, scratch_remove);
}
