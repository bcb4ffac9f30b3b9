// evaluation_result.h - what an evaluation found: a small JSON file, kept with the run, and a
// table.

#ifndef L2A_REWARD_EVALUATION_RESULT_H
#define L2A_REWARD_EVALUATION_RESULT_H

#include "reward/score.h"

typedef struct {
    Scores scores;
    int64_t failures;   // responses that a served policy did not give
    double expert_loss; // mean -log p a token of what the expert said next
    double expert_tokens;
    double response_tokens; // mean length
    double seconds;
} EvaluationResult;

// Replaced whole by rename.
int evaluation_result_write(const char *path, const EvaluationResult *result);

// EXIT_NO_INPUT where there is none, EXIT_BAD_DATA where a number is missing or of another kind.
int evaluation_result_read(const char *path, EvaluationResult *result);

// Appends the results side by side; `names` and `results` [count].
void evaluation_result_print(const char *const *names, const EvaluationResult *results, int count,
                             Bytes *text);

#endif
