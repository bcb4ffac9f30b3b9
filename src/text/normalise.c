#include "text/normalise.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/fail.h"
#include "text/unicode.h"

typedef struct {
    size_t start, end;
} Span;

// The next stretch from `from` on that composition might change: characters that combine, with the
// one before them. An empty span at the end of the text when there is none.
static Span next_span(const uint8_t *classes, const char *text, size_t length, size_t from)
{
    size_t at = from, before = from;
    bool known = false; // the character before takes part
    while (at < length) {
        // Nothing below U+0300 (bytes CC 80) combines.
        if ((uint8_t)text[at] < 0xCC) {
            before = at;
            known = true;
            at += (uint8_t)text[at] < 0x80 ? 1 : 2;
            continue;
        }
        uint32_t code;
        size_t bytes = unicode_read(text + at, &code);
        if (classes[code] & UNICODE_COMBINES)
            break;
        before = at;
        known = !(classes[code] & UNICODE_RECENT);
        at += bytes;
    }
    Span span = {at < length && known ? before : at, at};
    while (span.end < length) {
        uint32_t code;
        size_t bytes = unicode_read(text + span.end, &code);
        if (!(classes[code] & UNICODE_COMBINES))
            break;
        span.end += bytes;
    }
    return span;
}

static void record(Edits *edits, const char *source, Span span, const Bytes *out, size_t target)
{
    size_t a = span.start, b = target, a_end = span.end, b_end = out->length;
    while (a < a_end && b < b_end && source[a] == out->data[b])
        a++, b++;
    while (a < a_end && b < b_end && source[a_end - 1] == out->data[b_end - 1])
        a_end--, b_end--;
    grow((void **)&edits->items, &edits->capacity, edits->count + 1, sizeof *edits->items);
    edits->items[edits->count++] = (Edit){a, a_end, b, b_end};
}

static void append_composed(Bytes *out, const char *text, size_t length)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t bytes = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length,
                                          &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (bytes == UTF8PROC_ERROR_NOMEM)
        die(EXIT_NO_MEMORY, "out of memory: cannot normalise %zu bytes", length);
    CHECK(bytes >= 0, "NFC of %zu bytes: %s", length, utf8proc_errmsg(bytes));
    bytes_append(out, composed, (size_t)bytes);
    free(composed);
}

bool normalise_nfc(const uint8_t *classes, const char *text, size_t length, Bytes *out,
                   Edits *edits)
{
    Span span = next_span(classes, text, length, 0);
    if (span.start == length)
        return false;
    bytes_clear(out);
    if (edits)
        edits->count = 0;
    size_t copied = 0;
    while (span.start < length) {
        bytes_append(out, text + copied, span.start - copied);
        size_t target = out->length, bytes = span.end - span.start;
        append_composed(out, text + span.start, bytes);
        bool same = out->length - target == bytes &&
                    memcmp(out->data + target, text + span.start, bytes) == 0;
        if (edits && !same)
            record(edits, text, span, out, target);
        copied = span.end;
        span = next_span(classes, text, length, copied);
    }
    bytes_append(out, text + copied, length - copied);
    return true;
}

size_t normalise_source(const Edits *edits, size_t target)
{
    size_t low = 0, high = edits->count; // the first edit that ends at or after `target`
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (edits->items[middle].target_end < target)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < edits->count && edits->items[low].target_start < target)
        return edits->items[low].source_end;
    const Edit *before = low > 0 ? &edits->items[low - 1] : NULL;
    return before ? before->source_end + (target - before->target_end) : target;
}
