#define _GNU_SOURCE // memmem
#include "tools/show_samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/journal.h"
#include "files/raw.h"
#include "input/jsonl.h"

enum { PIECE_BYTES = 1 << 16 };

int show_samples_open(ShowSamples *samples, const char *data)
{
    *samples = (ShowSamples){.contexts = json_object()};
    SampleOptions options = {.skip_bad = true, .keep_empty = true};
    if (samples_read(&samples->set, data, options) != 0)
        return -1;
    samples->has_set = true;
    for (int64_t i = 0; i < samples->set.count; i++)
        json_object_set_new(samples->contexts, samples->set.samples[i].cid, json_integer(i));
    return 0;
}

static double number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text(const json_t *line, const char *key)
{
    const char *value = json_string_value(json_object_get(line, key));
    return value ? value : "";
}

static void add(ShowSamples *samples, json_t *line)
{
    const char *cid = text(line, "cid");
    const json_t *index = json_object_get(samples->contexts, cid);
    ShowSample sample = {
        .step = json_integer_value(json_object_get(line, "step")),
        .model = text(line, "model"),
        .cid = cid,
        .sample = index ? &samples->set.samples[json_integer_value(index)] : NULL,
        .repeat = json_integer_value(json_object_get(line, "repeat")),
        .response = text(line, "response"),
        .earlier = text(line, "earlier"),
        .verdict = text(line, "verdict"),
        .tokens = json_integer_value(json_object_get(line, "tokens")),
        .finished = json_is_true(json_object_get(line, "finished")),
        .graded = json_is_true(json_object_get(line, "graded")),
        .decision = number(line, "decision"),
        .content = number(line, "content"),
        .format = number(line, "format"),
        .reward = number(line, "reward"),
        .advantage = number(line, "advantage"),
        .line = line,
    };
    truth_parse(text(line, "decision_truth"), &sample.truth);
    grow((void **)&samples->list, &samples->capacity, (size_t)samples->count + 1,
         sizeof *samples->list);
    samples->list[samples->count++] = sample;
}

typedef struct {
    char *path; // owned
    int descriptor;
    int64_t bytes;
    Bytes piece; // from `begin` on
    int64_t begin;
} Lines;

// The whole line that begins at `offset`, borrowed and without its newline; NULL at the end of the
// file, at a line that is not finished, and (with a failure, *status = -1) where reading fails.
static const char *line_at(Lines *lines, int64_t offset, size_t *length, int *status)
{
    size_t want = PIECE_BYTES;
    for (;;) {
        int64_t in_piece = offset - lines->begin;
        bool inside = in_piece >= 0 && in_piece < (int64_t)lines->piece.length;
        char *from = inside ? lines->piece.data + in_piece : NULL;
        size_t left = inside ? lines->piece.length - (size_t)in_piece : 0;
        char *end = inside ? memchr(from, '\n', left) : NULL;
        if (end) {
            *length = (size_t)(end - from);
            return from;
        }
        bool whole = inside && lines->begin + (int64_t)lines->piece.length >= lines->bytes;
        if (whole || offset >= lines->bytes)
            return NULL;
        if (want > JOURNAL_LINE_LIMIT) {
            *status = fail(EXIT_BAD_DATA, "%s: a line at byte %lld is longer than %d bytes",
                           lines->path, (long long)offset, JOURNAL_LINE_LIMIT);
            return NULL;
        }
        int64_t rest = lines->bytes - offset;
        size_t bytes = (size_t)rest < want ? (size_t)rest : want;
        bytes_clear(&lines->piece);
        if (bytes_reserve(&lines->piece, bytes) != 0 ||
            raw_read_at(lines->descriptor, lines->path, lines->piece.data, bytes, offset) != 0) {
            *status = -1;
            return NULL;
        }
        lines->piece.length = bytes;
        lines->begin = offset;
        want *= 2;
    }
}

// Where the first line begins that begins at `offset` or behind it.
static int64_t next_begin(Lines *lines, int64_t offset, int *status)
{
    size_t length;
    if (offset == 0)
        return 0;
    const char *rest = line_at(lines, offset - 1, &length, status);
    return rest ? offset + (int64_t)length : lines->bytes;
}

// The line as an object (a new reference), or NULL with a failure.
static json_t *parse(const Lines *lines, int64_t offset, const char *line, size_t length)
{
    json_error_t error;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object) || !json_is_integer(json_object_get(object, "step"))) {
        fail(EXIT_BAD_DATA, "%s: at byte %lld: %s", lines->path, (long long)offset,
             object ? "no response of a step" : error.text);
        json_decref(object);
        return NULL;
    }
    return object;
}

// The step of the line at `offset`; INT64_MAX at the end.
static int64_t step_at(Lines *lines, int64_t offset, int *status)
{
    size_t length;
    const char *line = line_at(lines, offset, &length, status);
    if (!line)
        return INT64_MAX;
    json_t *object = parse(lines, offset, line, length);
    if (!object)
        *status = -1;
    int64_t step = object ? json_integer_value(json_object_get(object, "step")) : INT64_MAX;
    json_decref(object);
    return step;
}

