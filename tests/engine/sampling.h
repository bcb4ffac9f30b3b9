// sampling.h - small rollouts for the tests of the engine, and the logits that each token came
// from.

#ifndef L2A_TESTS_ENGINE_SAMPLING_H
#define L2A_TESTS_ENGINE_SAMPLING_H

#include "engine/engine.h"
#include "tests/model/tiny.h"

enum { TREES = 3, CAPACITY = 8, ROWS = 64, SLOTS = 8192 };

// CAPACITY tokens, no truncation, no penalty, no end tokens.
Generation generation_of(double temperature);

// Samples with an engine of its own.
void generate(Tiny *tiny, Grove *grove, int64_t rows, int64_t slots, const Generation *generation);

// Trees without responses.
void make_buds(Grove *buds, int64_t trees, int64_t vocabulary);

// The logits behind a branch's context and its first `seen` response tokens, by a forward pass over
// the whole sequence. To be released.
float *next_logits(Tiny *tiny, const Tree *tree, const Branch *branch, int32_t seen);

// The lowest of the most probable tokens.
int32_t most_probable(const float *logits, int64_t count);

double log_probability(const float *logits, int64_t count, int32_t token, double temperature);

// The same bits.
void assert_same_branch(const Branch *a, const Branch *b);
void assert_same_responses(const Grove *a, const Grove *b);

// The smallest caches: one branch beside its tree's trunk.
int64_t least_slots(const Grove *grove);

#endif
