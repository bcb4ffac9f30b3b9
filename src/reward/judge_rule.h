// judge_rule.h - the deterministic judge (specification, section 7.2): an approximation of an LLM
// judge, good enough to train on.
//
// Precision is part of the content score on purpose: with plain overlap a constant list of common
// symptom words scores nearly what the doctors do, and a policy finds it.

#ifndef L2A_REWARD_JUDGE_RULE_H
#define L2A_REWARD_JUDGE_RULE_H

#include <stddef.h>

#include "dialogue/samples.h"
#include "dialogue/stems.h"
#include "dialogue/stem_weights.h"
#include "reward/reward.h"

typedef struct RuleJudge RuleJudge;

// A judge whose stem weights are those of the training file.
RuleJudge *rule_judge_make(const SampleSet *training);

// A judge with weights kept from an earlier run (weights_write). NULL and a failure if unusable.
RuleJudge *rule_judge_read(const char *path);
int rule_judge_write(const RuleJudge *judge, const char *path);
void rule_judge_free(RuleJudge *judge);

// The whole grade of a response. Several threads may share a judge.
void rule_judge_grade(const RuleJudge *judge, const Sample *sample, const char *response,
                      size_t length, RewardSettings settings, Grade *out);

// C of a question to this sample: 0, 0.5 or 1, whatever the truth.
double rule_judge_content(const RuleJudge *judge, const Sample *sample, const char *response,
                          size_t length);

// F: 1 for exactly one question sentence (ended by ? or its full-width form), 0.5 for two, else 0.
double rule_judge_format(const char *response, size_t length);

// The two halves of rule_judge_content: of a bag of stems, and of the largest F (section 7.2).
double rule_judge_content_of_stems(const RuleJudge *judge, const Sample *sample,
                                   const StemSet *question);
double rule_judge_content_of(double overlap);

const StemWeights *rule_judge_weights(const RuleJudge *judge);

#endif
