#include "input/jsonl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/regular.h"

enum { READ_BYTES = 64 * 1024, REASON_BYTES = 256 };

struct JsonlReader {
    char *path; // owned
    int descriptor;
    char *buffer; // owned, [READ_BYTES]
    size_t used, filled;
    Bytes line;
    bool too_long;
    JsonlReport report;
    Bytes listed; // "path:line: reason\n" of the first bad lines
};

// -1 on a failure of the disk; nothing is filled at the end of the file.
static int refill(JsonlReader *reader)
{
    ssize_t got;
    do {
        got = read(reader->descriptor, reader->buffer, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    reader->used = 0;
    reader->filled = got > 0 ? (size_t)got : 0;
    return got < 0 ? fail(EXIT_NO_INPUT, "%s: cannot read: %s", reader->path, strerror(errno)) : 0;
}

// What no line-by-line reading can repair is a fault of the file, skip_bad or not.
static int check_encoding(const JsonlReader *reader)
{
    const unsigned char *start = (const unsigned char *)reader->buffer;
    if (reader->filled >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0)
        return fail(EXIT_BAD_DATA,
                    "%s:1: the file begins with a byte order mark; save it as UTF-8 without one, "
                    "for instance with: sed -i '1s/^\\xEF\\xBB\\xBF//' %s",
                    reader->path, reader->path);
    if (reader->filled >= 2 &&
        (memcmp(start, "\xFF\xFE", 2) == 0 || memcmp(start, "\xFE\xFF", 2) == 0))
        return fail(EXIT_BAD_DATA,
                    "%s:1: the file is UTF-16; convert it, for instance with: "
                    "iconv -f UTF-16 -t UTF-8 %s",
                    reader->path, reader->path);
    return 0;
}

int jsonl_open(JsonlReader **reader, const char *path)
{
    int descriptor = regular_open(path, NULL);
    if (descriptor < 0)
        return -1;
    JsonlReader *opened = allocate(1, sizeof *opened);
    opened->path = duplicate(path);
    opened->descriptor = descriptor;
    opened->buffer = allocate(READ_BYTES, 1);
    if (refill(opened) != 0 || check_encoding(opened) != 0) {
        jsonl_abandon(opened);
        return -1;
    }
    *reader = opened;
    return 0;
}

static void keep(JsonlReader *reader, const char *data, size_t length)
{
    if (reader->line.length + length > JSONL_LINE_LIMIT)
        reader->too_long = true;
    else
        bytes_append(&reader->line, data, length);
}

// 1 and the next line without its newline, 0 at the end, -1 on a failure of the disk.
static int read_line(JsonlReader *reader)
{
    bytes_clear(&reader->line);
    reader->too_long = false;
    bool any = false;
    for (;;) {
        if (reader->used == reader->filled && refill(reader) != 0)
            return -1;
        if (reader->filled == 0)
            break;
        any = true;
        const char *start = reader->buffer + reader->used;
        size_t left = reader->filled - reader->used;
        const char *newline = memchr(start, '\n', left);
        size_t length = newline ? (size_t)(newline - start) : left;
        keep(reader, start, length);
        reader->used += newline ? length + 1 : length;
        if (newline)
            break;
    }
    reader->report.lines += any;
    return any;
}

static bool line_is_blank(const Bytes *line)
{
    for (size_t i = 0; i < line->length; i++)
        if (!strchr(" \t\r", line->data[i]) || line->data[i] == 0)
            return false;
    return true;
}

static void reject_json(JsonlReader *reader, const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
        jsonl_reject(reader, "invalid UTF-8 at byte %d", error->position);
        break;
    case json_error_duplicate_key:
        jsonl_reject(reader, "a key occurs twice in one object, at byte %d", error->position);
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        jsonl_reject(reader, "a text holds a zero character (\\u0000), at byte %d",
                     error->position);
        break;
    default:
        jsonl_reject(reader, "not JSON: %s, at byte %d", error->text, error->position);
    }
}

static json_t *parse_line(JsonlReader *reader)
{
    json_error_t error;
    if (reader->too_long) {
        jsonl_reject(reader, "longer than %d bytes", JSONL_LINE_LIMIT);
        return NULL;
    }
    json_t *object = json_loadb(reader->line.data, reader->line.length,
                                JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!object) {
        reject_json(reader, &error);
    } else if (!json_is_object(object)) {
        jsonl_reject(reader, "not a JSON object");
        json_decref(object);
        object = NULL;
    }
    return object;
}

int jsonl_next(JsonlReader *reader, json_t **object)
{
    int status;
    while ((status = read_line(reader)) == 1) {
        if (!reader->too_long && line_is_blank(&reader->line)) {
            reader->report.blank++;
            continue;
        }
        *object = parse_line(reader);
        if (*object)
            return 1;
    }
    return status;
}

void jsonl_reject(JsonlReader *reader, const char *format, ...)
{
    if (reader->report.bad++ >= JSONL_LISTED)
        return;
    char reason[REASON_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    bytes_print(&reader->listed, "\n  %s:%lld: %s", reader->path, (long long)reader->report.lines,
                reason);
}

const char *jsonl_path(const JsonlReader *reader)
{
    return reader->path;
}

int64_t jsonl_line(const JsonlReader *reader)
{
    return reader->report.lines;
}

int jsonl_close(JsonlReader *reader, bool skip_bad, JsonlReport *report)
{
    int status = 0;
    long long bad = reader->report.bad, lines = reader->report.lines;
    const char *more = bad > JSONL_LISTED ? "\n  ..." : "";
    if (report)
        *report = reader->report;
    if (bad && skip_bad)
        warn("%s: skipped %lld of %lld lines:%s%s", reader->path, bad, lines, reader->listed.data,
             more);
    else if (bad)
        status = fail(EXIT_BAD_DATA,
                      "%s: %lld of %lld lines cannot be used; repair them, or leave them out with "
                      "data.skip_bad = yes:%s%s",
                      reader->path, bad, lines, reader->listed.data, more);
    jsonl_abandon(reader);
    return status;
}

void jsonl_abandon(JsonlReader *reader)
{
    close(reader->descriptor);
    release(reader->path);
    release(reader->buffer);
    bytes_free(&reader->line);
    bytes_free(&reader->listed);
    release(reader);
}

void jsonl_append_string(Bytes *bytes, const char *text)
{
    static const char short_escape[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    bytes_append(bytes, "\"", 1);
    const char *plain = text;
    for (const char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        bytes_append(bytes, plain, (size_t)(c - plain));
        plain = c + 1;
        if (byte >= 0x20)
            bytes_print(bytes, "\\%c", byte);
        else if (short_escape[byte])
            bytes_print(bytes, "\\%c", short_escape[byte]);
        else
            bytes_print(bytes, "\\u%04x", byte);
    }
    bytes_append_text(bytes, plain);
    bytes_append(bytes, "\"", 1);
}

static void append_real(Bytes *bytes, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    bytes_append_text(bytes, text);
    if (!strpbrk(text, ".e"))
        bytes_append_text(bytes, ".0"); // or it would come back as an integer
}

static void append_array(Bytes *bytes, const json_t *array)
{
    bytes_append(bytes, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            bytes_append(bytes, ", ", 2);
        jsonl_append(bytes, json_array_get(array, i));
    }
    bytes_append(bytes, "]", 1);
}

static void append_object(Bytes *bytes, const json_t *object)
{
    const char *key;
    json_t *value, *walked = (json_t *)object; // jansson's iteration takes no const
    bool first = true;
    bytes_append(bytes, "{", 1);
    json_object_foreach(walked, key, value)
    {
        if (!first)
            bytes_append(bytes, ", ", 2);
        first = false;
        jsonl_append_string(bytes, key);
        bytes_append(bytes, ": ", 2);
        jsonl_append(bytes, value);
    }
    bytes_append(bytes, "}", 1);
}

void jsonl_append(Bytes *bytes, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        append_object(bytes, value);
        break;
    case JSON_ARRAY:
        append_array(bytes, value);
        break;
    case JSON_STRING:
        jsonl_append_string(bytes, json_string_value(value));
        break;
    case JSON_INTEGER:
        bytes_print(bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        append_real(bytes, json_real_value(value));
        break;
    case JSON_TRUE:
        bytes_append_text(bytes, "true");
        break;
    case JSON_FALSE:
        bytes_append_text(bytes, "false");
        break;
    case JSON_NULL:
        bytes_append_text(bytes, "null");
        break;
    }
}
