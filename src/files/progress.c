#include "files/progress.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/atomic.h"

enum { LINE_BYTES = 96 };

static char *path_in(const char *directory)
{
    Bytes path = {0};
    bytes_print(&path, "%s/progress", directory);
    return path.data;
}

Progress progress_read(const char *directory)
{
    char *path = path_in(directory);
    Bytes text = {0};
    long long step = -1, total = 0, starts = 0;
    int end = 0;
    Progress progress = {0};
    if (regular_read(path, LINE_BYTES, &text) == 0 && text.length > 0 &&
        sscanf(text.data, "step=%18lld of=%18lld starts=%18lld\n%n", &step, &total, &starts,
               &end) == 3 &&
        (size_t)end == text.length && step >= 0 && total > 0 && starts > 0)
        progress = (Progress){step, total, starts};
    bytes_free(&text);
    release(path);
    return progress;
}

int64_t progress_begin(const char *directory, int64_t step, int64_t total)
{
    Progress before = progress_read(directory);
    int64_t starts = before.step == step ? before.starts + 1 : 1;
    char *path = path_in(directory);
    Bytes line = {0};
    bytes_print(&line, "step=%lld of=%lld starts=%lld\n", (long long)step, (long long)total,
                (long long)starts);
    int status = atomic_write_file(path, line.data, line.length);
    bytes_free(&line);
    release(path);
    return status == 0 ? starts : -1;
}
