#include "ask/ask.h"

#include <string.h>

#include "base/fail.h"

// A question on its way. For a served model its messages are kept: it may be asked again.
typedef struct {
    int64_t tag;
    Spoken spoken; // names the draws; its tokens are for a model of our own
    ChatMessage *messages;
    Bytes contents; // of the messages, one behind the other
    int64_t message_count;
    bool ended;
    char *failure;
} Pending;

struct Ask {
    AskSettings settings;
    Speaker *speaker; // borrowed, or NULL
    Served *served;   // borrowed, or NULL
    uint32_t step;
    Pending **pending; // owned, in the order of submission; ended ones first in line to be returned
    int64_t count;
    size_t capacity;
    AskCounts counts;
};

Ask *ask_make(const AskSettings *settings, Speaker *speaker, Served *served)
{
    CHECK((speaker != NULL) != (served != NULL), "either a speaker or a served model answers");
    Ask *ask = allocate(1, sizeof *ask);
    *ask = (Ask){.settings = *settings, .speaker = speaker, .served = served};
    return ask;
}

static void pending_free(Pending *pending)
{
    spoken_free(&pending->spoken);
    bytes_free(&pending->contents);
    release(pending->messages);
    release(pending->failure);
    release(pending);
}

void ask_free(Ask *ask)
{
    if (!ask)
        return;
    for (int64_t i = 0; i < ask->count; i++)
        pending_free(ask->pending[i]);
    release(ask->pending);
    release(ask);
}

void ask_set_step(Ask *ask, uint32_t step)
{
    ask->step = step;
}

int64_t ask_outstanding(const Ask *ask)
{
    return ask->count;
}

AskCounts ask_counts(const Ask *ask)
{
    return ask->counts;
}

// Roles are one of a few words; contents are copied.
static void copy_messages(Pending *pending, const AskQuestion *question)
{
    pending->message_count = question->message_count;
    pending->messages = allocate((size_t)question->message_count, sizeof *pending->messages);
    for (int64_t i = 0; i < question->message_count; i++) {
        const ChatMessage *message = &question->messages[i];
        bytes_append(&pending->contents, message->role, strlen(message->role) + 1);
        bytes_append(&pending->contents, message->content, message->content_length);
    }
    const char *at = pending->contents.data;
    for (int64_t i = 0; i < question->message_count; i++) {
        size_t length = question->messages[i].content_length;
        const char *content = at + strlen(at) + 1;
        pending->messages[i] = (ChatMessage){at, content, length};
        at = content + length;
    }
}

// A served model gets a seed of its own for every attempt, from the same draws.
static void send(Ask *ask, Pending *pending)
{
    const Spoken *spoken = &pending->spoken;
    uint32_t words[4];
    draw_words((Draw){.seed = ask->settings.seed,
                      .purpose = ask->settings.purpose,
                      .step = ask->step,
                      .session = spoken->session,
                      .round = spoken->round,
                      .sample = spoken->repeat,
                      .completion = spoken->completion,
                      .attempt = spoken->attempt},
               words);
    served_submit(ask->served, (int64_t)(intptr_t)pending, pending->messages,
                  pending->message_count, words[0] & 0x7fffffff);
}

void ask_submit(Ask *ask, const AskQuestion *question)
{
    Pending *pending = allocate(1, sizeof *pending);
    pending->tag = question->tag;
    pending->spoken = (Spoken){.trunk = question->trunk,
                               .session = question->session,
                               .round = question->round,
                               .repeat = question->repeat,
                               .completion = question->completion};
    grow((void **)&ask->pending, &ask->capacity, (size_t)ask->count + 1, sizeof *ask->pending);
    ask->pending[ask->count++] = pending;
    ask->counts.questions++;
    if (ask->speaker) {
        if (speaker_encode(ask->speaker, question->messages, question->message_count,
                           &pending->spoken.tokens) != 0) {
            pending->failure = duplicate(fail_message());
            pending->ended = true;
        }
        return;
    }
    copy_messages(pending, question);
    ask->counts.attempts++;
    send(ask, pending);
}

