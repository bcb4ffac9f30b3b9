#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/metric_names.h"
#include "base/metrics.h"
#include "files/atomic.h"
#include "files/directory.h"
#include "files/hdf5.h"
#include "files/journal.h"
#include "files/metrics_file.h"
#include "files/raw.h"
#include "files/run_files.h"
#include "tests/files/scratch.h"

// Files of this process may not grow beyond `bytes`: the nearest thing to a full disk.
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
}

static void an_atomic_file_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("atomic"), 0777), 0);
    AtomicFile *file = atomic_open(scratch_path("atomic/x"));
    assert_non_null(file);
    assert_int_equal(atomic_append(file, "one", 3), 0);
    assert_int_equal(access(scratch_path("atomic/x"), F_OK), -1);
    assert_int_equal(atomic_append(file, "two", 3), 0);
    assert_int_equal(atomic_commit(file), 0);
    assert_int_equal(atomic_write_file(scratch_path("atomic/x"), "three", 5), 0);
    file = atomic_open(scratch_path("atomic/x"));
    assert_int_equal(atomic_append(file, "junk", 4), 0);
    atomic_abandon(file);
    size_t bytes;
    char *content = scratch_read("atomic/x", &bytes);
    assert_int_equal(bytes, 5);
    assert_memory_equal(content, "three", 5);
    release(content);
    assert_int_equal(scratch_entries("atomic"), 1);
}

static void a_full_disk_keeps_the_old_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("full"), 0777), 0);
    assert_int_equal(atomic_write_file(scratch_path("full/x"), "old", 3), 0);
    char *large = allocate(100000, 1);
    limit_files(4096);
    int status = atomic_write_file(scratch_path("full/x"), large, 100000);
    limit_files(RLIM_INFINITY);
    assert_int_equal(status, -1);
    assert_failed(EXIT_CANNOT_WRITE, "cannot write");
    assert_failed(EXIT_CANNOT_WRITE, "full/x");
    size_t bytes;
    char *content = scratch_read("full/x", &bytes);
    assert_int_equal(bytes, 3);
    release(content);
    release(large);
    assert_int_equal(scratch_entries("full"), 1);
    errno = ENOSPC;
    raw_fail_write("write", "x");
    assert_failed(EXIT_CANNOT_WRITE, "No space left on device (free some space");
}

static void what_cannot_be_made_is_told(void **state)
{
    (void)state;
    assert_null(atomic_open(scratch_path("nowhere/x")));
    assert_failed(EXIT_CANNOT_CREATE, "nowhere/x");
    assert_int_equal(mkdir(scratch_path("taken"), 0777), 0);
    assert_int_equal(atomic_write_file(scratch_path("taken"), "x", 1), -1);
    assert_failed(EXIT_CANNOT_CREATE, "cannot rename");
    scratch_write_text("file", "x");
    assert_int_equal(directory_make(scratch_path("file/below")), -1);
    assert_failed(EXIT_CANNOT_CREATE, "cannot make directory");
    assert_int_equal(directory_free_bytes(scratch_path("nowhere")), -1);
    assert_failed(EXIT_NO_INPUT, "free space");
}

static void directories_are_made_with_parents_and_removed_with_content(void **state)
{
    (void)state;
    assert_int_equal(directory_make(scratch_path("p/q/r/")), 0);
    assert_int_equal(directory_make(scratch_path("p/q/r")), 0);
    assert_int_equal(directory_make_new(scratch_path("p/q/r")), -1);
    scratch_write_text("p/q/r/file", "x");
    scratch_write_text("outside", "x");
    assert_int_equal(symlink(scratch_path("outside"), scratch_path("p/link")), 0);
    assert_int_equal(directory_remove_tree(scratch_path("p")), 0);
    assert_int_equal(access(scratch_path("p"), F_OK), -1);
    assert_int_equal(access(scratch_path("outside"), F_OK), 0);
    assert_true(directory_free_bytes(scratch_path("")) > 0);
    static const char *const pairs[][2] = {{"a", "."},     {"/a", "/"},    {"a/b", "a"},
                                           {"a//b/", "a"}, {"/a/b", "/a"}, {"/", "/"}};
    for (size_t i = 0; i < 6; i++) {
        char *directory = directory_of(pairs[i][0]);
        assert_string_equal(directory, pairs[i][1]);
        release(directory);
    }
}

