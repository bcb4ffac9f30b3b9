#include "tasks/grading_letters.h"

#include <string.h>

#include "base/fail.h"

typedef struct {
    uint64_t branch;
    int32_t sample;
    uint32_t repeat;
    uint64_t length; // of the text behind
} QuestionHead;

typedef struct {
    uint64_t branch;
    uint64_t usable;
    uint64_t length;
} AnswerHead;

typedef struct {
    int from;
    uint64_t branch;
} Asker;

void letters_add_question(Bytes *letter, const Branch *branch)
{
    const Bytes *text = &branch->text;
    QuestionHead head = {.branch = (uint64_t)(uintptr_t)branch,
                         .sample = branch->sample,
                         .repeat = (uint32_t)branch->repeat,
                         .length = text->length};
    bytes_append(letter, &head, sizeof head);
    bytes_append(letter, text->data, text->length);
}

static const char *take(const Bytes *letter, size_t *at, size_t bytes)
{
    CHECK(bytes <= letter->length - *at, "a letter is cut short");
    const char *taken = letter->data + *at;
    *at += bytes;
    return taken;
}

LetterQuestion letters_next_question(const Bytes *letter, size_t *at)
{
    QuestionHead head;
    memcpy(&head, take(letter, at, sizeof head), sizeof head);
    return (LetterQuestion){.branch = head.branch,
                            .sample = head.sample,
                            .repeat = head.repeat,
                            .text = take(letter, at, head.length),
                            .length = head.length};
}

int64_t letters_tag(int from, const LetterQuestion *question)
{
    Asker *asker = allocate(1, sizeof *asker);
    *asker = (Asker){from, question->branch};
    return (int64_t)(intptr_t)asker;
}

void letters_answer(Mail *mail, const AskAnswer *answer)
{
    Asker *asker = (Asker *)(intptr_t)answer->tag;
    AnswerHead head = {asker->branch, answer->failure == NULL, answer->length};
    Bytes letter = {0};
    bytes_append(&letter, &head, sizeof head);
    bytes_append(&letter, answer->text, answer->length);
    mail_post(mail, asker->from, LETTER_ANSWERS, &letter);
    bytes_free(&letter);
    release(asker);
}

LetterAnswer letters_next_answer(const Bytes *letter, size_t *at)
{
    AnswerHead head;
    memcpy(&head, take(letter, at, sizeof head), sizeof head);
    return (LetterAnswer){.branch = (Branch *)(uintptr_t)head.branch,
                          .usable = head.usable != 0,
                          .text = take(letter, at, head.length),
                          .length = head.length};
}
