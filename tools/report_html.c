#include "tools/report_html.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "input/utf8.h"

static const char *named(unsigned char byte)
{
    switch (byte) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

// U+202A to U+202E, U+2066 to U+2069: overrides, embeddings and isolates; 0 for all others.
static unsigned direction_mark(const unsigned char *bytes, size_t length)
{
    unsigned point =
        length == 3 ? (bytes[0] & 0xfU) << 12 | (bytes[1] & 0x3fU) << 6 | (bytes[2] & 0x3fU) : 0;
    bool turns = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
    return turns ? point : 0;
}

// U+0000 to U+001F, U+007F to U+009F, but for tabs and newlines.
static bool is_control(const unsigned char *bytes, size_t length)
{
    if (length == 1)
        return (bytes[0] < 0x20 && bytes[0] != '\t' && bytes[0] != '\n') || bytes[0] == 0x7f;
    return length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

void report_html_text(Bytes *html, const char *text)
{
    Bytes repaired = {0};
    utf8_append_repaired(&repaired, text, strlen(text));
    for (size_t at = 0, length; at < repaired.length; at += length) {
        const char *from = repaired.data + at;
        length = utf8_sequence(from, repaired.length - at);
        unsigned mark = direction_mark((const unsigned char *)from, length);
        const char *entity = length == 1 ? named((unsigned char)*from) : NULL;
        if (entity)
            bytes_append_text(html, entity);
        else if (mark)
            bytes_print(html, "U+%04X", mark);
        else if (is_control((const unsigned char *)from, length))
            bytes_append_text(html, "\xef\xbf\xbd");
        else
            bytes_append(html, from, length);
    }
    bytes_free(&repaired);
}

void report_html_json(Bytes *html, const Bytes *json)
{
    const char *plain = json->data, *end = json->data + json->length;
    for (const char *c = plain; c < end; c++) {
        bool separator =
            end - c >= 3 && memcmp(c, "\xe2\x80", 2) == 0 && (c[2] == '\xa8' || c[2] == '\xa9');
        if (*c != '<' && !separator)
            continue;
        bytes_append(html, plain, (size_t)(c - plain));
        bytes_append_text(html, *c == '<' ? "\\u003c" : c[2] == '\xa8' ? "\\u2028" : "\\u2029");
        c += separator ? 2 : 0;
        plain = c + 1;
    }
    bytes_append(html, plain, (size_t)(end - plain));
}

void report_html_count(Bytes *html, int64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
    for (int i = 0; i < length; i++)
        bytes_print(html, "%s%c", i > 0 && count >= 0 && (length - i) % 3 == 0 ? "," : "",
                    digits[i]);
}

void report_html_time(Bytes *html, double seconds)
{
    int64_t whole = (int64_t)(seconds + 0.5);
    bytes_print(html, "%lld:%02lld:%02lld", (long long)(whole / 3600), (long long)(whole / 60 % 60),
                (long long)(whole % 60));
}
