#include "files/raw.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"

// Linux moves at most 2 GiB less a page a call; a smaller slice also keeps signals responsive.
enum { TRANSFER_MAXIMUM = 256 << 20, SLICE_ELEMENTS = 1 << 15 };

static size_t slice_of(size_t bytes)
{
    return bytes < TRANSFER_MAXIMUM ? bytes : TRANSFER_MAXIMUM;
}

int raw_read_at(int descriptor, const char *path, void *out, size_t bytes, int64_t offset)
{
    char *to = out;
    while (bytes > 0) {
        ssize_t done = pread(descriptor, to, slice_of(bytes), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail(EXIT_NO_INPUT, "cannot read %s at byte %lld: %s", path, (long long)offset,
                        strerror(errno));
        if (done == 0)
            return fail(EXIT_BAD_DATA,
                        "%s ends at byte %lld, %zu bytes too early: it was shortened while it was "
                        "read, or copied incompletely",
                        path, (long long)offset, bytes);
        to += done;
        offset += done;
        bytes -= (size_t)done;
    }
    return 0;
}

int raw_read_f32(int descriptor, const char *path, StoredType type, int64_t offset, int64_t count,
                 float *out)
{
    if (type == STORED_F32)
        return raw_read_at(descriptor, path, out, (size_t)count * sizeof *out, offset);
    uint16_t halves[SLICE_ELEMENTS];
    for (int64_t done = 0; done < count; done += SLICE_ELEMENTS) {
        int64_t part = count - done < SLICE_ELEMENTS ? count - done : SLICE_ELEMENTS;
        if (raw_read_at(descriptor, path, halves, (size_t)part * sizeof *halves,
                        offset + done * (int64_t)sizeof *halves))
            return -1;
        stored_type_to_f32(type, halves, part, out + done);
    }
    return 0;
}

int raw_fail_write(const char *verb, const char *path)
{
    int reason = errno;
    const char *advice = "";
    if (reason == ENOSPC || reason == EDQUOT)
        advice = " (free some space or keep fewer checkpoints, then start again)";
    if (reason == EFBIG)
        advice = " (raise the limit on file sizes: ulimit -f)";
    return fail(EXIT_CANNOT_WRITE, "cannot %s %s: %s%s", verb, path, strerror(reason), advice);
}

int raw_write_at(int descriptor, const char *path, const void *data, size_t bytes, int64_t offset)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t done = pwrite(descriptor, from, slice_of(bytes), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return raw_fail_write("write", path);
        from += done;
        offset += done;
        bytes -= (size_t)done;
    }
    return 0;
}

int raw_sync(int descriptor, const char *path)
{
    int status;
    do {
        status = fsync(descriptor);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : raw_fail_write("flush", path);
}
