// labels.h - the labels of one line in the processed or the final form (section 4).

#ifndef L2A_DIALOGUE_LABELS_H
#define L2A_DIALOGUE_LABELS_H

#include <stdbool.h>

#include <jansson.h>

#include "dialogue/rounds.h"
#include "input/jsonl.h"

typedef struct {
    Truth truth;
    json_t *items;  // owned list of strings, empty where nothing is known; never NULL once read
    json_t *future; // owned list of messages; NULL where the line has no remaining_chat
    bool known;     // the line has info_set or info_truth
    bool failed;    // info_set is null: the extraction failed
} Labels;

// Checks cid, session_id, diagn, messages and reads the labels: decision_truth (from
// remaining_chat where it is absent), info_set (else info_truth cut at ", "), remaining_chat as a
// list or as text. False where the line cannot be used: it is rejected then.
bool labels_read(Labels *labels, const json_t *record, JsonlReader *reader);
void labels_free(Labels *labels);

// Continue where the future holds a user message: roles decide, never text.
Truth labels_truth(const json_t *future);

// Whether `value` is a list of strings.
bool labels_are_strings(const json_t *value);

// The strings joined with ", ": info_truth. To be released.
char *labels_join(const json_t *items);

#endif
