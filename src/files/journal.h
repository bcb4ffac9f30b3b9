// journal.h - files of lines that grow: metrics.jsonl, samples.jsonl.
//
// A line is one write() with O_APPEND, so a killed program leaves whole lines and at most one
// unfinished one at the end, which is cut at the next open. What a restart cuts away is kept in
// NAME.orphan.

#ifndef L2A_FILES_JOURNAL_H
#define L2A_FILES_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

enum { JOURNAL_LINE_LIMIT = 64 << 20 }; // bytes of a line that is read

typedef struct {
    char *path; // owned
    int descriptor;
    int64_t bytes; // length of the file: where the next line begins
    Bytes waiting; // owned; whole lines that could not be written so far (journal_keep)
} Journal;

enum { JOURNAL_WAITING_MAXIMUM = 64 << 20 };

// Opens or creates. NULL with EXIT_CANNOT_CREATE or EXIT_CANNOT_WRITE.
Journal *journal_open(const char *path);

// Appends `length` bytes (no newline among them) and a newline. EXIT_CANNOT_WRITE; a line that
// could not be written whole is taken back.
int journal_append(Journal *journal, const char *line, size_t length);

// Appends a line now or later: while the disk takes none, lines wait in memory, and are written
// before any other. Fails (EXIT_CANNOT_WRITE) where more than JOURNAL_WAITING_MAXIMUM bytes wait;
// else a failure to write is only recorded.
int journal_keep(Journal *journal, const char *line, size_t length);

// Writes the lines that wait. EXIT_CANNOT_WRITE.
int journal_catch_up(Journal *journal);

// Cuts the file back to `offset` bytes (a value of journal->bytes at a checkpoint); the lines
// behind it are appended to NAME.orphan. A file shorter than `offset` is EXIT_BAD_DATA.
int journal_cut(Journal *journal, int64_t offset);

// Flushes to disk.
int journal_sync(Journal *journal);

void journal_close(Journal *journal); // NULL is fine

// Calls `take` with every whole line, its newline taken off, numbered from 1, until it returns
// other than 0, which is then returned. EXIT_NO_INPUT when the file cannot be read, EXIT_BAD_DATA
// when a line has more than JOURNAL_LINE_LIMIT bytes.
typedef int JournalTake(void *context, const char *line, size_t length, int64_t number);
int journal_read(const char *path, JournalTake *take, void *context);

#endif
