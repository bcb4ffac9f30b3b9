// best_constant.h - the best single "question" to ask every time.
//
// A bag of stems, found greedily among the commonest of the training file by mean C over its
// continue samples. Whatever a policy scores, only the margin over this counts as learning.

#ifndef L2A_REWARD_BEST_CONSTANT_H
#define L2A_REWARD_BEST_CONSTANT_H

#include "base/memory.h"
#include "reward/judge_rule.h"

enum { CONSTANT_CANDIDATES = 60 };

typedef struct {
    Stem stems[CONSTANT_CANDIDATES]; // in the order they were chosen
    int count;
    double score; // mean C on the training file, repeats aside
} BestConstant;

// `training` is the set that the judge's weights come from.
BestConstant best_constant_find(const RuleJudge *judge, const SampleSet *training);

// Mean C of the constant over the continue samples of `set`; -1 where there are none.
double best_constant_score(const RuleJudge *judge, const BestConstant *constant,
                           const SampleSet *set);

// Appends the constant's stems with blanks between.
void best_constant_text(const BestConstant *constant, Bytes *text);

#endif
