#define _GNU_SOURCE // memrchr

#include "files/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/raw.h"

enum { PIECE_BYTES = 1 << 16 };

static int truncate_to(Journal *journal, int64_t bytes)
{
    if (ftruncate(journal->descriptor, (off_t)bytes) != 0)
        return raw_fail_write("cut", journal->path);
    journal->bytes = bytes;
    return 0;
}

static int open_append(const char *path)
{
    int descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    struct stat status;
    if (descriptor < 0)
        return fail(EXIT_CANNOT_CREATE, "cannot open %s: %s", path, strerror(errno));
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
        return descriptor;
    close(descriptor);
    return fail(EXIT_CANNOT_CREATE, "%s is not a regular file", path);
}

// Where the last whole line ends.
static int find_line_end(const Journal *journal, int64_t bytes, int64_t *end)
{
    char piece[PIECE_BYTES];
    for (*end = 0; bytes > 0 && *end == 0;) {
        size_t part = (size_t)(bytes < PIECE_BYTES ? bytes : PIECE_BYTES);
        if (raw_read_at(journal->descriptor, journal->path, piece, part, bytes - (int64_t)part))
            return -1;
        const char *newline = memrchr(piece, '\n', part);
        if (newline)
            *end = bytes - (int64_t)part + (newline - piece) + 1;
        bytes -= (int64_t)part;
    }
    return 0;
}

static int open_end(Journal *journal)
{
    struct stat status;
    if (fstat(journal->descriptor, &status) != 0)
        return fail(EXIT_CANNOT_CREATE, "cannot stat %s: %s", journal->path, strerror(errno));
    journal->bytes = (int64_t)status.st_size;
    int64_t end;
    if (find_line_end(journal, journal->bytes, &end))
        return -1;
    return end < journal->bytes ? journal_cut(journal, end) : 0;
}

Journal *journal_open(const char *path)
{
    Journal *journal = allocate(1, sizeof *journal);
    journal->path = duplicate(path);
    journal->descriptor = open_append(path);
    if (journal->descriptor >= 0 && open_end(journal) == 0)
        return journal;
    journal_close(journal);
    return NULL;
}

int journal_append(Journal *journal, const char *line, size_t length)
{
    Bytes whole = {0};
    CHECK(!memchr(line, '\n', length), "a journal's line holds a newline");
    bytes_append(&whole, line, length);
    bytes_append_text(&whole, "\n");
    ssize_t done;
    do {
        done = write(journal->descriptor, whole.data, whole.length);
    } while (done < 0 && errno == EINTR);
    int status = 0;
    if (done == (ssize_t)whole.length) {
        journal->bytes += done;
    } else {
        if (done >= 0)
            errno = ENOSPC; // a short write to a regular file: the disk or a limit is full
        status = raw_fail_write("append to", journal->path);
        if (ftruncate(journal->descriptor, (off_t)journal->bytes) != 0)
            fail_context("its last line is unfinished");
    }
    bytes_free(&whole);
    return status;
}

int journal_catch_up(Journal *journal)
{
    Bytes *waiting = &journal->waiting;
    size_t done = 0;
    int status = 0;
    while (status == 0 && done < waiting->length) {
        const char *line = waiting->data + done;
        size_t length = (size_t)((const char *)memchr(line, '\n', waiting->length - done) - line);
        status = journal_append(journal, line, length);
        done += status == 0 ? length + 1 : 0;
    }
    if (done > 0)
        memmove(waiting->data, waiting->data + done, waiting->length - done);
    waiting->length -= done;
    if (waiting->length == 0)
        bytes_free(waiting);
    return status;
}

int journal_keep(Journal *journal, const char *line, size_t length)
{
    if (journal_catch_up(journal) == 0 && journal_append(journal, line, length) == 0)
        return 0;
    if (journal->waiting.length + length >= JOURNAL_WAITING_MAXIMUM)
        return fail_context("more than %d MiB of lines wait", JOURNAL_WAITING_MAXIMUM >> 20);
    bytes_append(&journal->waiting, line, length);
    bytes_append_text(&journal->waiting, "\n");
    return 0;
}

