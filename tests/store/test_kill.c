// test_kill.c - a run that is killed while it writes a checkpoint keeps the one before.
//
//     test_kill [STRIDE [KILLS]]     every STRIDE-th operation and system call of a save, and KILLS
//                                    random moments
//
// Run as `test_kill save DIRECTORY AT` it is the writer: it saves step 2 of a run that has step 1,
// and is killed before its AT-th operation on the run's files (0: it is not). With AT = stop it
// stops itself between the two, for strace to be attached. As `test_kill write FILE` it writes
// version after version of one checkpoint until somebody kills it.

#include "tests/testing.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "store/run_directory.h"
#include "tests/files/faults.h"
#include "tests/store/model.h"

static const char *program;
static int stride = 20, kills = 12;
static char directory[256];
static char sessions[272]; // where MPI keeps files of a process, which a killed one leaves behind
extern char **environ;

static _Noreturn void write_for_ever(const char *path)
{
    Group world = group_world();
    for (uint32_t version = 1;; version++) {
        Model model = model_make(&world, version);
        if (checkpoint_write(&world, path, model_content(&model)))
            die_failed();
        model_free(&model);
    }
}

static void save_step(RunDirectory *run, const Group *world, int64_t step)
{
    Model model = model_make(world, (uint32_t)step);
    RunSave save = {.step = step,
                    .is_best = true,
                    .policy = {.keep_last = 1},
                    .content = model_content(&model)};
    if (run_directory_save(run, &save) || run_directory_save_end(run, NULL))
        die_failed();
    model_free(&model);
}

static void save_and_be_killed(const char *path, const char *at)
{
    Group world = group_world();
    RunDirectory *run = run_directory_open(&world, path);
    if (!run)
        die_failed();
    save_step(run, &world, 1);
    if (strcmp(at, "stop") == 0)
        raise(SIGSTOP);
    else
        faults_arm(path, FAULT_KILL, atoi(at));
    save_step(run, &world, 2);
    faults_disarm();
    run_directory_close(run);
    group_free(&world);
}

// What other processes left would be looked at by each one's end: thousands of system calls.
static void clear_sessions(void)
{
    struct stat found;
    if (stat(sessions, &found) == 0)
        directory_remove_tree(sessions); // of which a dying daemon may remove parts itself
    mkdir(sessions, 0700);
}

static pid_t start(const char *mode, const char *path, const char *at)
{
    pid_t child;
    clear_sessions();
    char *arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)mode,
                         (char *)(uintptr_t)path, (char *)(uintptr_t)at, NULL};
    assert_int_equal(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    return child;
}

// A file that is there is whole, and of its step.
static void check_file(int64_t step)
{
    Group alone = {.size = 1};
    char *path = run_files_path(directory, step);
    CheckpointFile *file = checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL);
    if (!file)
        fail_msg("%s", fail_message());
    Model model = model_make(&alone, (uint32_t)step);
    for (int64_t i = 0; i < model.count; i++) {
        const CheckpointItem *item = &model.items[i];
        size_t bytes = (size_t)item->count * stored_type_bytes(item->type);
        char *stored = allocate(bytes, 1);
        int64_t index = checkpoint_file_find(file, item->name);
        assert_int_equal(checkpoint_file_read(file, index, item->first, item->count, stored), 0);
        assert_memory_equal(stored, item->data, bytes);
        release(stored);
    }
    model_free(&model);
    checkpoint_file_close(file);
    release(path);
}

// After a kill: pointers point to files, every checkpoint is whole, one is there.
static void check_run(bool killed)
{
    int64_t *steps;
    int64_t count = run_files_list(directory, &steps);
    int64_t latest = run_files_pointer(directory, "LATEST");
    int64_t best = run_files_pointer(directory, "BEST");
    bool has_latest = false, has_best = false;
    assert_in_range(count, 1, 2);
    for (int64_t i = 0; i < count; i++) {
        check_file(steps[i]);
        has_latest = has_latest || steps[i] == latest;
        has_best = has_best || steps[i] == best;
    }
    assert_true(has_latest && has_best);
    assert_true(killed || (count == 1 && steps[0] == 2));
    release(steps);
}

static void a_kill_before_any_operation_keeps_a_whole_checkpoint(void **state)
{
    (void)state;
    int status = 0, tried = 0;
    for (int at = 1; at == 1 || WIFSIGNALED(status); at += stride, tried++) {
        char text[16];
        snprintf(text, sizeof text, "%d", at);
        waitpid(start("save", directory, text), &status, 0);
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
        check_run(WIFSIGNALED(status));
        assert_int_equal(directory_remove_tree(directory), 0);
    }
    assert_in_range(tried, 40 / stride, 400 / stride + 2);
    assert_int_equal(directory_make(directory), 0);
}

// ---- system calls -------------------------------------------------------------------------------

static bool is_traced(pid_t process)
{
    char path[64], line[128];
    int tracer = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "TracerPid: %d", &tracer);
    if (file)
        fclose(file);
    return tracer != 0;
}

// strace on the writer and all its threads. 0: there is none, or it may not.
static pid_t attach(pid_t writer, const char *trace, const char *inject, const char *output)
{
    pid_t tracer;
    char process[16];
    snprintf(process, sizeof process, "%d", (int)writer);
    char *arguments[] = {"strace",
                         "-f",
                         "-qq",
                         "-p",
                         process,
                         "-o",
                         (char *)(uintptr_t)output,
                         "-e",
                         (char *)(uintptr_t)trace,
                         inject ? "-e" : NULL,
                         (char *)(uintptr_t)inject,
                         NULL};
    if (posix_spawnp(&tracer, arguments[0], NULL, NULL, arguments, environ) != 0)
        return 0;
    while (!is_traced(writer)) {
        if (waitpid(tracer, NULL, WNOHANG) == tracer)
            return 0;
        usleep(1000);
    }
    return tracer;
}

