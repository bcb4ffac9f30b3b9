#include "tasks/grading_letters.h"

#include <string.h>

#include "base/fail.h"

typedef struct {
    uint64_t branch;
    int64_t from;
    int32_t sample;
    uint32_t repeat;
    uint64_t length; // of the text behind
} QuestionHead;

typedef struct {
    uint64_t branch;
    int64_t to;
    uint64_t usable;
    uint64_t length;
} AnswerHead;

typedef struct {
    int from;
    uint64_t branch;
} Asker;

static void add_question(Bytes *letter, int from, const Branch *branch)
{
    const Bytes *text = &branch->text;
    QuestionHead head = {.branch = (uint64_t)(uintptr_t)branch,
                         .from = from,
                         .sample = branch->sample,
                         .repeat = (uint32_t)branch->repeat,
                         .length = text->length};
    bytes_append(letter, &head, sizeof head);
    bytes_append(letter, text->data, text->length);
}

int64_t letters_add_questions(Bytes *letter, int from, const Tree *tree, int32_t sample)
{
    int64_t count = 0;
    for (int32_t b = 0; b < tree->branch_count; b++) {
        const Branch *branch = &tree->branches[b];
        if (branch->graded || branch->missing || (sample >= 0 && branch->sample != sample))
            continue;
        add_question(letter, from, branch);
        count++;
    }
    return count;
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
    return (LetterQuestion){.from = (int)head.from,
                            .branch = head.branch,
                            .sample = head.sample,
                            .repeat = head.repeat,
                            .text = take(letter, at, head.length),
                            .length = head.length};
}

int64_t letters_tag(const LetterQuestion *question)
{
    Asker *asker = allocate(1, sizeof *asker);
    *asker = (Asker){question->from, question->branch};
    return (int64_t)(intptr_t)asker;
}

int letters_add_answer(Bytes *letter, const AskAnswer *answer)
{
    Asker *asker = (Asker *)(intptr_t)answer->tag;
    int to = asker->from;
    AnswerHead head = {asker->branch, to, answer->failure == NULL, answer->length};
    bytes_append(letter, &head, sizeof head);
    bytes_append(letter, answer->text, answer->length);
    release(asker);
    return to;
}

LetterAnswer letters_next_answer(const Bytes *letter, size_t *at)
{
    AnswerHead head;
    memcpy(&head, take(letter, at, sizeof head), sizeof head);
    return (LetterAnswer){.to = (int)head.to,
                          .branch = (Branch *)(uintptr_t)head.branch,
                          .usable = head.usable != 0,
                          .text = take(letter, at, head.length),
                          .length = head.length};
}
