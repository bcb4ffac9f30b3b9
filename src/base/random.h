// random.h - random draws as pure functions of what they are for.
//
// A draw is Philox4x32-10 of a counter that names its use: no generator state, nothing to save at a
// checkpoint, the same draw on any rank in any order. The fields tile the 128-bit counter, so two
// different uses never share a counter.

#ifndef L2A_BASE_RANDOM_H
#define L2A_BASE_RANDOM_H

#include <stdint.h>

typedef enum {
    PURPOSE_POLICY,
    PURPOSE_JUDGE,
    PURPOSE_EXTRACTOR,
    PURPOSE_EVALUATION,
    PURPOSE_SHUFFLE,
    PURPOSE_BOOTSTRAP,
    PURPOSE_INITIALISE,
    PURPOSE_PERMUTE,
    PURPOSE_GENERATE, // synthetic data
    PURPOSE_EVALUATION_JUDGE,
    PURPOSE_PROPOSER,
    PURPOSE_CALIBRATION,
    PURPOSE_REPLACE,  // contexts in place of those whose groups were flat
    PURPOSE_ADAPTER,  // where it starts
    PURPOSE_ROUNDING, // of moments in bf16
    PURPOSE_COUNT
} Purpose;

// Bits: purpose 4, step 28, session 28, round 14, sample 12, completion 6, attempt 4, position 32.
typedef struct {
    uint64_t seed;
    Purpose purpose;
    uint32_t step, session, round, sample, completion, attempt, position;
} Draw;

// What the generator makes four words of; the last word of the counter is a draw's position.
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11.)
typedef struct {
    uint32_t counter[4], key[2];
} Philox;

Philox draw_philox(Draw draw); // dies when a field exceeds its bits

// Four independent 32-bit words of a draw.
void draw_words(Draw draw, uint32_t words[4]);

// Uniform in (0, 1), 53 bits, never 0 or 1.
double draw_uniform(Draw draw);

// Uniform integer in [0, bound), without bias worth speaking of (64-bit multiply-shift).
uint64_t draw_below(Draw draw, uint64_t bound);

// Two standard normal numbers by Box-Muller, the same bits on every machine.
void draw_normal(Draw draw, double normal[2]);

// Fisher-Yates shuffle of `order` [count]; `draw.position` counts the swaps.
void draw_shuffle(Draw draw, int64_t *order, int64_t count);

#endif