// How the writer ends that is traced while it saves step 2; -1: it cannot be.
static int status_of_writer(const char *trace, const char *inject, const char *output)
{
    int status;
    pid_t writer = start("save", directory, "stop");
    waitpid(writer, &status, WUNTRACED);
    assert_true(WIFSTOPPED(status));
    pid_t tracer = attach(writer, trace, inject, output);
    kill(writer, tracer != 0 ? SIGCONT : SIGKILL);
    waitpid(writer, &status, 0);
    if (tracer != 0)
        waitpid(tracer, NULL, 0);
    return tracer != 0 ? status : -1;
}

static const char *const calls[] = {"openat", "pread64",    "pwrite64", "read",   "write",
                                    "lseek",  "newfstatat", "fstat",    "fsync",  "fdatasync",
                                    "fcntl",  "ftruncate",  "rename",   "unlink", "mkdir",
                                    "statfs", "flock",      "mmap",     "close"};
enum { CALLS = sizeof calls / sizeof *calls };

// How often a save makes each of them. -1: nothing can be traced.
static int count_calls(int *counts)
{
    char trace[256] = "trace=", output[300], line[512];
    for (int c = 0; c < CALLS; c++)
        snprintf(trace + strlen(trace), sizeof trace - strlen(trace), "%s%s", c > 0 ? "," : "",
                 calls[c]);
    snprintf(output, sizeof output, "%s.trace", directory);
    if (status_of_writer(trace, NULL, output) == -1)
        return -1;
    FILE *file = fopen(output, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char name[32] = "";
        sscanf(line, "%*d %31[a-z0-9](", name);
        for (int c = 0; c < CALLS; c++)
            counts[c] += strcmp(name, calls[c]) == 0;
    }
    fclose(file);
    unlink(output);
    return 0;
}

static void expect_whole_after(const char *call, int at)
{
    char trace[64], inject[96];
    snprintf(trace, sizeof trace, "trace=%s", call);
    snprintf(inject, sizeof inject, "inject=%s:signal=KILL:when=%d", call, at);
    int status = status_of_writer(trace, inject, "/dev/null");
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    check_run(WIFSIGNALED(status));
    assert_int_equal(directory_remove_tree(directory), 0);
}

// strace counts for each thread: where several share a call, the last numbers kill nobody.
static void a_kill_at_any_system_call_keeps_a_whole_checkpoint(void **state)
{
    (void)state;
    int counts[CALLS] = {0}, total = 0, tried = 0;
    int status = count_calls(counts);
    assert_int_equal(directory_remove_tree(directory), 0);
    assert_int_equal(directory_make(directory), 0);
    if (status != 0) {
        print_message("no strace (Debian's package strace), or it may not trace\n");
        skip();
    }
    for (int c = 0; c < CALLS; c++)
        for (int at = 1; at <= counts[c]; at++, total++)
            if (total % stride == 0) {
                expect_whole_after(calls[c], at);
                tried++;
            }
    print_message("killed at %d of %d system calls\n", tried, total);
    assert_true(total > 50);
    assert_int_equal(directory_make(directory), 0);
}

// ---- moments ------------------------------------------------------------------------------------

static void a_killed_writer_never_loses_the_last_checkpoint(void **state)
{
    (void)state;
    char *path = run_files_path(directory, 1);
    for (int i = 0; i < kills; i++) {
        pid_t child = start("write", path, NULL);
        for (int wait = 0; wait < 2000 && access(path, F_OK) != 0; wait++)
            usleep(10000);
        usleep((useconds_t)(i > 0 ? 300000 : 0) + (useconds_t)(i * 7919 % 300000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        CheckpointFile *file = checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL);
        if (!file)
            fail_msg("after kill %d: %s", i, fail_message());
        checkpoint_file_close(file);
    }
    assert_int_equal(run_files_clean(directory), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    release(path);
}

static int be_writer(int argc, char **argv)
{
    const char *path = argv[2];
    const char *at = argc > 3 ? argv[3] : "0";
    bool saves = strcmp(argv[1], "save") == 0;
    group_start(&argc, &argv);
    if (!saves)
        write_for_ever(path);
    save_and_be_killed(path, at);
    group_stop();
    return 0;
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 2 && (strcmp(argv[1], "save") == 0 || strcmp(argv[1], "write") == 0))
        return be_writer(argc, argv);
    stride = argc > 1 ? atoi(argv[1]) : stride;
    kills = argc > 2 ? atoi(argv[2]) : kills;
    // In memory where possible: the flushes of thousands of saves to a disk take minutes.
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof directory, "%s/learn2ask-XXXXXX", root);
    if (!mkdtemp(directory))
        die(EXIT_CANNOT_CREATE, "cannot make %s", directory);
    snprintf(sessions, sizeof sessions, "%s.mpi", directory);
    setenv("TMPDIR", sessions, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_before_any_operation_keeps_a_whole_checkpoint),
        cmocka_unit_test(a_kill_at_any_system_call_keeps_a_whole_checkpoint),
        cmocka_unit_test(a_killed_writer_never_loses_the_last_checkpoint),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    directory_remove_tree(sessions);
    return failed;
}
