// jsonl.h - JSON lines: one object a line, read strictly and written back value for value.
//
// A line is usable when it is one JSON object in valid UTF-8 without duplicate keys and without
// "\u0000" (texts are C strings), nested at most 2,048 deep, of at most JSONL_LINE_LIMIT bytes.
// CRLF ends and a last line without newline are accepted; lines of white space only are passed over
// and counted. Unusable lines are reported with file, line and reason: the first ten in words, the
// rest in number. Nothing is dropped silently.

#ifndef L2A_INPUT_JSONL_H
#define L2A_INPUT_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/memory.h"

enum {
    JSONL_LISTED = 10,                   // bad lines that a report quotes
    JSONL_LINE_LIMIT = 64 * 1024 * 1024, // bytes of one line
};

typedef struct JsonlReader JsonlReader;

// What was read; filled by jsonl_close.
typedef struct {
    int64_t lines; // all lines of the file
    int64_t blank; // of white space only
    int64_t bad;   // unusable: not JSON, or rejected by the caller
} JsonlReport;

// Opens `path`. Fails where it is missing (EXIT_NO_INPUT), or begins with a byte order mark, is
// UTF-16, or no regular file (EXIT_BAD_DATA).
int jsonl_open(JsonlReader **reader, const char *path);

// 1 and the next usable line's object (a new reference), 0 at the end of the file, -1 where the
// disk fails. Unusable lines are noted and passed over.
int jsonl_next(JsonlReader *reader, json_t **object);

// Notes that the line last returned cannot be used: `reason` without file and line number.
void jsonl_reject(JsonlReader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

const char *jsonl_path(const JsonlReader *reader);
int64_t jsonl_line(const JsonlReader *reader); // number of the line last returned, from 1

// Closes and frees; `report` may be NULL. Where lines were bad: fails with the list of the first
// ten (EXIT_BAD_DATA), or with `skip_bad` warns with the same list and succeeds.
int jsonl_close(JsonlReader *reader, bool skip_bad, JsonlReport *report);

// Closes and frees without a word, for a caller that already failed.
void jsonl_abandon(JsonlReader *reader);

// Appends `value` as one line's text, without the newline: keys in their order, ", " and ": "
// between, other than control characters unescaped, reals in the fewest digits that read back as
// the same number.
void jsonl_append(Bytes *bytes, const json_t *value);

// Appends `text` as a JSON string with its quotes.
void jsonl_append_string(Bytes *bytes, const char *text);

#endif
