// score.h - the nine numbers of an evaluation (specification, section 9).

#ifndef L2A_REWARD_SCORE_H
#define L2A_REWARD_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "reward/reward.h"

typedef enum {
    SCORE_CONTINUE_CONTENT,         // ave_continue_content: mean C where the truth is continue
    SCORE_CONTINUE_WIN,             // win_continue_content: share of them with C = 1
    SCORE_CONTINUE_CONTENT_CORRECT, // the same over those without "<stop />"
    SCORE_CONTINUE_WIN_CORRECT,
    SCORE_CONTINUE_DECISION, // mean A where the truth is continue
    SCORE_STOP_DECISION,     // mean A where the truth is stop
    SCORE_TOTAL_DECISION,    // mean A
    SCORE_TOTAL_FORMAT,      // mean F
    SCORE_TOTAL_REWARD,      // mean of A (1 + 2C) + F, whatever the mode of training
    SCORE_COUNT
} ScoreName;

extern const char *const score_names[SCORE_COUNT];

// One graded response.
typedef struct {
    int64_t session; // ordinal: what the bootstrap resamples
    Truth truth;
    bool stops; // the response holds "<stop />"
    Grade grade;
} ScoreRow;

typedef struct {
    double value;
    double low, high; // 95 % interval; equal to value where there is one session
    int64_t n;        // responses it is a mean of; 0: not available
} ScoreValue;

typedef struct {
    ScoreValue values[SCORE_COUNT];
    int64_t rows, ungraded; // ungraded rows are left out of all values
    int64_t sessions;
} Scores;

// Percentile bootstrap over sessions with `resamples` resamples (0: intervals equal the value);
// the same rows and seed give the same bits.
Scores score_rows(const ScoreRow *rows, int64_t count, int resamples, uint64_t seed);

// The table, one metric a line with value, interval and n; "n/a" where n is 0.
void score_print(const Scores *scores, Bytes *text);

#endif
