#include "text/unicode.h"

#include <string.h>

#include "base/memory.h"
#include "input/utf8.h"

uint8_t *unicode_classes_make(void)
{
    uint8_t *classes = allocate(UNICODE_POINTS, 1);
    for (size_t i = 0; i < unicode_changes_count; i++) {
        uint32_t first = unicode_changes[i] >> 8;
        uint32_t end = i + 1 < unicode_changes_count ? unicode_changes[i + 1] >> 8 : UNICODE_POINTS;
        memset(classes + first, (int)(unicode_changes[i] & 0xFF), end - first);
    }
    return classes;
}

size_t unicode_decode(const char *text, size_t length, uint32_t *code)
{
    size_t bytes = utf8_sequence(text, length);
    if (bytes > 0)
        unicode_read(text, code);
    return bytes;
}
