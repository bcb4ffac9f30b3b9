// grading_letters.h - questions to the ranks of a judge and their answers, as bytes.
//
// A question names the rank that asks and its branch by the address that it has there; the answer
// brings both back.

#ifndef L2A_TASKS_GRADING_LETTERS_H
#define L2A_TASKS_GRADING_LETTERS_H

#include "ask/ask.h"
#include "model/tree.h"

enum { LETTER_QUESTIONS, LETTER_DONE, LETTER_ANSWERS };

typedef struct {
    int from; // who asks
    uint64_t branch;
    int32_t sample;
    uint32_t repeat;
    const char *text; // borrowed from the letter
    size_t length;
} LetterQuestion;

typedef struct {
    int to; // who asked
    Branch *branch;
    bool usable;
    const char *text; // borrowed from the letter
    size_t length;
} LetterAnswer;

// Asks about the responses to `sample` (-1: to any) that have no grade yet, on behalf of rank
// `from`; returns how many there are.
int64_t letters_add_questions(Bytes *letter, int from, const Tree *tree, int32_t sample);

// The question at `*at` of a letter, which moves on.
LetterQuestion letters_next_question(const Bytes *letter, size_t *at);

// A tag that says whose question it is: letters_add_answer frees it.
int64_t letters_tag(const LetterQuestion *question);

// Returns who asked.
int letters_add_answer(Bytes *letter, const AskAnswer *answer);

LetterAnswer letters_next_answer(const Bytes *letter, size_t *at);

#endif
