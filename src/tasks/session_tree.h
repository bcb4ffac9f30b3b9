// session_tree.h - a session's contexts as a tree: one trunk, a branch for every response.
//
// The trunk is the longest context. A branch attaches at the longest common token prefix of its
// context and the trunk and carries the rest of its context as forced tokens, so that answers that
// begin with a newline and templates whose generation prompt is not part of the history cost a few
// tokens and are no special case.

#ifndef L2A_TASKS_SESSION_TREE_H
#define L2A_TASKS_SESSION_TREE_H

#include "model/tree.h"
#include "tasks/schedule.h"

// `repeats` empty branches a context, with room for `max_response_tokens` each.
Tree session_tree_for_rollout(const Dataset *dataset, SessionPart part, int32_t repeats,
                              int32_t max_response_tokens);

// One branch a context: what the expert said next (every message with its end token; headers
// between them are not scored), or `<stop />` where the truth is stop, cut at
// `max_response_tokens`. Contexts whose expert said nothing have no branch.
Tree session_tree_of_expert(const Dataset *dataset, const Chat *chat, SessionPart part,
                            int32_t max_response_tokens);

// Pairs of branches for dpo, for the contexts that have both: chosen, what the expert said next (as
// above); rejected, of `sampled` (the part's graded tree) the response with the least reward, where
// that is less than `full_marks`, or where `sampled` is NULL the sample's field "rejected".
Tree session_tree_of_pairs(const Dataset *dataset, const Chat *chat, SessionPart part,
                           int32_t max_response_tokens, const Tree *sampled, double full_marks);

// What a batch of trees costs, for the log: `independent` rows of separate sequences, `trie` nodes
// of the contexts' token trie with the response rows, `rows` computed, `forced` tokens.
typedef struct {
    int64_t independent, trie, rows, forced;
} TreeCosts;

void session_tree_costs(const Dataset *dataset, const Tree *tree, TreeCosts *costs);

#endif
