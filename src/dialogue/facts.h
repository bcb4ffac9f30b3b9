// facts.h - what an extractor is asked, and the list of facts that it answers (section 5).

#ifndef L2A_DIALOGUE_FACTS_H
#define L2A_DIALOGUE_FACTS_H

#include <stddef.h>

#include <jansson.h>

#include "base/memory.h"

enum {
    FACTS_LIMIT = 1000,              // of one list
    FACTS_BYTES_LIMIT = 1024 * 1024, // of one answer
};

// The strings of an answer that is one list literal of strings and nothing else, as Python's
// ast.literal_eval reads it: single or double quotes, escapes, a comma at the end allowed. A
// thought (<think>...</think>) before it is passed over. White space around a fact is taken off.
// NULL where the answer is anything else, holds an empty fact or exceeds a limit. A new reference.
json_t *facts_parse(const char *text, size_t length);

// How well `found` agrees with `truth`, both lists of strings: 2 m / (|found| + |truth|), m pairs
// of facts, the closest ones first; 1 where both are empty. Two facts "field: value" make a pair
// where they are equal, or their fields are equal but for case and the stems of their values
// overlap (Dice) by half or more. A fact without a colon is a value without a field.
double facts_f1(const json_t *found, const json_t *truth);

// Appends a future (a list of messages) as the "role: content" lines that are asked about, without
// a newline at the end.
void facts_question(const json_t *future, Bytes *out);

#endif
