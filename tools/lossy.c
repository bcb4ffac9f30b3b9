#include "tools/lossy.h"

#include <stdint.h>

#include "input/utf8.h"

// Bytes of the longest beginning of a valid sequence, at least 1.
static size_t maximal_beginning(const uint8_t *bytes, size_t length)
{
    uint8_t lead = bytes[0];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2, taken = 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    while (taken < wanted && taken < length && bytes[taken] >= low && bytes[taken] <= high) {
        taken++;
        low = 0x80;
        high = 0xBF;
    }
    return taken;
}

void lossy_append(Bytes *out, const char *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t valid = utf8_valid_length(bytes + at, length - at);
        bytes_append(out, bytes + at, valid);
        at += valid;
        if (at < length) {
            bytes_append_text(out, "\xEF\xBF\xBD");
            at += maximal_beginning((const uint8_t *)bytes + at, length - at);
        }
    }
}
