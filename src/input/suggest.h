// suggest.h - "did you mean": the known word nearest to a mistyped one.

#ifndef L2A_INPUT_SUGGEST_H
#define L2A_INPUT_SUGGEST_H

#include <stdint.h>

enum { SUGGEST_WORD_BYTES = 64 }; // longer words are like nothing

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other
// (optimal string alignment, letter case ignored); INT64_MAX where a word is too long.
int64_t suggest_distance(const char *a, const char *b);

// Whether a word at `distance` from `word` is near enough to be meant: a third of its letters.
int suggest_is_near(const char *word, int64_t distance);

// The first of the nearest `words` (NULL-terminated); NULL where none is near.
const char *suggest_nearest(const char *word, const char *const *words);

#endif
