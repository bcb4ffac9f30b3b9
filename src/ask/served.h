// served.h - a served model: chat completions of an OpenAI-compatible server, many at once.
//
// One thread of ours speaks with the server while the caller computes. A request that finds no
// answer (connection, time-out, half an answer, broken JSON, HTTP 408, 429 and 5xx) is tried again
// after a wait that doubles, with jitter, or as long as Retry-After asks; one that is refused is
// not. The key is read from the environment, sent to the server's address only (no redirect is
// followed, and no proxy used without encryption) and kept out of every message.

#ifndef L2A_ASK_SERVED_H
#define L2A_ASK_SERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/chat.h"

enum { SERVED_ANSWER_LIMIT = 8 * 1024 * 1024 }; // bytes of one answer

typedef struct {
    const char *url;          // ".../v1", or all of ".../v1/chat/completions"; borrowed
    const char *name;         // of the model, in requests; borrowed
    const char *key_variable; // environment variable with the key; "": none; borrowed
    double temperature, top_p;
    double repetition_penalty; // sent where it is not 1
    int64_t max_tokens;
    int64_t in_flight; // requests at once
    double timeout;    // seconds of one try
    int64_t retries;
    double backoff; // seconds before the first retry
} ServedSettings;

// `text` and `failure` are owned.
typedef struct {
    int64_t tag;
    bool ok;
    char *text; // valid UTF-8 without NUL; NULL where not ok
    size_t length;
    bool whole;    // it ended by itself
    char *failure; // NULL where ok
    int64_t tries;
} ServedAnswer;

typedef struct Served Served;

// Whether the address can be one and the key is there: EXIT_BAD_SETTINGS.
int served_check(const ServedSettings *settings);

// Speaks to nobody yet. NULL as served_check.
Served *served_open(const ServedSettings *settings);
void served_close(Served *served); // gives up what is under way

// Copies the messages; never waits. `seed` goes into the request.
void served_submit(Served *served, int64_t tag, const ChatMessage *messages, int64_t count,
                   uint32_t seed);

// The next answer, in any order; waits for it. False where nothing is outstanding.
bool served_next(Served *served, ServedAnswer *answer);
bool served_poll(Served *served, ServedAnswer *answer); // without waiting
void served_answer_free(ServedAnswer *answer);

#endif
