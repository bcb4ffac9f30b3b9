#include "input/utf8.h"

#include <stdint.h>

size_t utf8_sequence(const char *text, size_t length)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80)
        return 1;
    size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes > length)
        return 0;
    uint32_t point = first & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (next & 0x3fu);
    }
    int is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[bytes] || point > 0x10ffff || is_surrogate ? 0 : bytes;
}

size_t utf8_valid_length(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t bytes = utf8_sequence(text + at, length - at);
        if (bytes == 0)
            break;
        at += bytes;
    }
    return at;
}

void utf8_append_repaired(Bytes *out, const char *text, size_t length)
{
    for (size_t done = 0; done < length;) {
        size_t bytes = text[done] ? utf8_sequence(text + done, length - done) : 0;
        if (bytes > 0)
            bytes_append(out, text + done, bytes);
        else
            bytes_append_text(out, "\xEF\xBF\xBD");
        done += bytes > 0 ? bytes : 1;
    }
}
