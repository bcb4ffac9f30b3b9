// answerer.h - who answers questions, as [extractor] or [judge] describes it: a model of our own or
// a served one.

#ifndef L2A_ASK_ANSWERER_H
#define L2A_ASK_ANSWERER_H

#include "ask/served.h"
#include "ask/speaker.h"
#include "input/settings.h"

typedef struct {
    AskedKind kind;
    const char *section; // of the input file, for messages; borrowed
    const Asked *asked;  // borrowed
    char *prompt;        // owned: the instructions
    Speaker speaker;     // ASKED_MODEL
    Served *served;      // owned; ASKED_SERVED
} Answerer;

// The instructions; tokenizer, template and configuration of a model of our own; address and key of
// a served one. What `check` needs; answers nothing yet.
int answerer_open(Answerer *answerer, AskedKind kind, const Asked *asked, const char *section);

// Ranks that answer a question together.
int answerer_ranks(const Answerer *answerer);

// Weights and engine on the answerer_ranks ranks of `team`, which are then asked alike; or the
// connection. `answerer` must not move afterwards.
int answerer_build(Answerer *answerer, const Backend *backend, const Group *team);
void answerer_close(Answerer *answerer); // also one that was never opened

// Bytes that answerer_build takes.
size_t answerer_bytes(const Answerer *answerer, const Kernels *kernels);

// Appends all that decides an answer besides the question: model, sampling, instructions.
void answerer_identify(const Answerer *answerer, Bytes *out);

#endif
