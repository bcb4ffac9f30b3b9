// stopwords.h - words that carry no clinical content: pronouns, auxiliaries, note-taking phrases.
//
// The list belongs to the definition of the rule judge's scores; it is not configurable.

#ifndef L2A_DIALOGUE_STOPWORDS_H
#define L2A_DIALOGUE_STOPWORDS_H

#include <stdbool.h>

enum { STOPWORD_LETTERS = 13 }; // of the longest one

// Whether `word`, in lower case, is one of them.
bool stopword(const char *word);

#endif
