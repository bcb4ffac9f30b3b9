// ask.h - chat questions put to a model of ours or to a served one, until the answers are usable.
//
// Questions are submitted one by one; each is handed over, answered, as soon as that is known, in
// any order. An answer that the caller's `usable` refuses is asked for again with fresh draws, up
// to `attempts` times in all; then the question is unanswered, and the failure says why. A served
// model answers while the caller computes (ask_poll takes what has come); a model of our own
// answers inside ask_finish, all waiting questions together.

#ifndef L2A_ASK_ASK_H
#define L2A_ASK_ASK_H

#include "ask/answerer.h"

typedef struct {
    const ChatMessage *messages; // borrowed until ask_submit returns
    int64_t message_count;
    int64_t tag;   // the caller's own
    int64_t trunk; // neighbours of equal trunk share their computed beginning
    uint32_t session, round, repeat, completion; // name the draws
} AskQuestion;

typedef struct {
    int64_t tag;
    const char *text; // [length], 0 behind it; the usable answer, or the last unusable one
    size_t length;
    bool whole;          // it ended by itself, not by the limit
    bool reached;        // false: the server gave no answer at all
    const char *failure; // NULL: usable; else why there is no usable answer
    int64_t attempts;    // 0: it was never put, being too long for a model of ours
} AskAnswer;

typedef struct {
    uint64_t seed;
    Purpose purpose;
    // Whether an answer can be used.
    bool (*usable)(void *context, int64_t tag, const char *text, size_t length);
    // Takes a question that is done; `answer` is borrowed until it returns. Both are called inside
    // ask_poll and ask_finish, on the caller's thread.
    void (*take)(void *context, const AskAnswer *answer);
    void *context; // borrowed
} AskSettings;

typedef struct {
    int64_t questions, attempts, unusable, unanswered, unreached;
} AskCounts;

typedef struct Ask Ask;

// `answerer` is borrowed and built, of a kind other than nobody.
Ask *ask_make(const AskSettings *settings, Answerer *answerer);
void ask_free(Ask *ask); // with answers outstanding: close the answerer next

// Draws of the questions that follow belong to this step.
void ask_set_step(Ask *ask, uint32_t step);

void ask_submit(Ask *ask, const AskQuestion *question);

// Hands over what needs no waiting; a model of our own has nothing then.
void ask_poll(Ask *ask);

// Hands over all that is outstanding.
void ask_finish(Ask *ask);

AskCounts ask_counts(const Ask *ask); // since ask_make

#endif
