// rollout.h - sessions to graded trees on the rollout ranks, and then to everybody.

#ifndef L2A_TASKS_ROLLOUT_H
#define L2A_TASKS_ROLLOUT_H

#include "reward/judge_rule.h"
#include "tasks/job.h"
#include "tasks/session_tree.h"

typedef struct {
    const Dataset *dataset; // borrowed
    const RuleJudge *judge; // borrowed
    RewardSettings reward;
    int32_t repeats;
    Generation generation;
    bool permute; // shuffle rewards inside each group: a control that must not learn
} RolloutPlan;

typedef struct {
    double seconds_prefill, seconds_decode, seconds_grade; // of the slowest rank
    double decode_rows, prefill_rows;                      // of all ranks
} RolloutTimes;

// Rolls out the parts, grades, and leaves all trees of the step in `all` on every rank, in the
// order of the parts. Collective over world->all.
void rollout_run(Job *job, const RolloutPlan *plan, const SessionPart *parts, int64_t count,
                 TreeList *all, RolloutTimes *times);

// Cache slots that the parts of a step need, all ranks together.
int64_t rollout_slots(const Dataset *dataset, const SessionPart *parts, int64_t count,
                      int32_t repeats, int32_t max_response_tokens);

// The text of a response, its end token left out.
void rollout_text(const Tokenizer *tokenizer, const Branch *branch, Bytes *text);

#endif
