#include "ask/ask.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"

// A question on its way. For a served model its messages are kept: it may be asked again.
typedef struct {
    int64_t tag;
    Spoken spoken; // names the draws; its tokens are for a model of our own
    ChatMessage *messages;
    Bytes contents; // of the messages, one behind the other
    int64_t message_count;
} Pending;

struct Ask {
    AskSettings settings;
    Answerer *answerer; // borrowed
    bool served;
    uint32_t step;
    Pending **pending; // owned, in the order of submission
    int64_t count;
    size_t capacity;
    AskCounts counts;
};

// How many questions a model of our own is given at once: as many trees exist.
enum { SPOKEN_AT_ONCE = 1024 };

Ask *ask_make(const AskSettings *settings, Answerer *answerer)
{
    CHECK(answerer->kind != ASKED_NOBODY, "there is nobody to ask");
    Ask *ask = allocate(1, sizeof *ask);
    *ask = (Ask){
        .settings = *settings, .answerer = answerer, .served = answerer->kind == ASKED_SERVED};
    return ask;
}

static void pending_free(Pending *pending)
{
    spoken_free(&pending->spoken);
    bytes_free(&pending->contents);
    release(pending->messages);
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
    ask->counts.attempts++;
    served_submit(ask->answerer->served, (int64_t)(intptr_t)pending, pending->messages,
                  pending->message_count, words[0] & 0x7fffffff);
}

// `text` NULL: there is none.
static void hand_over(Ask *ask, const Pending *pending, const Bytes *text, const char *failure)
{
    AskAnswer answer = {.tag = pending->tag,
                        .text = text ? text->data : "",
                        .length = text ? text->length : 0,
                        .whole = pending->spoken.whole,
                        .reached = !ask->served || text,
                        .failure = failure,
                        .attempts = pending->spoken.attempt};
    ask->counts.unanswered += failure != NULL;
    ask->counts.unreached += !answer.reached;
    ask->settings.take(ask->settings.context, &answer);
}

static void forget(Ask *ask, Pending *pending)
{
    int64_t at = 0;
    while (ask->pending[at] != pending)
        at++;
    ask->count--;
    memmove(ask->pending + at, ask->pending + at + 1,
            (size_t)(ask->count - at) * sizeof *ask->pending);
    pending_free(pending);
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
    ask->counts.questions++;
    if (!ask->served && speaker_encode(&ask->answerer->speaker, question->messages,
                                       question->message_count, &pending->spoken.tokens) != 0) {
        hand_over(ask, pending, NULL, fail_message());
        pending_free(pending);
        return;
    }
    grow((void **)&ask->pending, &ask->capacity, (size_t)ask->count + 1, sizeof *ask->pending);
    ask->pending[ask->count++] = pending;
    if (ask->served) {
        copy_messages(pending, question);
        send(ask, pending);
    }
}

// Hands an attempt's text over; false where it is to be asked for again.
static bool settle(Ask *ask, Pending *pending)
{
    const AskSettings *settings = &ask->settings;
    const Bytes *text = &pending->spoken.answer;
    int64_t attempts = ask->answerer->asked->attempts;
    char failure[64];
    pending->spoken.attempt++;
    if (settings->usable(settings->context, pending->tag, text->data, text->length)) {
        hand_over(ask, pending, text, NULL);
        return true;
    }
    ask->counts.unusable++;
    if ((int64_t)pending->spoken.attempt < attempts)
        return false;
    snprintf(failure, sizeof failure, "no usable answer in %lld attempt%s", (long long)attempts,
             attempts > 1 ? "s" : "");
    hand_over(ask, pending, text, failure);
    return true;
}

static void take_spoken(void *context, Spoken *spoken)
{
    Ask *ask = context;
    Pending *pending = (Pending *)((char *)spoken - offsetof(Pending, spoken));
    ask->counts.attempts++;
    if (settle(ask, pending))
        forget(ask, pending);
}

// Lets our model answer what waits. Those whose answer is of no use stay for the next time.
static void speak(Ask *ask)
{
    const Asked *asked = ask->answerer->asked;
    int64_t count = ask->count < SPOKEN_AT_ONCE ? ask->count : SPOKEN_AT_ONCE;
    Spoken **questions = allocate((size_t)count, sizeof *questions);
    for (int64_t i = 0; i < count; i++)
        questions[i] = &ask->pending[i]->spoken;
    Generation generation = {.temperature = asked->temperature,
                             .top_p = asked->top_p,
                             .repetition_penalty = asked->repetition_penalty,
                             .seed = ask->settings.seed,
                             .purpose = ask->settings.purpose,
                             .step = ask->step};
    speaker_answer(&ask->answerer->speaker, questions, count, &generation, take_spoken, ask);
    release(questions);
}

static void take_served(Ask *ask, ServedAnswer *served)
{
    Pending *pending = (Pending *)(intptr_t)served->tag;
    Bytes *text = &pending->spoken.answer;
    bool done = true;
    if (served->ok) {
        bytes_clear(text);
        bytes_append(text, served->text, served->length);
        pending->spoken.whole = served->whole;
        done = settle(ask, pending);
    } else {
        hand_over(ask, pending, NULL, served->failure);
    }
    if (done)
        forget(ask, pending);
    else
        send(ask, pending);
    served_answer_free(served);
}

void ask_poll(Ask *ask)
{
    ServedAnswer answer;
    while (ask->served && served_poll(ask->answerer->served, &answer))
        take_served(ask, &answer);
}

void ask_finish(Ask *ask)
{
    ServedAnswer answer;
    while (ask->count > 0) {
        if (!ask->served)
            speak(ask);
        else if (served_next(ask->answerer->served, &answer))
            take_served(ask, &answer);
    }
}