// Where the first line of step `first` or a later one begins.
static int64_t find_step(Lines *lines, int64_t first, int *status)
{
    int64_t low = 0, high = lines->bytes; // lines that begin before low are earlier, at high not
    while (low < high && *status == 0) {
        int64_t middle = low + (high - low) / 2, begin = next_begin(lines, middle, status);
        if (*status != 0)
            break;
        if (begin >= high || step_at(lines, begin, status) >= first)
            high = middle;
        else
            low = begin + 1;
    }
    return *status == 0 ? next_begin(lines, low, status) : lines->bytes;
}

static int read_steps(ShowSamples *samples, Lines *lines, int64_t first, int64_t last)
{
    int status = 0;
    int64_t offset = find_step(lines, first, &status);
    size_t length;
    const char *line;
    while (status == 0 && (line = line_at(lines, offset, &length, &status))) {
        json_t *object = parse(lines, offset, line, length);
        if (!object)
            return -1;
        if (json_integer_value(json_object_get(object, "step")) > last) {
            json_decref(object);
            break;
        }
        add(samples, object);
        offset += (int64_t)length + 1;
    }
    return status;
}

static int open_lines(Lines *lines, const char *directory)
{
    Bytes path = {0};
    bytes_print(&path, "%s/samples.jsonl", directory);
    *lines = (Lines){.path = path.data};
    lines->descriptor = regular_open(path.data, &lines->bytes);
    return lines->descriptor < 0 ? -1 : 0;
}

static void close_lines(Lines *lines)
{
    if (lines->descriptor >= 0)
        close(lines->descriptor);
    bytes_free(&lines->piece);
    release(lines->path);
}

int show_samples_read(ShowSamples *samples, const char *directory, int64_t first, int64_t last)
{
    Lines lines;
    int status = open_lines(&lines, directory);
    if (status == 0)
        status = read_steps(samples, &lines, first, last);
    close_lines(&lines);
    return status;
}

// The last whole line, if any: pieces from the end on, each twice as long as the one before.
static int last_line_step(Lines *lines, int64_t *step)
{
    int status = 0;
    *step = 0;
    for (int64_t back = PIECE_BYTES; *step == 0 && status == 0; back *= 2) {
        int64_t from = back < lines->bytes ? lines->bytes - back : 0;
        int64_t offset = next_begin(lines, from, &status), last = -1;
        size_t length;
        while (status == 0 && line_at(lines, offset, &length, &status)) {
            last = offset;
            offset += (int64_t)length + 1;
        }
        if (last >= 0 && status == 0)
            *step = step_at(lines, last, &status);
        if (from == 0)
            break;
    }
    return status;
}

int show_samples_last(const char *directory, int64_t *step)
{
    Lines lines;
    int status = open_lines(&lines, directory);
    if (status == 0)
        status = last_line_step(&lines, step);
    close_lines(&lines);
    return status;
}

// Few lines hold the context's name, and only these are parsed.
typedef struct {
    const char *cid;
    Bytes quoted;
    int64_t step;
} Search;

static int take_mention(void *context, const char *line, size_t length, int64_t number)
{
    (void)number;
    Search *search = context;
    if (!memmem(line, length, search->quoted.data, search->quoted.length))
        return 0;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    if (strcmp(text(object, "cid"), search->cid) == 0)
        search->step = json_integer_value(json_object_get(object, "step"));
    json_decref(object);
    return 0;
}

int show_samples_last_of(const char *directory, const char *cid, int64_t *step)
{
    Bytes path = {0};
    Search search = {.cid = cid};
    bytes_print(&path, "%s/samples.jsonl", directory);
    jsonl_append_string(&search.quoted, cid);
    int status = journal_read(path.data, take_mention, &search);
    *step = search.step;
    bytes_free(&path);
    bytes_free(&search.quoted);
    return status;
}

int show_samples_read_output(ShowSamples *samples, const char *path)
{
    JsonlReader *reader;
    json_t *object;
    int more;
    if (jsonl_open(&reader, path) != 0)
        return -1;
    while ((more = jsonl_next(reader, &object)) > 0) {
        if (json_is_string(json_object_get(object, "cid")) &&
            json_is_string(json_object_get(object, "response"))) {
            add(samples, object);
        } else {
            jsonl_reject(reader, "is no response of an evaluation");
            json_decref(object);
        }
    }
    if (more == 0)
        return jsonl_close(reader, false, NULL);
    jsonl_abandon(reader);
    return -1;
}

void show_samples_keep(ShowSamples *samples, int64_t first, const bool *kept)
{
    int64_t count = first;
    for (int64_t i = first; i < samples->count; i++) {
        if (kept[i - first])
            samples->list[count++] = samples->list[i];
        else
            json_decref(samples->list[i].line);
    }
    samples->count = count;
}

void show_samples_close(ShowSamples *samples)
{
    for (int64_t i = 0; i < samples->count; i++)
        json_decref(samples->list[i].line);
    release(samples->list);
    json_decref(samples->contexts);
    if (samples->has_set)
        samples_free(&samples->set);
    *samples = (ShowSamples){0};
}
