// advantage.h - rewards to advantages (specification, section 8): the AdvantageFunctions.
//
// A group is the graded branches of one sample; branches of a sample stand together. Every token of
// a branch has the branch's advantage, unless said; ungraded branches get 0. With drop_flat_groups,
// branches of a group without spread are taken out (graded = 0). All return the number of groups
// without spread. Host arithmetic in the order of trees: the same on every rank.

#ifndef L2A_LEARNER_ADVANTAGE_H
#define L2A_LEARNER_ADVANTAGE_H

#include "learner/loss.h"

// GRPO: (r - mean) / (std + 1e-6), unbiased std; a group of one: r.
int64_t advantage_group_relative(const LossSettings *settings, Tree *trees, int64_t count);

// r - mean; a group of one: r.
int64_t advantage_centred(const LossSettings *settings, Tree *trees, int64_t count);

// RLOO: r less the mean of the others, (r - mean) n / (n - 1); a group of one: r.
int64_t advantage_leave_one_out(const LossSettings *settings, Tree *trees, int64_t count);

// REINFORCE++: token t's return, the sum from t to the end of the response of -kl_coefficient KL
// (of lp_old to the reference, by kl_estimator) and at the last token the reward; then, over all
// scored tokens of all trees, (x - mean) / sqrt(variance + 1e-8), unbiased variance.
int64_t advantage_whitened(const LossSettings *settings, Tree *trees, int64_t count);

// Whether the group that begins at branch `first` (it ends before *end) has two or more graded
// branches, all of one reward.
bool advantage_group_is_flat(const Tree *tree, int32_t first, int32_t *end);

#endif
