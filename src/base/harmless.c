#include "base/harmless.h"

void harmless_make(char *text, size_t length)
{
    unsigned char *bytes = (unsigned char *)text;
    for (size_t i = 0; i < length; i++) {
        if ((bytes[i] < 0x20 && bytes[i] != '\n' && bytes[i] != '\t') || bytes[i] == 0x7f)
            bytes[i] = '?';
        if (i + 1 < length && bytes[i] == 0xc2 && bytes[i + 1] >= 0x80 && bytes[i + 1] < 0xa0)
            bytes[i] = bytes[i + 1] = '?';
    }
}
