// unicode.h - code points of UTF-8 text and the few properties that tokenizers ask for.
//
// The properties are those that Hugging Face's library sees, version for version (they come from a
// generated table, not from a library of this machine): ids must not change with an update.

#ifndef L2A_TEXT_UNICODE_H
#define L2A_TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum { UNICODE_POINTS = 0x110000 };

// Bits of a code point's class.
enum {
    UNICODE_LETTER = 1,    // \p{L}
    UNICODE_NUMBER = 2,    // \p{N}
    UNICODE_SPACE = 4,     // \s
    UNICODE_NUMERIC = 8,   // what the Digits pre-tokeniser isolates (a later Unicode than \p{N})
    UNICODE_COMBINES = 16, // may change under NFC together with what stands before it
    UNICODE_RECENT = 32,   // unknown to the normaliser's older Unicode: NFC leaves it alone
};

// The class of every code point [UNICODE_POINTS]; owned by the caller, to be released.
uint8_t *unicode_classes_make(void);

// The code point at `text` and its length in bytes, 1 to 4; 0 where the bytes are not valid UTF-8
// (surrogates, overlong forms and cut sequences included). `length` > 0.
size_t unicode_decode(const char *text, size_t length, uint32_t *code);

// Generated: (first code point << 8 | class), ascending, each valid up to the next.
extern const uint32_t unicode_changes[];
extern const size_t unicode_changes_count;

// The same for text that is known to be valid.
static inline size_t unicode_read(const char *text, uint32_t *code)
{
    const uint8_t *u = (const uint8_t *)text;
    if (u[0] < 0x80) {
        *code = u[0];
        return 1;
    }
    if (u[0] < 0xE0) {
        *code = (uint32_t)(u[0] & 0x1F) << 6 | (u[1] & 0x3F);
        return 2;
    }
    if (u[0] < 0xF0) {
        *code = (uint32_t)(u[0] & 0x0F) << 12 | (uint32_t)(u[1] & 0x3F) << 6 | (u[2] & 0x3F);
        return 3;
    }
    *code = (uint32_t)(u[0] & 0x07) << 18 | (uint32_t)(u[1] & 0x3F) << 12 |
            (uint32_t)(u[2] & 0x3F) << 6 | (u[3] & 0x3F);
    return 4;
}

#endif
