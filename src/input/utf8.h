// utf8.h - is a text UTF-8?

#ifndef L2A_INPUT_UTF8_H
#define L2A_INPUT_UTF8_H

#include <stddef.h>

#include "base/memory.h"

// Bytes of the valid sequence that `text` [length > 0] begins with; 0 where it is none: stray or
// missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF.
size_t utf8_sequence(const char *text, size_t length);

// Length of the longest valid beginning of `text`; `length` when all of it is valid.
size_t utf8_valid_length(const char *text, size_t length);

// Appends the text with every byte that is not part of valid UTF-8, and every NUL, as U+FFFD: model
// output may hold any byte, JSON may not.
void utf8_append_repaired(Bytes *out, const char *text, size_t length);

#endif
