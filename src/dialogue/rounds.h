// rounds.h - cut a session at every turn into what was said and what came after (section 3).
//
// A round ends after each maximal run of user messages. It is a pair of numbers into the session's
// messages: the context is [first, end), the future is [end, message_count).

#ifndef L2A_DIALOGUE_ROUNDS_H
#define L2A_DIALOGUE_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "dialogue/message.h"

typedef enum { TRUTH_CONTINUE, TRUTH_STOP } Truth;

// What the reference's first version does differently; all false by default.
typedef struct {
    bool round_context;  // the context is this round's messages only
    bool trailing_round; // assistant messages at the end make one more round
} RoundsCompat;

typedef struct {
    int64_t first, end; // of the context
    int64_t number;     // from 1
    Truth truth;        // continue where the future holds a user message
} Round;

// The rounds of `messages`; the array is the caller's to release.
Round *rounds_cut(const Message *messages, int64_t message_count, RoundsCompat compat,
                  int64_t *round_count);

// The round as a line of the processed form without labels: a new object with cid, session_id,
// diagn, messages, remaining_chat, decision_truth, then the session's other fields. `name` is the
// session id as text.
json_t *rounds_record(const json_t *session, const char *name, Round round);

const char *truth_name(Truth truth);              // "continue" or "stop"
bool truth_parse(const char *name, Truth *truth); // false where the name is neither

#endif
