// clinic_session.h - one made-up consultation, and the facts that each question collects.
//
// The doctor collects every attribute of the complaint, in varying order, and then hands over.
// Often a run opens with a word of thanks, or asks something vague that collects nothing, or asks
// two things at once: whoever imitates these experts earns little more than half of what is
// possible.

#ifndef L2A_TOOLS_CLINIC_SESSION_H
#define L2A_TOOLS_CLINIC_SESSION_H

#include <stdint.h>

#include <jansson.h>

#include "tools/clinic_words.h"

#define HAND_OVER "<med_search>"

enum { CLINIC_HELD_OUT = 8 }; // one of so many complaints is for testing only

typedef enum { CLINIC_TRAINING, CLINIC_TEST } ClinicSplit;

// Session number `index` of its split: an object with session_id, diagn and messages. Every
// complaint belongs to one split: (symptom + site + seed) mod CLINIC_HELD_OUT.
typedef struct {
    json_t *session;                              // owned
    const Attribute *facts[COMPLAINT_ATTRIBUTES]; // in the order they are asked
    const char *values[COMPLAINT_ATTRIBUTES];
    int64_t asked_at[COMPLAINT_ATTRIBUTES]; // index of the message that asks
    int fact_count;
} ClinicSession;

ClinicSession clinic_session_make(uint64_t seed, ClinicSplit split, int64_t index);
void clinic_session_free(ClinicSession *session);

// The facts asked for in message `first` and later, as a new list of strings: an info_set.
json_t *clinic_session_facts(const ClinicSession *session, int64_t first);

// "Is the FIELD VALUE or VALUE?"; to be released.
char *clinic_question(const Attribute *attribute);

// The attribute whose field opens `fact` ("FIELD: VALUE"); dies if there is none.
const Attribute *clinic_attribute_of(const char *fact);

#endif
