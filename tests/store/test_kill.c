// test_kill.c - a run that is killed while it writes a checkpoint keeps the one before.
//
// Run with an argument it is the writer: it saves version after version of the same step. The
// writer is started, killed without warning at some moment and looked at, again and again.

#include "tests/testing.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "tests/store/model.h"

enum { KILLS = 12 };

static const char *program;
extern char **environ;

static void write_for_ever(const char *path)
{
    Group world = group_world();
    for (uint32_t version = 1;; version++) {
        Model model = model_make(&world, version);
        if (checkpoint_write(&world, path, model_content(&model)))
            die_failed();
        model_free(&model);
    }
}

static pid_t start_writer(char *path)
{
    pid_t child;
    char *arguments[] = {(char *)(uintptr_t)program, path, NULL};
    assert_int_equal(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    return child;
}

static void a_killed_writer_never_loses_the_last_checkpoint(void **state)
{
    (void)state;
    char directory[256], path[300];
    const char *root = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/learn2ask-XXXXXX", root && root[0] ? root : "/tmp");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/step-000001.h5", directory);
    for (int i = 0; i < KILLS; i++) {
        pid_t child = start_writer(path);
        for (int wait = 0; wait < 2000 && access(path, F_OK) != 0; wait++)
            usleep(10000);
        usleep((useconds_t)(i > 0 ? 300000 : 0) + (useconds_t)i * 7919);
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
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1) {
        char *path = argv[1];
        group_start(&argc, &argv);
        write_for_ever(path);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_writer_never_loses_the_last_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
