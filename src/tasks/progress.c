#include "tasks/progress.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/atomic.h"

enum { LINE_BYTES = 64 };

static int64_t read_starts(const char *path, int64_t step)
{
    Bytes text = {0};
    long long there = -1, starts = 0;
    int end = 0;
    bool whole = regular_read(path, LINE_BYTES, &text) == 0 && text.length > 0 &&
                 sscanf(text.data, "step=%18lld starts=%18lld\n%n", &there, &starts, &end) == 2 &&
                 (size_t)end == text.length;
    bytes_free(&text);
    return whole && there == step && starts > 0 ? starts : 0;
}

int64_t progress_begin(const char *directory, int64_t step)
{
    Bytes path = {0}, line = {0};
    bytes_print(&path, "%s/progress", directory);
    int64_t starts = read_starts(path.data, step) + 1;
    bytes_print(&line, "step=%lld starts=%lld\n", (long long)step, (long long)starts);
    int status = atomic_write_file(path.data, line.data, line.length);
    bytes_free(&path);
    bytes_free(&line);
    return status == 0 ? starts : -1;
}