static int count_lines(void *context, const char *line, size_t length, int64_t number)
{
    int64_t *count = context;
    assert_int_equal(strlen(line), length);
    assert_int_equal(number, ++*count);
    return 0;
}

static void a_journal_grows_line_by_line(void **state)
{
    (void)state;
    Journal *journal = journal_open(scratch_path("j.jsonl"));
    assert_non_null(journal);
    assert_int_equal(journal->bytes, 0);
    assert_int_equal(journal_append(journal, "{\"step\":1}", 10), 0);
    assert_int_equal(journal->bytes, 11);
    journal_close(journal);
    journal = journal_open(scratch_path("j.jsonl"));
    assert_int_equal(journal->bytes, 11);
    for (int i = 0; i < 30000; i++)
        assert_int_equal(journal_append(journal, "a line, one of very many of its kind", 36), 0);
    assert_int_equal(journal_sync(journal), 0);
    int64_t count = 0;
    assert_int_equal(journal_read(scratch_path("j.jsonl"), count_lines, &count), 0);
    assert_int_equal(count, 30001);
    journal_close(journal);
}

static void a_journal_is_cut_back_and_keeps_the_orphans(void **state)
{
    (void)state;
    size_t bytes;
    Journal *journal = journal_open(scratch_path("cut.jsonl"));
    assert_int_equal(journal_append(journal, "one", 3), 0);
    int64_t mark = journal->bytes;
    assert_int_equal(journal_append(journal, "two", 3), 0);
    assert_int_equal(journal_cut(journal, mark), 0);
    assert_int_equal(journal_append(journal, "three", 5), 0);
    assert_int_equal(journal_cut(journal, mark), 0);
    assert_int_equal(journal_append(journal, "four", 4), 0);
    assert_int_equal(journal_cut(journal, 1000), -1);
    assert_failed(EXIT_BAD_DATA, "shortened or replaced");
    journal_close(journal);
    char *content = scratch_read("cut.jsonl", &bytes);
    assert_string_equal(content, "one\nfour\n");
    release(content);
    content = scratch_read("cut.jsonl.orphan", &bytes);
    assert_string_equal(content, "two\nthree\n");
    release(content);
}