static int copy_tail(const Journal *journal, int orphan, const char *orphan_path, int64_t offset)
{
    struct stat status;
    char piece[PIECE_BYTES];
    if (fstat(orphan, &status) != 0)
        return fail(EXIT_CANNOT_CREATE, "cannot stat %s: %s", orphan_path, strerror(errno));
    int64_t to = (int64_t)status.st_size;
    while (offset < journal->bytes) {
        int64_t left = journal->bytes - offset;
        size_t part = (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES);
        if (raw_read_at(journal->descriptor, journal->path, piece, part, offset) ||
            raw_write_at(orphan, orphan_path, piece, part, to))
            return -1;
        offset += (int64_t)part;
        to += (int64_t)part;
    }
    return 0;
}

int journal_cut(Journal *journal, int64_t offset)
{
    if (offset > journal->bytes)
        return fail(EXIT_BAD_DATA,
                    "%s has %lld bytes, the checkpoint says %lld: it was shortened or replaced",
                    journal->path, (long long)journal->bytes, (long long)offset);
    if (offset == journal->bytes)
        return 0;
    Bytes orphan_path = {0};
    bytes_print(&orphan_path, "%s.orphan", journal->path);
    int orphan = open(orphan_path.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    int status = -1;
    if (orphan < 0)
        fail(EXIT_CANNOT_CREATE, "cannot open %s: %s", orphan_path.data, strerror(errno));
    else
        status = copy_tail(journal, orphan, orphan_path.data, offset);
    if (status == 0)
        status = raw_sync(orphan, orphan_path.data); // kept for sure before it is cut away
    if (status == 0)
        status = truncate_to(journal, offset);
    if (orphan >= 0)
        close(orphan);
    bytes_free(&orphan_path);
    return status;
}

int journal_sync(Journal *journal)
{
    return raw_sync(journal->descriptor, journal->path);
}

void journal_close(Journal *journal)
{
    if (!journal)
        return;
    if (journal->descriptor >= 0)
        close(journal->descriptor);
    bytes_free(&journal->waiting);
    release(journal->path);
    release(journal);
}

// Hands on the whole lines of `pending` and keeps the rest.
static int take_lines(Bytes *pending, JournalTake *take, void *context, int64_t *number)
{
    size_t begin = 0;
    int status = 0;
    while (status == 0) {
        char *line = pending->data + begin;
        char *newline = memchr(line, '\n', pending->length - begin);
        if (!newline)
            break;
        *newline = 0;
        status = take(context, line, (size_t)(newline - line), ++*number);
        begin += (size_t)(newline - line) + 1;
    }
    pending->length -= begin;
    if (begin > 0)
        memmove(pending->data, pending->data + begin, pending->length);
    return status;
}

int journal_read(const char *path, JournalTake *take, void *context)
{
    int64_t bytes = 0, number = 0;
    int descriptor = regular_open(path, &bytes);
    if (descriptor < 0)
        return -1;
    Bytes pending = {0};
    char *piece = allocate(PIECE_BYTES, 1);
    int status = 0;
    for (int64_t offset = 0; offset < bytes && status == 0; offset += PIECE_BYTES) {
        int64_t left = bytes - offset;
        size_t part = (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES);
        status = raw_read_at(descriptor, path, piece, part, offset);
        if (status == 0) {
            bytes_append(&pending, piece, part);
            status = take_lines(&pending, take, context, &number);
        }
        if (status == 0 && pending.length > JOURNAL_LINE_LIMIT)
            status = fail(EXIT_BAD_DATA, "%s:%lld: the line is longer than %d bytes", path,
                          (long long)number + 1, JOURNAL_LINE_LIMIT);
    }
    release(piece);
    bytes_free(&pending);
    close(descriptor);
    return status;
}
