// engine.h - generation: trunks are computed once, all branches of all trunks decode together.
//
// The engine owns the caches of one rank. What does not fit waits until other branches have ended;
// since no row depends on its neighbours and every draw is indexed by what it is for, none of this
// shows in the responses.

#ifndef L2A_ENGINE_ENGINE_H
#define L2A_ENGINE_ENGINE_H

#include "base/random.h"
#include "model/model.h"

typedef struct {
    double temperature; // 0: greedy
    double top_p, repetition_penalty;
    int32_t top_k;
    int32_t max_response_tokens;
    bool forced_length;        // never end early
    const int32_t *end_tokens; // borrowed
    int64_t end_token_count;
    // Draws: session, round, repeat, completion, attempt and position come from the branch.
    uint64_t seed;
    Purpose purpose;
    uint32_t step;
    // Told of every branch as it ends; the order depends on the caches. NULL: nobody.
    void (*ended)(void *context, Tree *tree, Branch *branch);
    void *context; // borrowed
} Generation;

typedef struct {
    double prefill_seconds, decode_seconds;
    int64_t prefill_rows, decode_rows, decode_steps;
} EngineCounts;

typedef struct Decoder Decoder;

typedef struct {
    const Model *model; // borrowed
    Weights *weights;   // borrowed, resident
    Workspace workspace;
    Batch batch;                    // rows of one forward pass
    Cache *caches;                  // owned [layers]
    void *cache_memory;             // owned, device
    int64_t slots;                  // of the caches; a decoder has some more behind them
    Decoder *decoder;               // owned; NULL: decodes call by call
    float *raw;                     // owned, device: logits before the penalty; NULL until needed
    int32_t *seen;                  // owned, device: tokens to be penalised; NULL until needed
    int64_t *seen_offsets;          // device [SCORED_CHUNK + 1]
    size_t seen_capacity;           // bytes of `seen`
    double *uniform_host, *uniform; // [SCORED_CHUNK]; device
    int32_t *sampled;               // device [SCORED_CHUNK]
    float *logprobs;                // device [SCORED_CHUNK]
    int32_t *rows;                  // device [SCORED_CHUNK]
    Target *targets;                // device [SCORED_CHUNK]
    EngineCounts counts;            // since the caller last cleared them
} Engine;

// `rows`: rows of a forward pass; `slots`: cached positions.
void engine_make(Engine *engine, const Model *model, Weights *weights, int64_t rows, int64_t slots);
void engine_free(Engine *engine);
size_t engine_cache_bytes(const Model *model, int64_t slots);
size_t engine_bytes(const Model *model, int64_t rows, int64_t slots); // caches among them

// Samples a completion of every branch behind the `count` tokens that it has (room for
// max_response_tokens more): fills tokens, logprobs, scored, count and finished. A branch that does
// not fit into the caches beside its tree's trunk is a broken precondition.
void engine_generate(Engine *engine, Tree *trees, int64_t count, const Generation *generation);

#endif