static void an_unfinished_line_is_cut_at_the_next_open(void **state)
{
    (void)state;
    size_t bytes;
    scratch_write_text("torn.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"st");
    int64_t count = 0;
    assert_int_equal(journal_read(scratch_path("torn.jsonl"), count_lines, &count), 0);
    assert_int_equal(count, 2);
    Journal *journal = journal_open(scratch_path("torn.jsonl"));
    assert_int_equal(journal->bytes, 22);
    journal_close(journal);
    char *content = scratch_read("torn.jsonl.orphan", &bytes);
    assert_string_equal(content, "{\"st");
    release(content);
}

static void a_line_over_the_limit_is_refused(void **state)
{
    (void)state;
    int64_t count = 0;
    const char *path = scratch_path("endless.jsonl");
    scratch_write_text("endless.jsonl", "one\n");
    assert_int_equal(truncate(path, 4 + (off_t)JOURNAL_LINE_LIMIT + (2 << 20)), 0);
    assert_int_equal(journal_read(path, count_lines, &count), -1);
    assert_failed(EXIT_BAD_DATA, "endless.jsonl:2: the line is longer than 67108864 bytes");
    assert_int_equal(count, 1);
}

static void a_line_that_does_not_fit_is_taken_back(void **state)
{
    (void)state;
    Journal *journal = journal_open(scratch_path("fit.jsonl"));
    assert_int_equal(journal_append(journal, "one", 3), 0);
    limit_files(8);
    int status = journal_append(journal, "a longer line", 13);
    limit_files(RLIM_INFINITY);
    assert_int_equal(status, -1);
    assert_failed(EXIT_CANNOT_WRITE, "cannot append to");
    assert_int_equal(journal_append(journal, "two", 3), 0);
    journal_close(journal);
    size_t bytes;
    char *content = scratch_read("fit.jsonl", &bytes);
    assert_string_equal(content, "one\ntwo\n");
    release(content);
    assert_null(journal_open(scratch_path("")));
    assert_null(journal_open(scratch_path("nowhere/j")));
    assert_failed(EXIT_CANNOT_CREATE, "nowhere/j");
    assert_int_equal(journal_read(scratch_path("nowhere"), count_lines, NULL), -1);
    assert_failed(EXIT_NO_INPUT, "nowhere");
}

static void lines_wait_while_the_disk_is_full(void **state)
{
    (void)state;
    size_t bytes;
    Journal *journal = journal_open(scratch_path("waits.jsonl"));
    assert_int_equal(journal_keep(journal, "one", 3), 0);
    limit_files(10);
    assert_int_equal(journal_keep(journal, "second line", 11), 0);
    assert_int_equal(journal_keep(journal, "three", 5), 0); // would fit, but has to wait its turn
    assert_int_equal(journal_catch_up(journal), -1);
    assert_failed(EXIT_CANNOT_WRITE, "waits.jsonl");
    assert_int_equal(journal->bytes, 4);
    limit_files(17); // for one of the two
    assert_int_equal(journal_catch_up(journal), -1);
    assert_int_equal(journal->waiting.length, 6);
    limit_files(RLIM_INFINITY);
    assert_int_equal(journal_keep(journal, "four", 4), 0);
    assert_int_equal(journal->waiting.length, 0);
    char *content = scratch_read("waits.jsonl", &bytes);
    assert_string_equal(content, "one\nsecond line\nthree\nfour\n");
    assert_int_equal(journal->bytes, bytes);
    release(content);

    limit_files(10);
    char *long_line = allocate(JOURNAL_WAITING_MAXIMUM / 2, 1);
    memset(long_line, 'x', JOURNAL_WAITING_MAXIMUM / 2);
    assert_int_equal(journal_keep(journal, long_line, JOURNAL_WAITING_MAXIMUM / 2), 0);
    assert_int_equal(journal_keep(journal, long_line, JOURNAL_WAITING_MAXIMUM / 2), -1);
    assert_failed(EXIT_CANNOT_WRITE, "more than 64 MiB of lines wait: cannot append to");
    limit_files(RLIM_INFINITY);
    release(long_line);
    journal_close(journal);
}

static void a_killed_writer_leaves_whole_lines(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        unlink(scratch_path("killed.jsonl"));
        pid_t child = fork();
        if (child == 0) {
            Journal *journal = journal_open(scratch_path("killed.jsonl"));
            for (;;)
                journal_append(journal, "0123456789012345678901234567890123456789", 40);
        }
        usleep((useconds_t)(3000 + 500 * i));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        Journal *journal = journal_open(scratch_path("killed.jsonl"));
        assert_int_equal(journal->bytes % 41, 0);
        journal_close(journal);
    }
}

