// ask.h - chat questions put to a model of ours or to a served one, until the answers are usable.
//
// Questions are submitted one by one and answers taken as they come. An answer that the caller's
// `usable` refuses is asked for again with fresh draws, up to `attempts` times in all; then the
// question is unanswered, and its answer says why. A served model answers while the caller computes
// (served.h); a model of our own answers inside ask_next, all waiting questions together.

#ifndef L2A_ASK_ASK_H
#define L2A_ASK_ASK_H

#include "ask/served.h"
#include "ask/speaker.h"

typedef struct {
    const ChatMessage *messages; // borrowed until ask_submit returns
    int64_t message_count;
    int64_t tag;   // the caller's own
    int64_t trunk; // neighbours of equal trunk (and session) share their computed beginning
    uint32_t session, round, repeat, completion; // name the draws
} AskQuestion;

typedef struct {
    int64_t tag;
    Bytes text;    // owned; the usable answer, or the last unusable one
    bool ok;       // usable
    bool reached;  // false: the server gave no answer at all
    char *failure; // owned, where not ok: why
    int64_t attempts;
} AskAnswer;

// Whether an answer can be used. Called on the thread of ask_next.
typedef bool AskUsable(void *context, int64_t tag, const char *text, size_t length);

typedef struct {
    double temperature, top_p, repetition_penalty;
    int64_t attempts; // at most, in all
    uint64_t seed;
    Purpose purpose;
    AskUsable *usable;
    void *context; // borrowed
} AskSettings;

typedef struct {
    int64_t questions, attempts, unusable, unanswered, unreached;
} AskCounts;

typedef struct Ask Ask;

// One of the two: `speaker` (borrowed, built) or `served` (borrowed, opened).
Ask *ask_make(const AskSettings *settings, Speaker *speaker, Served *served);
void ask_free(Ask *ask);

// Draws of the questions that follow belong to this step.
void ask_set_step(Ask *ask, uint32_t step);

void ask_submit(Ask *ask, const AskQuestion *question);

// The next question that is done, in any order; with `wait` false only what needs no waiting (a
// model of our own has nothing then). False where there is none.
bool ask_next(Ask *ask, bool wait, AskAnswer *answer);
void ask_answer_free(AskAnswer *answer);

int64_t ask_outstanding(const Ask *ask);
AskCounts ask_counts(const Ask *ask);

#endif
