// split.h - the pre-tokeniser: where a text may not be merged across.
//
// The regular expressions of the families we know are written out by hand over Unicode classes: ten
// times as fast as a library's, linear on any input, and free of the differences between libraries
// (tests hold them against PCRE2 and Hugging Face). A pattern is recognised by its exact text.

#ifndef L2A_TEXT_SPLIT_H
#define L2A_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SPLIT_NONE,   // the whole text is one piece
    SPLIT_GPT2,   // ByteLevel's own: GPT-2, SmolLM2
    SPLIT_QWEN2,  // Qwen2, Qwen2.5, Qwen3: every digit alone
    SPLIT_LLAMA3, // as Qwen2, but up to three digits together
} SplitPattern;

typedef struct {
    bool digits;            // numbers are cut out first, each piece then seen as a text of its own
    bool digits_individual; // one by one, else in runs
    SplitPattern pattern;
} Splitter;

// The pattern with this text; -1 if we know none.
int split_find(const char *regex, SplitPattern *pattern);

// The text of a pattern (empty for SPLIT_NONE).
const char *split_regex(SplitPattern pattern);

// Length of the first piece of valid UTF-8 `text` [length > 0]; `part_end` is scratch, 0 before the
// first call, and keeps its meaning while the caller moves `at` through the text piece by piece.
size_t split_next(const Splitter *splitter, const uint8_t *classes, const char *text, size_t length,
                  size_t at, size_t *part_end);

#endif
