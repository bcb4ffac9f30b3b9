#include "text/split.h"

#include <string.h>

#include "text/unicode.h"

static const char *const regexes[] = {
    [SPLIT_NONE] = "",
    [SPLIT_GPT2] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                   "\\s+(?!\\S)|\\s+",
    [SPLIT_QWEN2] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    [SPLIT_LLAMA3] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};

int split_find(const char *regex, SplitPattern *pattern)
{
    for (int i = SPLIT_GPT2; i <= SPLIT_LLAMA3; i++) {
        if (strcmp(regex, regexes[i]) == 0) {
            *pattern = (SplitPattern)i;
            return 0;
        }
    }
    return -1;
}

const char *split_regex(SplitPattern pattern)
{
    return regexes[pattern];
}

enum { WORDLESS = UNICODE_LETTER | UNICODE_NUMBER | UNICODE_SPACE };

typedef struct {
    const uint8_t *classes;
    const char *end;
} Text;

// The class of the character at `at` and, through `next`, where the following one begins.
static inline uint8_t class_at(Text text, const char *at, const char **next)
{
    uint8_t byte = (uint8_t)*at;
    if (byte < 0x80) {
        *next = at + 1;
        return text.classes[byte];
    }
    uint32_t code;
    *next = at + unicode_read(at, &code);
    return text.classes[code];
}

// Behind the run of characters from `at` whose class has `wanted` among the bits of `mask`.
static const char *run(Text text, const char *at, uint8_t mask, uint8_t wanted)
{
    const char *next;
    while (at < text.end && (class_at(text, at, &next) & mask) == wanted)
        at = next;
    return at;
}

static const char *run_newlines(Text text, const char *at)
{
    while (at < text.end && (*at == '\r' || *at == '\n'))
        at++;
    return at;
}

// \s*[\r\n]+ where the pattern has it, else \s+(?!\S) or \s+: `at` is white space.
static const char *take_space(Text text, const char *at, bool newlines)
{
    const char *last = at, *here = at, *next, *newline = NULL;
    while (here < text.end && (class_at(text, here, &next) & UNICODE_SPACE)) {
        if (*here == '\r' || *here == '\n')
            newline = next;
        last = here;
        here = next;
    }
    if (newlines && newline)
        return newline;
    // The blank in front of a word belongs to the word, unless it is the only one and was refused.
    return here == text.end || last == at ? here : last;
}

// Behind a contraction ('s 't 're 've 'm 'll 'd) that begins at the apostrophe `at`; NULL if none.
static const char *take_contraction(Text text, const char *at, bool any_case)
{
    size_t left = (size_t)(text.end - at);
    uint8_t fold = any_case ? 0x20 : 0;
    char first = left > 1 ? (char)((uint8_t)at[1] | fold) : 0;
    char second = left > 2 ? (char)((uint8_t)at[2] | fold) : 0;
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return at + 2;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
        (first == 'l' && second == 'l'))
        return at + 3;
    // The long s (U+017F) is an s when case does not matter.
    return any_case && left > 2 && memcmp(at + 1, "\xC5\xBF", 2) == 0 ? at + 3 : NULL;
}

static const char *take_gpt2(Text text, const char *at)
{
    const char *found;
    if (*at == '\'' && (found = take_contraction(text, at, false)))
        return found;
    const char *word = *at == ' ' && at + 1 < text.end ? at + 1 : at, *next;
    uint8_t class = class_at(text, word, &next);
    if (class & UNICODE_LETTER)
        return run(text, next, UNICODE_LETTER, UNICODE_LETTER);
    if (class & UNICODE_NUMBER)
        return run(text, next, UNICODE_NUMBER, UNICODE_NUMBER);
    if (!(class & UNICODE_SPACE))
        return run(text, next, WORDLESS, 0);
    return take_space(text, at, false);
}

static const char *take_modern(Text text, const char *at, int digits)
{
    const char *found, *next, *after = text.end;
    if (*at == '\'' && (found = take_contraction(text, at, true)))
        return found;
    uint8_t class = class_at(text, at, &next);
    if (class & UNICODE_LETTER)
        return run(text, next, UNICODE_LETTER, UNICODE_LETTER);
    if (class & UNICODE_NUMBER) {
        for (int i = 1; i < digits && next < text.end; i++) {
            if (!(class_at(text, next, &after) & UNICODE_NUMBER))
                break;
            next = after;
        }
        return next;
    }
    uint8_t second = next < text.end ? class_at(text, next, &after) : UNICODE_SPACE;
    if (*at != '\r' && *at != '\n' && (second & UNICODE_LETTER))
        return run(text, after, UNICODE_LETTER, UNICODE_LETTER);
    if (!(class & UNICODE_SPACE))
        return run_newlines(text, run(text, next, WORDLESS, 0));
    if (*at == ' ' && !(second & WORDLESS))
        return run_newlines(text, run(text, after, WORDLESS, 0));
    return take_space(text, at, true);
}

// Behind the part at `at` that the Digits stage makes a text of its own.
static const char *take_part(const Splitter *splitter, Text text, const char *at)
{
    const char *next;
    if (!(class_at(text, at, &next) & UNICODE_NUMERIC))
        return run(text, next, UNICODE_NUMERIC, 0);
    return splitter->digits_individual ? next : run(text, next, UNICODE_NUMERIC, UNICODE_NUMERIC);
}

size_t split_next(const Splitter *splitter, const uint8_t *classes, const char *text, size_t length,
                  size_t at, size_t *part_end)
{
    Text part = {classes, text + length};
    if (splitter->digits) {
        if (*part_end <= at)
            *part_end = (size_t)(take_part(splitter, part, text + at) - text);
        part.end = text + *part_end;
    }
    const char *end = part.end;
    switch (splitter->pattern) {
    case SPLIT_NONE:
        break;
    case SPLIT_GPT2:
        end = take_gpt2(part, text + at);
        break;
    case SPLIT_QWEN2:
        end = take_modern(part, text + at, 1);
        break;
    case SPLIT_LLAMA3:
        end = take_modern(part, text + at, 3);
        break;
    }
    return (size_t)(end - (text + at));
}
