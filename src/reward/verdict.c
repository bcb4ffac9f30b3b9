#define _GNU_SOURCE // memmem, memrchr
#include "reward/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static const char place[] = "{info_truth}";

// A part of a reply.
typedef struct {
    const char *start, *end;
} Span;

static const char *find(Span span, const char *text)
{
    return memmem(span.start, (size_t)(span.end - span.start), text, strlen(text));
}

static const char *find_last(Span span, const char *text)
{
    size_t length = strlen(text), size = (size_t)(span.end - span.start);
    for (size_t i = size < length ? 0 : size - length + 1; i-- > 0;)
        if (memcmp(span.start + i, text, length) == 0)
            return span.start + i;
    return NULL;
}

// Appends the reply without its thoughts. A thought that never ends takes the rest with it; one
// whose beginning the template wrote takes all before its end.
static void append_spoken(Span reply, Bytes *out)
{
    static const char open[] = "<think>", close[] = "</think>";
    const char *begin = find(reply, open), *end = find(reply, close);
    while (reply.start < reply.end) {
        if (begin && begin < reply.start)
            begin = find(reply, open);
        if (end && end < reply.start)
            end = find(reply, close);
        if (end && (!begin || end < begin)) {
            bytes_clear(out);
            reply.start = end + sizeof close - 1;
            continue;
        }
        const char *until = begin ? begin : reply.end;
        bytes_append(out, reply.start, (size_t)(until - reply.start));
        reply.start = !begin ? reply.end : end ? end + sizeof close - 1 : reply.end;
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// What the last pair of tags called `name` holds, white space around it taken off.
static bool last_tag(const Bytes *spoken, const char *name, Span *found)
{
    char open[32], close[32];
    size_t open_length = (size_t)snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    Span all = {spoken->data, spoken->data + spoken->length};
    const char *last = find_last(all, close);
    const char *start = last ? find_last((Span){all.start, last}, open) : NULL;
    if (!start)
        return false;
    *found = (Span){start + open_length, all.end};
    found->end = find(*found, close);
    while (found->start < found->end && is_space(*found->start))
        found->start++;
    while (found->start < found->end && is_space(found->end[-1]))
        found->end--;
    return true;
}

// Decimal digits with at most one point; no sign, exponent, or anything else. Independent of the
// locale.
static bool parse_number(Span span, double *number)
{
    double value = 0, unit = 1;
    int digits = 0, points = 0;
    for (const char *c = span.start; c < span.end; c++) {
        if (*c == '.') {
            points++;
        } else if (*c >= '0' && *c <= '9') {
            unit = points ? unit / 10 : 1;
            value = points ? value + unit * (*c - '0') : value * 10 + (*c - '0');
            digits++;
        } else {
            return false;
        }
    }
    *number = value;
    return digits > 0 && points <= 1 && isfinite(value);
}

// The reference reads whatever Python's float does.
static bool parse_lenient(Span span, double *number)
{
    char text[64], *end;
    size_t length = (size_t)(span.end - span.start);
    if (length == 0 || length >= sizeof text)
        return false;
    memcpy(text, span.start, length);
    text[length] = 0;
    *number = strtod(text, &end);
    return end == text + length && !strpbrk(text, "xXpP") && isfinite(*number);
}

static bool read_score(const Bytes *spoken, const char *name, bool lenient, double *score)
{
    Span span;
    double number;
    *score = 0;
    if (!last_tag(spoken, name, &span))
        return lenient;
    if (lenient) {
        *score = parse_lenient(span, &number) ? number : 0;
        return true;
    }
    if (!parse_number(span, &number) || (number != 0 && number != 0.5 && number != 1))
        return false;
    *score = number;
    return true;
}

bool verdict_parse(const char *text, size_t length, bool lenient, Verdict *verdict)
{
    Bytes spoken = {0};
    bytes_append(&spoken, "", 0);
    append_spoken((Span){text, text + length}, &spoken);
    bool format = read_score(&spoken, "format_score", lenient, &verdict->format);
    bool content = read_score(&spoken, "content_score", lenient, &verdict->content);
    bytes_free(&spoken);
    return format && content;
}

// Bytes of the line break that stands at `text`: also NEL and the separators of Unicode.
static size_t line_break(const char *text, size_t length)
{
    if (*text >= '\n' && *text <= '\r')
        return 1;
    if (length >= 2 && memcmp(text, "\xC2\x85", 2) == 0)
        return 2;
    if (length >= 3 &&
        (memcmp(text, "\xE2\x80\xA8", 3) == 0 || memcmp(text, "\xE2\x80\xA9", 3) == 0))
        return 3;
    return 0;
}

static void append_neutral(Bytes *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t skipped = line_break(text + i, length - i);
        if (skipped > 0)
            bytes_append_text(out, " ");
        else if (text[i] == '<')
            bytes_append_text(out, "\xE2\x80\xB9");
        else
            bytes_append(out, text + i, 1);
        i += skipped > 0 ? skipped : 1;
    }
}

static void append_line(Bytes *out, const char *speaker, const char *text, size_t length)
{
    bytes_append_text(out, speaker);
    append_neutral(out, text, length);
    bytes_append_text(out, "\n");
}

void verdict_question(const char *prompt, const Sample *sample, const char *response, size_t length,
                      Bytes *system, Bytes *user)
{
    const char *truth = sample->info_truth[0] ? sample->info_truth : "None.";
    for (const char *at; (at = strstr(prompt, place)) != NULL; prompt = at + strlen(place)) {
        bytes_append(system, prompt, (size_t)(at - prompt));
        append_neutral(system, truth, strlen(truth));
    }
    bytes_append_text(system, prompt);
    for (int64_t i = 0; i < sample->message_count; i++) {
        const Message *message = &sample->messages[i];
        if (message_is_user(message) || message_is_assistant(message))
            append_line(user, message_is_user(message) ? "patient: " : "doctor: ", message->content,
                        strlen(message->content));
    }
    append_line(user, "doctor: ", response, length);
}

int verdict_prompt_check(const char *prompt, const char *path)
{
    static const char *const needed[] = {place, "<format_score>", "<content_score>"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!strstr(prompt, needed[i]))
            return fail(EXIT_BAD_SETTINGS, "%s: a judge's prompt must hold %s", path, needed[i]);
    return 0;
}
