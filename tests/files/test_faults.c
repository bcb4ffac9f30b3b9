// test_faults.c - every single file operation fails once; never is there half a result.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/atomic.h"
#include "files/directory.h"
#include "files/journal.h"
#include "files/metrics_file.h"
#include "files/safetensors.h"
#include "tests/files/faults.h"
#include "tests/files/scratch.h"
#include "tools/convert.h"

// Makes something called `to`; its inputs are not in the scratch directory's "out".
typedef int Make(const char *to);

static int make_small(const char *to)
{
    return atomic_write_file(to, "content", 7);
}

static int make_safetensors(const char *to)
{
    static const SafetensorsDeclaration tensors[] = {{"a", STORED_F32, 1, {1000}},
                                                     {"b", STORED_BF16, 2, {10, 30}}};
    float values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = (float)i;
    SafetensorsWriter *writer = safetensors_create(to, tensors, 2);
    if (writer && safetensors_append_f32(writer, values, 1000) == 0 &&
        safetensors_append_f32(writer, values, 300) == 0)
        return safetensors_commit(writer);
    safetensors_abandon(writer);
    return -1;
}

static int make_metrics(const char *to)
{
    const int64_t steps[] = {1, 2};
    const double values[] = {0.5, 0.25};
    const MetricSeries series = {.name = "actor/loss", .values = values};
    return metrics_file_write(to, steps, 2, &series, 1);
}

static int make_checkpoint(const char *to)
{
    ConvertCounts counts = {0};
    return convert_import(scratch_path("model"), to, &counts);
}

static int make_directory(const char *to)
{
    ConvertCounts counts = {0};
    const ConvertOptions options = {.type = STORED_BF16, .shard_size = 1000};
    return convert_export(scratch_path("model.h5"), to, &options, &counts);
}

// Joins all that a file or directory of files holds.
static void read_all(const char *name, Bytes *content)
{
    static const char *const parts[] = {"", "/config.json", "/model.safetensors.index.json",
                                        "/model-00001-of-00002.safetensors",
                                        "/model-00002-of-00002.safetensors"};
    struct stat status;
    bytes_clear(content);
    bool directory = stat(scratch_path(name), &status) == 0 && S_ISDIR(status.st_mode);
    for (int i = directory; i < (directory ? 5 : 1); i++) {
        char path[128];
        size_t bytes;
        snprintf(path, sizeof path, "%s%s", name, parts[i]);
        char *part = scratch_read(path, &bytes);
        bytes_append(content, part, bytes);
        release(part);
    }
}

static void empty_out(void)
{
    if (access(scratch_path("out"), F_OK) == 0)
        assert_int_equal(directory_remove_tree(scratch_path("out")), 0);
    assert_int_equal(mkdir(scratch_path("out"), 0777), 0);
}

static void check_one(Make *make, const Bytes *expected, FaultKind kind, int at)
{
    Bytes found = {0};
    empty_out();
    faults_arm("/out", kind, at);
    int status = make(scratch_path("out/made"));
    faults_disarm();
    bool there = access(scratch_path("out/made"), F_OK) == 0;
    if (scratch_entries("out") != there)
        fail_msg("fault %d at %d: a temporary is left", (int)kind, at);
    if (status == 0 || there) {
        read_all("out/made", &found);
        if (found.length != expected->length ||
            memcmp(found.data, expected->data, found.length) != 0)
            fail_msg("fault %d at %d: a wrong result, status %d", (int)kind, at, status);
    }
    if (status != 0 && there && !faults_hit_after_rename())
        fail_msg("fault %d at %d: renamed in spite of it", (int)kind, at);
    if (status == 0 && (kind == FAULT_NO_SPACE || kind == FAULT_IO))
        assert_false(strcmp(faults_hit(), "fsync") == 0 || strcmp(faults_hit(), "pwrite") == 0);
    if (kind == FAULT_SIGNAL || kind == FAULT_SHORT)
        assert_int_equal(status, 0);
    if (status != 0)
        assert_true(fail_code() == EXIT_CANNOT_CREATE || fail_code() == EXIT_CANNOT_WRITE ||
                    fail_code() == EXIT_NO_INPUT);
    if (status != 0 && strstr(fail_message(), "no reason"))
        fail_msg("fault %d at %d: '%s'", (int)kind, at, fail_message());
    bytes_free(&found);
}

// Lets every operation of `make` fail in every way; none may be fatal for more than the result.
static void check_all(Make *make, int operations_at_least)
{
    Bytes expected = {0};
    if (make(scratch_path("expected")))
        fail_msg("%s", fail_message());
    read_all("expected", &expected);
    assert_int_equal(directory_remove_tree(scratch_path("expected")), 0);
    for (FaultKind kind = 0; kind < FAULT_KINDS; kind++) {
        empty_out();
        faults_arm("/out", kind, 0);
        if (make(scratch_path("out/made")))
            fail_msg("%s", fail_message());
        int operations = faults_disarm();
        if (kind == FAULT_IO)
            assert_true(operations >= operations_at_least);
        for (int at = 1; at <= operations; at++)
            check_one(make, &expected, kind, at);
    }
    bytes_free(&expected);
}

static void a_small_file_survives_any_fault(void **state)
{
    (void)state;
    check_all(make_small, 5);
}

static void a_safetensors_file_survives_any_fault(void **state)
{
    (void)state;
    check_all(make_safetensors, 7);
}

