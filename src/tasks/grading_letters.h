// grading_letters.h - questions to grader ranks and their answers, as bytes.
//
// A question names its branch by the address that it has on the rank that asks; the answer brings
// it back.

#ifndef L2A_TASKS_GRADING_LETTERS_H
#define L2A_TASKS_GRADING_LETTERS_H

#include "ask/ask.h"
#include "model/tree.h"
#include "parallel/mail.h"

enum { LETTER_QUESTIONS, LETTER_DONE, LETTER_ANSWERS };

typedef struct {
    uint64_t branch;
    int32_t sample;
    uint32_t repeat;
    const char *text; // borrowed from the letter
    size_t length;
} LetterQuestion;

typedef struct {
    Branch *branch;
    bool usable;
    const char *text; // borrowed from the letter
    size_t length;
} LetterAnswer;

void letters_add_question(Bytes *letter, const Branch *branch);

// The question at `*at` of a letter, which moves on.
LetterQuestion letters_next_question(const Bytes *letter, size_t *at);

// A tag that says whose question it is: letters_answer frees it.
int64_t letters_tag(int from, const LetterQuestion *question);

// Sends an answer to who asked.
void letters_answer(Mail *mail, const AskAnswer *answer);

LetterAnswer letters_next_answer(const Bytes *letter, size_t *at);

#endif
