#include "tools/show_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/journal.h"

enum { PIECE_BYTES = 1 << 20 };

void show_tail_open(ShowTail *tail, const char *directory)
{
    Bytes path = {0};
    bytes_print(&path, "%s/metrics.jsonl", directory);
    *tail = (ShowTail){.path = path.data};
}

static void forget(ShowTail *tail)
{
    metrics_table_free(&tail->table);
    bytes_clear(&tail->mark);
    tail->offset = 0;
    tail->refused = 0;
}

void show_tail_close(ShowTail *tail)
{
    forget(tail);
    bytes_free(&tail->mark);
    release(tail->path);
}

// Appends up to `bytes` from `offset` on: fewer where the file ends before. False where they cannot
// be read just now (a stale handle, say): the next look will tell.
static bool read_at(int descriptor, int64_t offset, size_t bytes, Bytes *out)
{
    if (bytes_reserve(out, bytes) != 0)
        return false;
    while (bytes > 0) {
        ssize_t done = pread(descriptor, out->data + out->length, bytes, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        out->length += (size_t)done;
        out->data[out->length] = 0;
        offset += done;
        bytes -= (size_t)done;
    }
    return true;
}

// Whether the last line that was read stands where it stood.
static bool is_uncut(const ShowTail *tail, int descriptor, int64_t bytes)
{
    Bytes there = {0};
    if (tail->mark.length == 0)
        return tail->offset == 0;
    bool same =
        bytes >= tail->offset &&
        read_at(descriptor, tail->offset - (int64_t)tail->mark.length, tail->mark.length, &there) &&
        there.length == tail->mark.length && memcmp(there.data, tail->mark.data, there.length) == 0;
    bytes_free(&there);
    return same;
}

// Takes the whole lines of `piece`. 1 where one was refused.
static int take_lines(ShowTail *tail, Bytes *piece)
{
    size_t begin = 0;
    for (char *end; (end = memchr(piece->data + begin, '\n', piece->length - begin));) {
        char *line = piece->data + begin;
        size_t length = (size_t)(end - line);
        *end = 0;
        if (metrics_table_add(&tail->table, line, length) != 0)
            return 1;
        bytes_clear(&tail->mark);
        bytes_append(&tail->mark, line, length);
        bytes_append_text(&tail->mark, "\n");
        tail->offset += (int64_t)length + 1;
        tail->bytes += (int64_t)length + 1;
        tail->refused = 0;
        begin += length + 1;
    }
    return 0;
}

static int read_new(ShowTail *tail, int descriptor, int64_t bytes)
{
    size_t want = PIECE_BYTES;
    while (tail->offset < bytes) {
        Bytes piece = {0};
        int64_t before = tail->offset, left = bytes - tail->offset;
        bool read =
            read_at(descriptor, tail->offset, left < (int64_t)want ? (size_t)left : want, &piece);
        int refused = read && piece.length > 0 ? take_lines(tail, &piece) : 0;
        bool ended = !read || (int64_t)piece.length >= left || piece.length < want;
        bytes_free(&piece);
        if (refused && ++tail->refused > TAIL_PATIENCE)
            return fail_context("%s: at byte %lld", tail->path, (long long)tail->offset);
        if (refused || ended)
            break;
        want = tail->offset > before ? PIECE_BYTES : 2 * want;
        if (want > JOURNAL_LINE_LIMIT)
            return fail(EXIT_BAD_DATA, "%s: the line at byte %lld is longer than %d bytes",
                        tail->path, (long long)tail->offset, JOURNAL_LINE_LIMIT);
    }
    return 0;
}

int show_tail_look(ShowTail *tail, bool *anew)
{
    int64_t bytes = 0;
    *anew = false;
    int descriptor = access(tail->path, F_OK) == 0 ? regular_open(tail->path, &bytes) : -1;
    if (descriptor < 0 || !is_uncut(tail, descriptor, bytes)) {
        *anew = tail->offset > 0;
        forget(tail);
    }
    int status = descriptor < 0 ? 0 : read_new(tail, descriptor, bytes);
    metrics_table_level(&tail->table);
    if (descriptor >= 0)
        close(descriptor);
    return status;
}
