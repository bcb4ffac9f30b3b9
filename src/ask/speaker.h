// speaker.h - a model of our own that answers chat questions: on one rank or a few, never trained.
//
// A judge or an extractor has its own architecture, tokenizer and chat template, whatever the
// policy's are. Questions of one trunk share their common beginning: it is computed once. What a
// question is answered with does not depend on the questions beside it, nor on the rank. Several
// ranks that are one engine are asked the same and all get the answer.

#ifndef L2A_ASK_SPEAKER_H
#define L2A_ASK_SPEAKER_H

#include "engine/engine.h"
#include "parallel/backend.h"
#include "text/chat.h"

typedef struct {
    const char *path; // Hugging Face directory; borrowed
    const char *chat; // see chat_open
    bool thinking;
    ElementType type;          // of packed weights and caches
    int64_t max_prompt_tokens; // a longer question is not put
    int64_t max_answer_tokens;
    int64_t cache_tokens; // positions held at once; 0: SPEAKER_SLOTS
    int ranks;            // of the engine
} SpeakerSettings;

enum { SPEAKER_ROWS = 512, SPEAKER_SLOTS = 32768 };

typedef struct {
    SpeakerSettings settings;
    Tokenizer *tokenizer; // owned
    Chat *chat;           // owned
    ModelShape shape;
    Parameters parameters; // of one rank
    TensorSlice slice;
    Model whole, model; // without and with what other ranks hold
    Weights *weights;   // owned
    Engine engine;
    double seconds; // spent answering
} Speaker;

// A question as tokens, with what names its draws.
typedef struct {
    Tokens tokens; // owned: the rendering with generation prompt
    int64_t trunk; // neighbours of equal trunk share their beginning
    uint32_t session, round, repeat, completion, attempt; // draws
    Bytes answer; // owned: what was said, without its end token
    bool whole;   // it ended by itself
} Spoken;

// Tokenizer, template and configuration only: what `check` needs.
int speaker_open_text(Speaker *speaker, const SpeakerSettings *settings);

// The weights and the engine, on the ranks of `team`, as many as the settings say. `speaker` must
// not move afterwards: the engine points into it.
int speaker_build(Speaker *speaker, const Backend *backend, const Group *team);
void speaker_close(Speaker *speaker); // also one that was never opened

// Bytes that speaker_build takes, from an opened text side.
size_t speaker_bytes(const Speaker *speaker, const Kernels *kernels);

// Renders messages. EXIT_BAD_DATA where the template knows no such role or the question is too
// long.
int speaker_encode(const Speaker *speaker, const ChatMessage *messages, int64_t count,
                   Tokens *tokens);

// Answers the questions [count]; `generation` gives sampling, seed, purpose and step. `answered` is
// told of each as it ends.
typedef void SpeakerAnswered(void *context, Spoken *question);
void speaker_answer(Speaker *speaker, Spoken *const *questions, int64_t count,
                    const Generation *generation, SpeakerAnswered *answered, void *context);

void spoken_free(Spoken *spoken);

#endif
