// statistics.h - what a data set is like, and what its steps cost: for `check`.

#ifndef L2A_TASKS_STATISTICS_H
#define L2A_TASKS_STATISTICS_H

#include "tasks/session_tree.h"
#include "tasks/stages.h"

// Appends lines that each begin with eleven blanks: rounds a session, the share that goes on, and,
// where contexts are tokens, how long they are (bars of their numbers by powers of two).
void statistics_print(const Dataset *dataset, Bytes *out);

// Rows of the trees of the first steps of a stage that samples, at most STATISTICS_STEPS of them,
// if all responses have `response_tokens`. Returns how many steps these were.
enum { STATISTICS_STEPS = 20 };
int64_t statistics_tree_costs(StagePlan *plan, const Settings *settings, int32_t response_tokens,
                              TreeCosts *costs);

#endif