// Settles an attempt that gave the text in spoken.answer; false where it is to be asked again.
static bool settle(Ask *ask, Pending *pending)
{
    const Bytes *text = &pending->spoken.answer;
    pending->spoken.attempt++;
    pending->ended = ask->settings.usable(ask->settings.context, pending->tag, text->data,
                                          text->length);
    if (pending->ended)
        return true;
    ask->counts.unusable++;
    if ((int64_t)pending->spoken.attempt < ask->settings.attempts)
        return false;
    Bytes reason = {0};
    bytes_print(&reason, "no usable answer in %lld attempts", (long long)ask->settings.attempts);
    pending->failure = reason.data;
    return pending->ended = true;
}

static void hand_over(Ask *ask, int64_t index, AskAnswer *answer)
{
    Pending *pending = ask->pending[index];
    bool unreached = ask->served && pending->failure && pending->spoken.answer.data == NULL;
    *answer = (AskAnswer){.tag = pending->tag,
                          .text = pending->spoken.answer,
                          .ok = pending->failure == NULL,
                          .reached = !unreached,
                          .failure = pending->failure,
                          .attempts = pending->spoken.attempt};
    pending->spoken.answer = (Bytes){0};
    pending->failure = NULL;
    ask->counts.unanswered += !answer->ok;
    ask->counts.unreached += unreached;
    memmove(ask->pending + index, ask->pending + index + 1,
            (size_t)(ask->count - index - 1) * sizeof *ask->pending);
    ask->count--;
    pending_free(pending);
}

static bool hand_over_ended(Ask *ask, AskAnswer *answer)
{
    for (int64_t i = 0; i < ask->count; i++) {
        if (ask->pending[i]->ended) {
            hand_over(ask, i, answer);
            return true;
        }
    }
    return false;
}

// Lets our model answer as many waiting questions as its caches hold.
static void speak(Ask *ask)
{
    const AskSettings *settings = &ask->settings;
    Spoken **questions = allocate((size_t)ask->count, sizeof *questions);
    for (int64_t i = 0; i < ask->count; i++)
        questions[i] = &ask->pending[i]->spoken;
    int64_t count = speaker_fitting(ask->speaker, questions, ask->count);
    Generation generation = {.temperature = settings->temperature,
                             .top_p = settings->top_p,
                             .repetition_penalty = settings->repetition_penalty,
                             .seed = settings->seed,
                             .purpose = settings->purpose,
                             .step = ask->step};
    ask->counts.attempts += count;
    speaker_answer(ask->speaker, questions, count, &generation);
    for (int64_t i = 0; i < count; i++)
        settle(ask, ask->pending[i]);
    release(questions);
}

static void take_served(Ask *ask, ServedAnswer *served)
{
    Pending *pending = (Pending *)(intptr_t)served->tag;
    if (!served->ok) {
        bytes_free(&pending->spoken.answer);
        pending->failure = duplicate(served->failure);
        pending->ended = true;
    } else {
        bytes_clear(&pending->spoken.answer);
        bytes_append(&pending->spoken.answer, served->text, served->length);
        if (!settle(ask, pending)) {
            ask->counts.attempts++;
            send(ask, pending);
        }
    }
    served_answer_free(served);
}

bool ask_next(Ask *ask, bool wait, AskAnswer *answer)
{
    while (!hand_over_ended(ask, answer)) {
        if (ask->count == 0 || (ask->speaker && !wait))
            return false;
        ServedAnswer served;
        if (ask->speaker)
            speak(ask);
        else if (wait ? served_next(ask->served, &served) : served_poll(ask->served, &served))
            take_served(ask, &served);
        else
            return false;
    }
    return true;
}

void ask_answer_free(AskAnswer *answer)
{
    bytes_free(&answer->text);
    release(answer->failure);
}