static double *read_series(const char *file, const char *name, int64_t rows)
{
    double *values = allocate((size_t)rows, sizeof *values);
    hdf5_enter();
    hid_t root = H5Fopen(scratch_path(file), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(root, name, H5P_DEFAULT);
    hid_t space = H5Dget_space(set);
    assert_int_equal(H5Sget_simple_extent_npoints(space), rows);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(root);
    hdf5_leave();
    return values;
}

static void describe(const char *name, const char **unit, const char **description)
{
    if (strcmp(name, "time/step") == 0) {
        *unit = "s";
        *description = "wall time of a step";
    }
}

static void metrics_are_rebuilt_from_the_journal(void **state)
{
    (void)state;
    scratch_write_text("m.jsonl", "{\"step\":1,\"loss\":0.5,\"time/step\":2,\"text\":\"x\"}\n"
                                  "{\"note\":\"no step here\",\"loss\":9}\n"
                                  "{\"step\":2,\"loss\":null,\"val\":{\"reward\":0.25}}\n"
                                  "{\"step\":3,\"loss\":0.125,\"//\":1,\"\":2}\n");
    assert_int_equal(metrics_file_rebuild(scratch_path("m.jsonl"), scratch_path("m.h5"), describe),
                     0);
    double *steps = read_series("m.h5", "/metrics/step", 3);
    assert_true(steps[0] == 1 && steps[1] == 2 && steps[2] == 3);
    double *loss = read_series("m.h5", "/metrics/loss", 3);
    assert_true(loss[0] == 0.5 && isnan(loss[1]) && loss[2] == 0.125);
    double *reward = read_series("m.h5", "/metrics/val/reward", 3);
    assert_true(isnan(reward[0]) && reward[1] == 0.25 && isnan(reward[2]));
    release(read_series("m.h5", "/metrics/time/step", 3));
    hdf5_enter();
    hid_t root = H5Fopen(scratch_path("m.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(root, "/metrics/time/step", H5P_DEFAULT);
    char *unit = hdf5_read_text(set, "unit", 100);
    assert_string_equal(unit, "s");
    H5Dclose(set);
    H5Fclose(root);
    hdf5_leave();
    release(unit);
    release(steps);
    release(loss);
    release(reward);
}

static bool is_among(const char *name, const char *const *beginnings)
{
    for (; *beginnings; beginnings++)
        if (strncmp(name, *beginnings, strlen(*beginnings)) == 0)
            return true;
    return false;
}

// What a step notes in a run as the defaults have it, with the rule judge; values without a pattern
// where they change.
static void fill_step(Metrics *metrics, int64_t step)
{
    static const char *const of_others[] = {
        "dpo/", "tools/",       "sampling/",      "grading/",          "group/",
        "val/", "policy/drift", "timing_s/judge", "timing_s/evaluate", NULL};
    static const char *const constant[] = {
        "mismatch/",    "policy/staleness", "actor/updates", "actor/skipped",   "actor/pg_clipfrac",
        "actor/ppo_kl", "tree/forced",      "learner/trunk", "reward/ungraded", NULL};
    metrics_set(metrics, "step", (double)step);
    for (const MetricName *row = metric_names + 1; row->name; row++) {
        double value = (double)random() / (double)(1 << 24);
        if (strcmp(row->unit, "tokens") == 0)
            value = floor(value);
        if (!is_among(row->name, of_others))
            metrics_set(metrics, row->name, is_among(row->name, constant) ? 0 : value);
    }
}

static int64_t file_bytes(const char *name)
{
    struct stat status;
    assert_int_equal(stat(scratch_path(name), &status), 0);
    return (int64_t)status.st_size;
}

static void ten_thousand_steps_stay_below_twenty_megabytes(void **state)
{
    (void)state;
    enum { STEPS = 10000, LOG_LINE = 180 };
    Metrics metrics = {0};
    Bytes line = {0};
    Journal *journal = journal_open(scratch_path("long.jsonl"));
    assert_non_null(journal);
    srandom(1);
    for (int64_t step = 1; step <= STEPS; step++) {
        fill_step(&metrics, step);
        bytes_clear(&line);
        metrics_print_json(&metrics, &line);
        assert_int_equal(journal_append(journal, line.data, line.length), 0);
    }
    journal_close(journal);
    assert_int_equal(
        metrics_file_rebuild(scratch_path("long.jsonl"), scratch_path("long.h5"), NULL), 0);
    int64_t bytes = file_bytes("long.jsonl") + file_bytes("long.h5") + STEPS * LOG_LINE;
    printf("journal %.1f MB, series %.1f MB, log %.1f MB\n",
           1e-6 * (double)file_bytes("long.jsonl"), 1e-6 * (double)file_bytes("long.h5"),
           1e-6 * STEPS * LOG_LINE);
    assert_true(bytes < 20000000);
    metrics_free(&metrics);
    bytes_free(&line);
}

static void bad_journals_and_full_disks_keep_the_old_metrics(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("metrics"), 0777), 0);
    scratch_write_text("metrics/m.h5", "old");
    scratch_write_text("bad.jsonl", "{\"step\":1}\n{oops\n");
    const char *path = scratch_path("metrics/m.h5");
    assert_int_equal(metrics_file_rebuild(scratch_path("bad.jsonl"), path, NULL), -1);
    assert_failed(EXIT_BAD_DATA, "bad.jsonl:2:");
    assert_int_equal(metrics_file_rebuild(scratch_path("absent"), path, NULL), -1);
    assert_failed(EXIT_NO_INPUT, "absent");
    enum { ROWS = 10000 };
    int64_t *steps = allocate(ROWS, sizeof *steps);
    double *values = allocate(ROWS, sizeof *values);
    MetricSeries series = {.name = "loss", .values = values};
    for (int64_t i = 0; i < ROWS; i++)
        values[i] = 1.0 / (double)(i + 3); // nothing that compresses well
    limit_files(32768);
    int status = metrics_file_write(path, steps, ROWS, &series, 1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(status, -1);
    assert_failed(EXIT_CANNOT_WRITE, "metrics/m.h5");
    assert_int_equal(scratch_entries("metrics"), 1);
    size_t bytes;
    char *content = scratch_read("metrics/m.h5", &bytes);
    assert_string_equal(content, "old");
    release(content);
    release(steps);
    release(values);
}

static void checkpoints_are_listed_newest_first(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("run"), 0777), 0);
    static const char *const names[] = {
        "step-000100.h5",          "step-000020.h5", "step-1000000.h5",
        "step-000003.h5.x",        "step-03.h5",     "step-0000100.h5",
        "step-000001.h5.tmp-12-0", "LATEST.tmp-1-2", "notes.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        snprintf(name, sizeof name, "run/%s", names[i]);
        scratch_write_text(name, "x");
    }
    int64_t *steps;
    assert_int_equal(run_files_list(scratch_path("run"), &steps), 3);
    assert_int_equal(steps[0], 1000000);
    assert_int_equal(steps[1], 100);
    assert_int_equal(steps[2], 20);
    release(steps);
    assert_int_equal(run_files_clean(scratch_path("run")), 0);
    assert_int_equal(scratch_entries("run"), 7);
    assert_int_equal(run_files_list(scratch_path("nowhere"), &steps), -1);
    assert_failed(EXIT_NO_INPUT, "nowhere");
}

