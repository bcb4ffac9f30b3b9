#include "base/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"

int regular_open(const char *path, int64_t *bytes)
{
    // O_NONBLOCK: opening a FIFO without a writer must not hang before fstat can refuse it.
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return fail(EXIT_NO_INPUT, "cannot open %s: %s", path, strerror(errno));
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        fail(EXIT_NO_INPUT, "cannot stat %s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        fail(EXIT_BAD_DATA, "%s is not a regular file (a directory, FIFO or device?)", path);
    } else {
        if (bytes)
            *bytes = (int64_t)status.st_size;
        return descriptor;
    }
    close(descriptor);
    return -1;
}

static int read_all(int descriptor, const char *path, char *out, size_t bytes)
{
    while (bytes > 0) {
        ssize_t done = read(descriptor, out, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail(EXIT_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
        if (done == 0)
            return fail(EXIT_BAD_DATA, "%s was shortened while it was read", path);
        out += done;
        bytes -= (size_t)done;
    }
    return 0;
}

int regular_read(const char *path, size_t limit, Bytes *text)
{
    int64_t bytes = 0;
    int descriptor = regular_open(path, &bytes);
    if (descriptor < 0)
        return -1;
    int status = -1;
    if ((uint64_t)bytes > limit)
        fail(EXIT_BAD_DATA, "%s has %lld bytes; at most %zu are allowed", path, (long long)bytes,
             limit);
    else if (bytes_reserve(text, (size_t)bytes) == 0)
        status = read_all(descriptor, path, text->data + text->length, (size_t)bytes);
    if (status == 0) {
        text->length += (size_t)bytes;
        text->data[text->length] = 0;
    }
    close(descriptor);
    return status;
}
