// test_requests.c - when a run is asked to stop: the arithmetic of the wall time, the order of
// requests, and the record of starts that got nowhere.

#include "tests/testing.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tasks/requests.h"
#include "tests/files/scratch.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void the_earlier_end_counts(void **state)
{
    (void)state;
    WallTime none = wall_time_make(100, 0, 130, INFINITY, 0);
    assert_true(isinf(none.end));
    WallTime hours = wall_time_make(100, 0.5, 130, INFINITY, 0);
    assert_true(near(hours.end, 1900));
    assert_string_equal(hours.set_by, "run.max_hours");
    WallTime job = wall_time_make(100, 0.5, 130, 1000, 0);
    assert_true(near(job.end, 1130));
    assert_string_equal(job.set_by, "the batch job");
    WallTime later = wall_time_make(100, 0.5, 1000, 1500, 0);
    assert_true(near(later.end, 1900));
    WallTime unknown = wall_time_make(100, 0, 130, NAN, 0);
    assert_true(isinf(unknown.end));
    WallTime over = wall_time_make(100, 0, 130, -5, 0);
    assert_true(near(over.end, 125));
}

static void the_longest_of_each_kind_is_what_is_reckoned_with(void **state)
{
    (void)state;
    WallTime wall_time = wall_time_make(0, 1, 0, INFINITY, 1000000000);
    // Nothing is known but the size of a checkpoint.
    assert_true(near(wall_time_need(&wall_time, true, true), 6 + 60));
    wall_time_took(&wall_time, WORK_STEP, 10);
    wall_time_took(&wall_time, WORK_STEP, 4);
    wall_time_took(&wall_time, WORK_EVALUATION, 100);
    wall_time_took(&wall_time, WORK_CHECKPOINT, 2);
    wall_time_took(&wall_time, WORK_CHECKPOINT, 6);
    assert_true(near(wall_time_need(&wall_time, true, false), 12 + 9 + 60));
    assert_true(near(wall_time_need(&wall_time, false, true), 120 + 9 + 60));
    assert_true(near(wall_time_need(&wall_time, true, true), 132 + 9 + 60));
}

static void times_are_printed_for_people(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } list[] = {{0, "0:00:00"},
                {59.9, "0:00:59"},
                {3661, "1:01:01"},
                {360000, "100:00:00"},
                {-3, "0:00:00"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        Bytes text = {0};
        wall_time_print(list[i].seconds, &text);
        assert_string_equal(text.data, list[i].text);
        bytes_free(&text);
    }
}

// A run with `left` seconds of its own, in the scratch directory; no batch job.
static Requests open_requests(double left)
{
    Settings settings = {
        .run = {.directory = (char *)(uintptr_t)scratch_path(""), .max_hours = left / 3600}};
    Requests requests = {0};
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_END_TIME");
    requests_open(&requests, &settings, clock_now(), 0);
    return requests;
}

static void what_does_not_fit_any_more_is_not_begun(void **state)
{
    (void)state;
    Requests requests = open_requests(100);
    wall_time_took(&requests.wall_time, WORK_STEP, 20); // needs 84
    assert_int_equal(requests_look(&requests, true, false), REQUEST_NONE);
    wall_time_took(&requests.wall_time, WORK_EVALUATION, 20); // 84; with a step 108
    assert_int_equal(requests_look(&requests, false, true), REQUEST_NONE);
    assert_int_equal(requests.reason.length, 0);
    assert_int_equal(requests_look(&requests, true, true), REQUEST_STOP);
    assert_non_null(strstr(requests.reason.data, "run.max_hours leaves 0:01:"));
    assert_non_null(strstr(requests.reason.data, "the next step with its checkpoint may need "
                                                 "0:01:48"));
    wall_time_took(&requests.wall_time, WORK_CHECKPOINT, 30);
    assert_int_equal(requests_look(&requests, false, true), REQUEST_HURRY);
    assert_int_equal(requests_look(&requests, false, false), REQUEST_NONE); // nothing is left to do
    requests_close(&requests);
}

static void the_file_asks_while_it_is_there(void **state)
{
    (void)state;
    Requests requests = open_requests(0), elsewhere = {0};
    assert_int_equal(requests_look(&requests, true, false), REQUEST_NONE);
    assert_false(requests.file_asks);
    scratch_write_text("STOP", "");
    assert_int_equal(requests_look(&elsewhere, true, false), REQUEST_NONE);
    assert_int_equal(requests_look(&requests, true, false), REQUEST_STOP);
    assert_true(requests.file_asks);
    assert_non_null(strstr(requests.reason.data, "STOP is there"));
    unlink(scratch_path("STOP"));
    assert_int_equal(requests_look(&requests, true, false), REQUEST_NONE);
    assert_false(requests.file_asks);
    requests_close(&requests);
}

// Signals stay for the rest of a process: each case has its own.
static int status_of(void (*run)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        requests_catch_signals();
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void exit_unless(bool right)
{
    if (!right)
        _exit(1);
}

static void send_in_order(void)
{
    Requests requests = {0};
    exit_unless(requests_look(&requests, true, false) == REQUEST_NONE);
    raise(SIGUSR2);
    exit_unless(requests_look(&requests, true, false) == REQUEST_CHECKPOINT);
    requests_answer_checkpoint();
    exit_unless(requests_look(&requests, true, false) == REQUEST_NONE);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR2);
    exit_unless(requests_look(&requests, true, false) == REQUEST_STOP);
    requests_answer_checkpoint();
    raise(SIGTERM);
    exit_unless(requests_look(&requests, true, false) == REQUEST_HURRY);
    exit_unless(strcmp(requests.reason.data, "signal USR1") == 0); // the first one
    requests_close(&requests);
}

static void send_term_twice(void)
{
    raise(SIGTERM);
    raise(SIGTERM);
}

static void the_most_urgent_signal_counts(void **state)
{
    (void)state;
    assert_int_equal(status_of(send_in_order), 0);
    assert_int_equal(status_of(send_term_twice), 128 + SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earlier_end_counts),
        cmocka_unit_test(the_longest_of_each_kind_is_what_is_reckoned_with),
        cmocka_unit_test(times_are_printed_for_people),
        cmocka_unit_test(what_does_not_fit_any_more_is_not_begun),
        cmocka_unit_test(the_file_asks_while_it_is_there),
        cmocka_unit_test(the_most_urgent_signal_counts),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
