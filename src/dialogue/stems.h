// stems.h - the content stems of a text (specification, section 7.2).
//
// A stem is the first seven letters of a word less its suffix, or two neighbouring characters of
// Chinese, Japanese or Korean text (one, where it stands alone).

#ifndef L2A_DIALOGUE_STEMS_H
#define L2A_DIALOGUE_STEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STEM_LETTERS = 7, STEM_TEXT_BYTES = 4 * 9 + 1 };

// Up to nine code points of 21 bits, three a word, first letter in the high bits; unused ones 0.
// So stems compare as numbers, and equal stems are equal words.
typedef struct {
    uint64_t part[3];
} Stem;

// Distinct stems in rising order. Zero-initialise; stems_clear keeps the memory for the next text.
typedef struct {
    Stem *stems; // owned
    size_t count, capacity;
} StemSet;

int stem_compare(const Stem *a, const Stem *b); // -1, 0, 1
// Writes the stem as UTF-8 with a closing 0; `text` holds STEM_TEXT_BYTES.
void stem_text(Stem stem, char *text);
// The stem that stem_text wrote; false where `text` is none.
bool stem_parse(const char *text, Stem *stem);

// Adds the stems of `text` (any bytes; what is not UTF-8 separates words).
void stems_add(StemSet *set, const char *text, size_t length);
void stems_insert(StemSet *set, Stem stem);
void stems_clear(StemSet *set);
void stems_free(StemSet *set);
bool stems_hold(const StemSet *set, Stem stem);
// |a and b| / |a or b|; 0 where both are empty.
double stems_jaccard(const StemSet *a, const StemSet *b);

#endif
