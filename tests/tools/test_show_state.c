// test_show_state.c - how a run stands is told from what its directory holds.

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/files/scratch.h"
#include "tests/tools/made_run.h"
#include "tools/show_state.h"

static const char head[] = "learn2ask 0.1.0 (abc), compiled by gcc\n"
                           "ranks      3: 3 rollout, 3 grader, 3 learner, placement shared\n"
                           "model      data/m: Llama, chat chatml\n"
                           "evaluation before the first step\n";

// A run of `steps` steps with a checkpoint at `saved` (0: none).
static void make_run(const char *run, int64_t steps, int64_t saved, const char *progress)
{
    Bytes journal = {0}, checkpoint = {0};
    made_run_begin(run, "[run]\ndirectory = \"runs/it's\"\n[model]\npath = data/m\n");
    for (int64_t step = 1; step <= steps; step++)
        made_run_step(&journal, step, 1, ",\"timing_s/evaluate\":1");
    if (steps > 0)
        made_run_file(run, "metrics.jsonl", journal.data);
    bytes_print(&checkpoint, "step-%06lld.h5", (long long)saved);
    if (saved > 0)
        made_run_file(run, checkpoint.data, "");
    if (*progress)
        made_run_file(run, "progress", progress);
    bytes_free(&journal);
    bytes_free(&checkpoint);
}

static void make_log(const char *run, const char *more)
{
    Bytes text = {0};
    bytes_print(&text, "%s%s", head, more);
    made_run_file(run, "log.txt", text.data);
    bytes_free(&text);
}

// What is said of a run; to be freed.
static ShowState state_of(const char *run, Bytes *said)
{
    ShowRun shown;
    ShowLog log;
    char *directory = duplicate(scratch_path(run));
    assert_int_equal(show_run_open(&shown, directory), 0);
    show_log_open(&log, directory);
    ShowState state = show_state_of(&shown, &log, (double)time(NULL));
    show_state_print(&state, &shown, &log, said);
    show_log_close(&log);
    show_run_close(&shown);
    release(directory);
    return state;
}

static void assert_said(const char *run, StateKind kind, const char *const *parts)
{
    Bytes said = {0};
    ShowState state = state_of(run, &said);
    assert_int_equal(state.kind, kind);
    for (; *parts; parts++)
        if (!strstr(said.data, *parts))
            fail_msg("'%s' does not say '%s'", said.data, *parts);
    bytes_free(&said);
}
#define ASSERT_SAID(run, kind, ...) assert_said(run, kind, (const char *const[]){__VA_ARGS__, NULL})

static void a_run_of_which_nothing_was_begun_is_new(void **state)
{
    (void)state;
    make_run("new", 0, 0, "");
    ASSERT_SAID("new", STATE_NEW, "not begun\n");
}

static void who_holds_a_run_has_it_under_way(void **state)
{
    (void)state;
    Bytes said = {0};
    make_run("held", 4, 0, "step=0 of=10 starts=1\n");
    make_log("held", "step 4/10 reward 1\n");
    made_run_lock("held", NULL, (long)getpid());
    ShowState found = state_of("held", &said);
    assert_int_equal(found.kind, STATE_UNDER_WAY);
    assert_true(found.here && found.done == 4 && found.total == 10 && found.saved == -1);
    assert_true(found.step_seconds == 3 && found.left == 18);
    assert_non_null(strstr(said.data, "under way: 4 of 10 steps are done\n"));
    assert_non_null(strstr(said.data, "job 7@farm; last line of the journal "));
    assert_non_null(strstr(said.data, "3.0 s a step; about 18 s left\n"));
    bytes_free(&said);

    // Of another host nothing is known but how old the journal is.
    made_run_lock("held", "elsewhere", made_run_no_process());
    struct timespec old[2] = {{time(NULL) - 7200, 0}, {time(NULL) - 7200, 0}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path("held/metrics.jsonl"), old, 0), 0);
    ASSERT_SAID("held", STATE_UNDER_WAY, "on elsewhere, job 7@farm", "2 h 0 min ago",
                "no step for long", "squeue", "delete the lock file");
    made_run_lock("held", NULL, (long)getpid());
    ASSERT_SAID("held", STATE_UNDER_WAY, "no step for long, but its process is there");
}

static void a_holder_that_is_gone_holds_nothing(void **state)
{
    (void)state;
    make_run("killed", 7, 4, "step=0 of=10 starts=1\n");
    make_log("killed", "step 7/10 reward 1\n");
    made_run_lock("killed", NULL, made_run_no_process());
    ASSERT_SAID("killed", STATE_ENDED, "ended before its end: 7 of 10 steps are done\n",
                "ended without giving the run back", "steps 5 to 7 are in no checkpoint",
                "mpirun -n 3 learn2ask train 'runs/it'\\''s/run.ini'\n");
    make_run("lost", 3, 0, "step=0 of=10 starts=3\n");
    make_log("lost", "");
    ASSERT_SAID("lost", STATE_ENDED, "no checkpoint: the next start begins anew",
                "3 starts in a row began at step 0 and saved nothing so far");
}

// A child that has ended is there until its parent asks for it.
static void a_process_that_nobody_has_buried_is_gone(void **state)
{
    (void)state;
    siginfo_t info;
    make_run("zombie", 1, 0, "");
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    made_run_lock("zombie", NULL, (long)child);
    ASSERT_SAID("zombie", STATE_ENDED, "ended without giving the run back");
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void the_log_says_how_the_last_start_ended(void **state)
{
    (void)state;
    make_run("ended", 10, 10, "step=4 of=10 starts=2\n");
    make_log("ended", "stopped at step 10 of 12: signal USR1\n");
    made_run_file("ended", "lock", "");
    made_run_file("ended", "STOP", "");
    ASSERT_SAID("ended", STATE_STOPPED,
                "stopped in good order: 10 of 10 steps are done: signal "
                "USR1\n",
                "in 30 s, 3.0 s a step", "a file STOP is in the run's directory");
    make_log("ended", "stopped early: the last 3 evaluations were no better\n\nRESULT steps=10\n");
    ASSERT_SAID("ended", STATE_FINISHED,
                "finished: 10 of 10 steps are done, stopped early: the "
                "last 3 evaluations were no better\n");
    // A later start that says nothing of an end has not finished.
    make_log("ended", "RESULT steps=10 status=ok\nlearn2ask 0.2.0 (def)\nranks      5: x\n");
    ASSERT_SAID("ended", STATE_ENDED, "mpirun -n 5 learn2ask train");
}

static void a_hostile_log_and_lock_are_made_harmless(void **state)
{
    (void)state;
    make_run("hostile", 1, 0, "");
    make_log("hostile", "stopped at step 1 of 2: \033]0;x\007\n");
    ASSERT_SAID("hostile", STATE_STOPPED, ": ?]0;x?\n");
    made_run_lock("hostile", "\033[2J", 1);
    ASSERT_SAID("hostile", STATE_UNDER_WAY, "process 1 on ?[2J");
    made_run_file("hostile", "lock", "host=");
    ASSERT_SAID("hostile", STATE_STOPPED, "stopped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_of_which_nothing_was_begun_is_new),
        cmocka_unit_test(who_holds_a_run_has_it_under_way),
        cmocka_unit_test(a_holder_that_is_gone_holds_nothing),
        cmocka_unit_test(a_process_that_nobody_has_buried_is_gone),
        cmocka_unit_test(the_log_says_how_the_last_start_ended),
        cmocka_unit_test(a_hostile_log_and_lock_are_made_harmless),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
