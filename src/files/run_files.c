#include "files/run_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/metric_names.h"
#include "base/regular.h"
#include "files/atomic.h"
#include "files/metrics_file.h"
#include "files/raw.h"

enum { POINTER_BYTES_MAXIMUM = 64, DIGITS_MAXIMUM = 18 };

char *run_files_path(const char *directory, int64_t step)
{
    Bytes path = {0};
    bytes_print(&path, "%s/step-%06lld.h5", directory, (long long)step);
    return path.data;
}

// The step of a name that is exactly what run_files_path would give, else -1.
static int64_t step_of_name(const char *name)
{
    static const char beginning[] = "step-", ending[] = ".h5";
    size_t skip = sizeof beginning - 1;
    if (strncmp(name, beginning, skip) != 0)
        return -1;
    size_t digits = strspn(name + skip, "0123456789");
    const char *end = name + skip + digits;
    if (digits < 6 || digits > DIGITS_MAXIMUM || strcmp(end, ending) != 0)
        return -1;
    return digits > 6 && name[skip] == '0' ? -1 : strtoll(name + skip, NULL, 10);
}

static int newest_first(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left < right) - (left > right);
}

int64_t run_files_list(const char *directory, int64_t **steps)
{
    *steps = NULL;
    DIR *stream = opendir(directory);
    if (!stream)
        return fail(EXIT_NO_INPUT, "cannot open directory %s: %s", directory, strerror(errno));
    size_t count = 0, capacity = 0;
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        int64_t step = step_of_name(entry->d_name);
        if (step < 0)
            continue;
        grow((void **)steps, &capacity, count + 1, sizeof **steps);
        (*steps)[count++] = step;
    }
    closedir(stream);
    if (count > 0)
        qsort(*steps, count, sizeof **steps, newest_first);
    return (int64_t)count;
}

int64_t run_files_pointer(const char *directory, const char *name)
{
    Bytes path = {0}, text = {0};
    struct stat status;
    int64_t step = -1;
    bytes_print(&path, "%s/%s", directory, name);
    if (stat(path.data, &status) == 0 &&
        regular_read(path.data, POINTER_BYTES_MAXIMUM, &text) == 0 && text.length > 0) {
        if (text.data[text.length - 1] == '\n')
            text.data[text.length - 1] = 0;
        step = step_of_name(text.data);
    }
    bytes_free(&path);
    bytes_free(&text);
    return step;
}

int run_files_point(const char *directory, const char *name, int64_t step)
{
    Bytes path = {0}, text = {0};
    bytes_print(&path, "%s/%s", directory, name);
    bytes_print(&text, "step-%06lld.h5\n", (long long)step);
    int status = atomic_write_file(path.data, text.data, text.length);
    bytes_free(&path);
    bytes_free(&text);
    return status;
}

int run_files_flush(const char *directory)
{
    static const char *const journals[] = {"metrics.jsonl", "samples.jsonl"};
    int status = 0;
    for (size_t i = 0; i < sizeof journals / sizeof *journals && status == 0; i++) {
        Bytes path = {0};
        bytes_print(&path, "%s/%s", directory, journals[i]);
        int descriptor = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (descriptor >= 0) {
            status = raw_sync(descriptor, path.data);
            close(descriptor);
        } else if (errno != ENOENT) {
            status = raw_fail_write("open", path.data);
        }
        bytes_free(&path);
    }
    return status;
}

int run_files_make_series(const char *directory)
{
    Bytes journal = {0}, series = {0};
    bytes_print(&journal, "%s/metrics.jsonl", directory);
    bytes_print(&series, "%s/metrics.h5", directory);
    int status = 0;
    if (access(journal.data, F_OK) == 0)
        status = metrics_file_rebuild(journal.data, series.data, metric_names_describe);
    bytes_free(&journal);
    bytes_free(&series);
    return status;
}

static bool is_temporary(const char *name)
{
    static const char *const ours[] = {"step-", "LATEST", "BEST", "metrics.h5", "progress"};
    const char *mark = strstr(name, ".tmp-");
    for (size_t i = 0; mark && i < sizeof ours / sizeof *ours; i++) {
        if (strncmp(name, ours[i], strlen(ours[i])) == 0)
            return mark[5 + strspn(mark + 5, "0123456789-")] == 0;
    }
    return false;
}

int run_files_clean(const char *directory)
{
    DIR *stream = opendir(directory);
    if (!stream)
        return fail(EXIT_NO_INPUT, "cannot open directory %s: %s", directory, strerror(errno));
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        if (is_temporary(entry->d_name) && unlinkat(dirfd(stream), entry->d_name, 0) != 0)
            warn("cannot remove %s/%s: %s", directory, entry->d_name, strerror(errno));
    }
    closedir(stream);
    return 0;
}

static int64_t choose_step(const char *directory, bool best)
{
    int64_t step = run_files_pointer(directory, best ? "BEST" : "LATEST");
    if (best && step < 0)
        return fail(EXIT_NO_INPUT, "there is no BEST in %s: no checkpoint was named best yet",
                    directory);
    if (step >= 0)
        return step;
    int64_t *steps;
    int64_t count = run_files_list(directory, &steps);
    if (count > 0)
        step = steps[0];
    if (count == 0)
        fail(EXIT_NO_INPUT, "there is no checkpoint (step-NNNNNN.h5) in %s", directory);
    release(steps);
    return step;
}

char *run_files_resolve(const char *path, bool best)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        fail(EXIT_NO_INPUT, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISDIR(status.st_mode))
        return duplicate(path);
    int64_t step = choose_step(path, best);
    return step < 0 ? NULL : run_files_path(path, step);
}
