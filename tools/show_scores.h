// show_scores.h - evaluations side by side, and which of their differences are larger than chance.

#ifndef L2A_TOOLS_SHOW_SCORES_H
#define L2A_TOOLS_SHOW_SCORES_H

#include <stdbool.h>

#include "reward/evaluation_result.h"

typedef enum { SCORES_ALIKE, SCORES_HIGHER, SCORES_LOWER } ScoresVerdict;

// How a value compares with that of `first`: other only where each lies outside the other's 95 %
// interval. Where either is not there they are alike.
ScoresVerdict show_scores_compare(ScoreValue first, ScoreValue value);

// Appends a table of the scores with their intervals, a column an evaluation; '+' or '-' behind
// those that are higher or lower than the first column's, where both are of several sessions.
// `names` are harmless.
void show_scores_print(const char *const *names, const EvaluationResult *const *results, int count,
                       Bytes *out);

#endif
