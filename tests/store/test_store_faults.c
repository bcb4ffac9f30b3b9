// test_store_faults.c - every single file operation of a rank fails once while a checkpoint is
// written and read: all ranks agree, and the old checkpoint or the whole new one is there.

#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/directory.h"
#include "tests/files/faults.h"
#include "tests/store/model.h"

static Group world;
static char directory[256], path[300];

static int write_version(uint32_t version)
{
    Model model = model_make(&world, version);
    int status = checkpoint_write(&world, path, model_content(&model));
    model_free(&model);
    return status;
}

// The version that the checkpoint has, or -1 when it cannot be read.
static int64_t read_version(void)
{
    Checkpoint *checkpoint = checkpoint_open(&world, path);
    if (!checkpoint)
        return -1;
    int64_t version = -1;
    int status = checkpoint_integer(checkpoint, "step", &version);
    Model expected = model_make(&world, (uint32_t)version), model = model_make(&world, 9);
    if (status == 0)
        status = checkpoint_read(checkpoint, model.items, model.count);
    if (status == 0)
        status = checkpoint_verify(checkpoint);
    if (status == 0 && !model_equal(&model, &expected))
        fail_msg("wrong data of version %d", (int)version);
    model_free(&model);
    model_free(&expected);
    checkpoint_close(checkpoint);
    return status == 0 ? version : -1;
}

static void expect_agreement(int64_t value)
{
    int64_t first = value;
    group_broadcast(&world, &first, sizeof first, 0);
    assert_int_equal(value, first);
}

static int count_operations(FaultKind kind, bool writing)
{
    faults_arm(directory, kind, 0);
    if (writing)
        write_version(1);
    else
        read_version();
    return faults_disarm();
}

static void check_write(FaultKind kind, int rank, int at)
{
    assert_int_equal(write_version(1), 0);
    faults_arm(directory, kind, world.rank == rank ? at : 0);
    int status = write_version(2);
    faults_disarm();
    expect_agreement(status);
    bool lost = strcmp(faults_hit(), "fsync") == 0 || strcmp(faults_hit(), "pwrite") == 0;
    if (world.rank == rank && (kind == FAULT_NO_SPACE || kind == FAULT_IO) && lost)
        assert_int_equal(status, -1);
    if (kind == FAULT_SIGNAL || kind == FAULT_SHORT)
        assert_int_equal(status, 0);
    int64_t version = read_version(), after_rename = faults_hit_after_rename();
    group_broadcast(&world, &after_rename, sizeof after_rename, rank);
    // When the directory cannot be flushed the new one is there already.
    if (version != (status == 0 || after_rename ? 2 : 1))
        fail_msg("fault %d at %d of rank %d: status %d, version %d", (int)kind, at, rank, status,
                 (int)version);
    group_barrier(&world);
    if (world.rank == 0) {
        struct stat there;
        assert_int_equal(stat(path, &there), 0);
        assert_int_equal(unlink(path), 0);
        if (rmdir(directory) != 0)
            fail_msg("fault %d at %d of rank %d: a temporary is left", (int)kind, at, rank);
        assert_int_equal(mkdir(directory, 0700), 0);
    }
    group_barrier(&world);
}

static void check_read(FaultKind kind, int rank, int at)
{
    faults_arm(directory, kind, world.rank == rank ? at : 0);
    int64_t version = read_version();
    faults_disarm();
    expect_agreement(version);
    assert_true(version == 1 || (version == -1 && kind != FAULT_SIGNAL && kind != FAULT_SHORT));
}

// The last rank's operations fail: run alone that is rank 0, else one that only writes its part.
static void check_all(bool writing)
{
    int rank = world.size - 1;
    for (FaultKind kind = 0; kind < FAULT_KINDS; kind++) {
        assert_int_equal(write_version(1), 0);
        int operations = count_operations(kind, writing);
        group_broadcast(&world, &operations, sizeof operations, rank);
        if (kind == FAULT_IO)
            assert_in_range(operations, writing ? 5 : 3, 200);
        for (int at = 1; at <= operations; at++) {
            if (writing)
                check_write(kind, rank, at);
            else
                check_read(kind, rank, at);
        }
    }
}

static void any_fault_keeps_a_whole_checkpoint(void **state)
{
    (void)state;
    check_all(true);
}

static void any_fault_while_reading_is_told_to_all(void **state)
{
    (void)state;
    check_all(false);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    world = group_world();
    // In memory where possible: thousands of flushes to a disk take minutes.
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof directory, "%s/learn2ask-XXXXXX", root);
    if (world.rank == 0 && !mkdtemp(directory))
        die(EXIT_CANNOT_CREATE, "cannot make %s", directory);
    group_broadcast(&world, directory, sizeof directory, 0);
    snprintf(path, sizeof path, "%s/step-000001.h5", directory);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_fault_keeps_a_whole_checkpoint),
        cmocka_unit_test(any_fault_while_reading_is_told_to_all),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_barrier(&world);
    if (world.rank == 0 && directory_remove_tree(directory))
        die_failed();
    group_free(&world);
    group_stop();
    return failures;
}
