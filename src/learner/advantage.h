// advantage.h - rewards of a group to advantages (specification, section 8).

#ifndef L2A_LEARNER_ADVANTAGE_H
#define L2A_LEARNER_ADVANTAGE_H

#include <stdbool.h>

#include "model/tree.h"

// GRPO: (r - mean) / (std + 1e-6), unbiased std; a group of one: r. The group is the graded
// branches of one sample; ungraded branches get 0. With `drop_flat`, branches of a group without
// spread are taken out (graded = 0). Returns the number of groups without spread.
int64_t advantage_group_relative(Tree *tree, bool drop_flat);

#endif