static void a_run_resolves_to_the_checkpoint_it_points_to(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("points"), 0777), 0);
    const char *run = scratch_path("points");
    assert_null(run_files_resolve(run, false));
    assert_failed(EXIT_NO_INPUT, "no checkpoint");
    scratch_write_text("points/step-000007.h5", "x");
    char *path = run_files_resolve(run, false);
    assert_string_equal(path, scratch_path("points/step-000007.h5"));
    release(path);
    assert_null(run_files_resolve(run, true));
    assert_failed(EXIT_NO_INPUT, "no BEST");
    assert_int_equal(run_files_point(run, "LATEST", 5), 0);
    assert_int_equal(run_files_point(run, "BEST", 4), 0);
    assert_int_equal(run_files_pointer(run, "LATEST"), 5);
    path = run_files_resolve(run, true);
    assert_string_equal(path, scratch_path("points/step-000004.h5"));
    release(path);
    scratch_write_text("points/LATEST", "../../etc/passwd\n");
    assert_int_equal(run_files_pointer(run, "LATEST"), -1);
    assert_null(run_files_resolve(scratch_path("absent"), false));
    assert_failed(EXIT_NO_INPUT, "absent");
    path = run_files_resolve(scratch_path("points/step-000007.h5"), false);
    assert_non_null(path);
    release(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_atomic_file_is_there_whole_or_not_at_all),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
        cmocka_unit_test(what_cannot_be_made_is_told),
        cmocka_unit_test(directories_are_made_with_parents_and_removed_with_content),
        cmocka_unit_test(a_journal_grows_line_by_line),
        cmocka_unit_test(a_journal_is_cut_back_and_keeps_the_orphans),
        cmocka_unit_test(an_unfinished_line_is_cut_at_the_next_open),
        cmocka_unit_test(a_line_over_the_limit_is_refused),
        cmocka_unit_test(a_line_that_does_not_fit_is_taken_back),
        cmocka_unit_test(lines_wait_while_the_disk_is_full),
        cmocka_unit_test(a_killed_writer_leaves_whole_lines),
        cmocka_unit_test(metrics_are_rebuilt_from_the_journal),
        cmocka_unit_test(ten_thousand_steps_stay_below_twenty_megabytes),
        cmocka_unit_test(bad_journals_and_full_disks_keep_the_old_metrics),
        cmocka_unit_test(checkpoints_are_listed_newest_first),
        cmocka_unit_test(a_run_resolves_to_the_checkpoint_it_points_to),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
