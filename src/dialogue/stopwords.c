#include "dialogue/stopwords.h"

#include <stdlib.h>
#include <string.h>

// In the order of strcmp.
static const char *const stopwords[] = {
    "a",         "about",     "ago",           "all",     "also",        "an",
    "and",       "any",       "approximately", "are",     "as",          "at",
    "be",        "been",      "being",         "but",     "by",          "complaining",
    "complains", "currently", "day",           "days",    "denied",      "denies",
    "did",       "do",        "does",          "female",  "for",         "from",
    "gentleman", "had",       "has",           "have",    "having",      "he",
    "her",       "him",       "his",           "history", "i",           "in",
    "is",        "it",        "its",           "lady",    "male",        "man",
    "me",        "month",     "months",        "my",      "no",          "not",
    "now",       "of",        "old",           "on",      "or",          "other",
    "otherwise", "our",       "out",           "patient", "per",         "presented",
    "presents",  "reported",  "reports",       "she",     "significant", "since",
    "so",        "some",      "stated",        "states",  "than",        "that",
    "the",       "their",     "them",          "then",    "there",       "these",
    "they",      "this",      "those",         "time",    "times",       "to",
    "today",     "up",        "very",          "was",     "we",          "week",
    "weeks",     "were",      "which",         "white",   "who",         "with",
    "woman",     "year",      "years",         "you",     "your",
};

static int compare(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

bool stopword(const char *word)
{
    return bsearch(word, stopwords, sizeof stopwords / sizeof *stopwords, sizeof *stopwords,
                   compare);
}