static void a_metrics_file_survives_any_fault(void **state)
{
    (void)state;
    check_all(make_metrics, 8);
}

static void make_model(void)
{
    assert_int_equal(mkdir(scratch_path("model"), 0777), 0);
    assert_int_equal(make_safetensors(scratch_path("model/model.safetensors")), 0);
    scratch_write_text("model/config.json", "{\"torch_dtype\": \"bfloat16\"}");
}

static void an_import_survives_any_fault(void **state)
{
    (void)state;
    make_model();
    check_all(make_checkpoint, 15);
}

static void an_export_survives_any_fault(void **state)
{
    (void)state;
    assert_int_equal(make_checkpoint(scratch_path("model.h5")), 0);
    check_all(make_directory, 25);
}

// What is read fails: the result is right, or there is none, and the message names the file.
static void check_inputs(Make *make, const char *place)
{
    Bytes expected = {0}, found = {0};
    empty_out();
    if (make(scratch_path("out/made")))
        fail_msg("%s", fail_message());
    read_all("out/made", &expected);
    for (FaultKind kind = 0; kind < FAULT_KINDS; kind++) {
        empty_out();
        faults_arm(place, kind, 0);
        assert_int_equal(make(scratch_path("out/made")), 0);
        int operations = faults_disarm();
        assert_true(operations >= 4);
        for (int at = 1; at <= operations; at++) {
            empty_out();
            faults_arm(place, kind, at);
            int status = make(scratch_path("out/made"));
            faults_disarm();
            assert_int_equal(scratch_entries("out"), status == 0);
            if (kind == FAULT_SIGNAL || kind == FAULT_SHORT)
                assert_int_equal(status, 0);
            if (status == 0) {
                read_all("out/made", &found);
                assert_int_equal(found.length, expected.length);
                assert_memory_equal(found.data, expected.data, expected.length);
            } else if ((fail_code() != EXIT_NO_INPUT && fail_code() != EXIT_BAD_DATA) ||
                       !strstr(fail_message(), place) || strstr(fail_message(), "no reason")) {
                fail_msg("fault %d at %d, %s: '%s'", (int)kind, at, faults_hit(), fail_message());
            }
        }
    }
    bytes_free(&expected);
    bytes_free(&found);
}

static void an_import_whose_input_fails_leaves_nothing(void **state)
{
    (void)state;
    check_inputs(make_checkpoint, "/model/");
}

static void an_export_whose_input_fails_leaves_nothing(void **state)
{
    (void)state;
    check_inputs(make_directory, "/model.h5");
}

// Opens a journal with an unfinished line and appends; the number of operations that this took.
static int append_under(FaultKind kind, int at, bool *opened, int *status)
{
    unlink(scratch_path("line"));
    unlink(scratch_path("line.orphan"));
    scratch_write_text("line", "one\nhal");
    faults_arm("/line", kind, at);
    Journal *journal = journal_open(scratch_path("line"));
    *opened = journal != NULL;
    *status = journal ? journal_append(journal, "two", 3) : -1;
    int operations = faults_disarm();
    if (journal)
        assert_int_equal(journal_append(journal, "three", 5), 0);
    journal_close(journal);
    return operations;
}

static void a_journal_line_is_whole_or_absent_whatever_fails(void **state)
{
    (void)state;
    bool opened;
    int status;
    for (FaultKind kind = 0; kind < FAULT_KINDS; kind++) {
        int operations = append_under(kind, 0, &opened, &status);
        assert_true(operations >= 2);
        for (int at = 1; at <= operations; at++) {
            append_under(kind, at, &opened, &status);
            size_t bytes;
            char *content = scratch_read("line", &bytes);
            assert_string_equal(content, !opened       ? "one\nhal"
                                         : status == 0 ? "one\ntwo\nthree\n"
                                                       : "one\nthree\n");
            release(content);
            if (kind == FAULT_SIGNAL)
                assert_int_equal(status, 0);
        }
    }
}

static void a_cut_journal_loses_nothing_whatever_fails(void **state)
{
    (void)state;
    for (FaultKind kind = 0; kind < FAULT_KINDS; kind++) {
        for (int at = 1; at < 8; at++) {
            unlink(scratch_path("j"));
            unlink(scratch_path("j.orphan"));
            Journal *journal = journal_open(scratch_path("j"));
            assert_int_equal(journal_append(journal, "one", 3), 0);
            assert_int_equal(journal_append(journal, "two", 3), 0);
            faults_arm("/j", kind, at);
            int status = journal_cut(journal, 4);
            faults_disarm();
            journal_close(journal);
            size_t bytes;
            char *content = scratch_read("j", &bytes);
            assert_string_equal(content, status ? "one\ntwo\n" : "one\n");
            release(content);
            if (status == 0) {
                content = scratch_read("j.orphan", &bytes);
                assert_string_equal(content, "two\n");
                release(content);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_survives_any_fault),
        cmocka_unit_test(a_safetensors_file_survives_any_fault),
        cmocka_unit_test(a_metrics_file_survives_any_fault),
        cmocka_unit_test(an_import_survives_any_fault),
        cmocka_unit_test(an_export_survives_any_fault),
        cmocka_unit_test(an_import_whose_input_fails_leaves_nothing),
        cmocka_unit_test(an_export_whose_input_fails_leaves_nothing),
        cmocka_unit_test(a_journal_line_is_whole_or_absent_whatever_fails),
        cmocka_unit_test(a_cut_journal_loses_nothing_whatever_fails),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
