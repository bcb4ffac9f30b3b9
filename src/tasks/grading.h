// grading.h - responses to grades, while others are still being sampled.
//
// The rule judge grades a response at once. A served judge is asked as soon as the response ends
// and answers while the engine goes on. A judge of our own answers on the rollout ranks when they
// have sampled all (it needs their cores), or meanwhile on grader ranks of its own: those get a
// context's responses together, since they share the judged transcript. Where several ranks are one
// engine, the first tells what it sampled or judged.

#ifndef L2A_TASKS_GRADING_H
#define L2A_TASKS_GRADING_H

#include "ask/ask.h"
#include "exchange/exchange.h"
#include "parallel/mail.h"
#include "parallel/team.h"
#include "parallel/world.h"
#include "reward/judge_rule.h"
#include "tasks/dataset.h"

// What is graded; all borrowed.
typedef struct {
    const Dataset *dataset;
    const RuleJudge *rules;
    RewardSettings reward;
    bool unusable_is_zero; // compat option
    int32_t repeats;       // responses to a context
    uint64_t seed;
    Purpose purpose; // of the judge's draws
    uint32_t step;
} GradingPlan;

// Of one rank, since grading_begin.
typedef struct {
    AskCounts asked;
    double judging; // seconds in which this rank's own model answered
} GradingReport;

typedef struct Grading Grading;

// The judge that [reward] judge and [judge] name: prompt, tokenizer, key. What `check` needs.
int grading_open(Grading **grading, const Settings *settings);
void grading_close(Grading *grading); // NULL is fine

// Weights and engine, or connections, on the ranks that ask. `rollout` is the engine that this rank
// samples with. Collective over world->all; `world` and `rollout` are borrowed.
int grading_build(Grading *grading, const World *world, const Team *rollout,
                  const Backend *backend);

// The least number of ranks that holds whole engines of the judge and of a policy of `ranks` ranks.
int grading_ranks(const Grading *grading, int ranks);

// Bytes that grading_build takes on a rank that asks.
size_t grading_bytes(const Grading *grading, const Kernels *kernels);

// Grades what ends from now on. The plan is copied; what it points to is borrowed until
// grading_finish.
void grading_begin(Grading *grading, const GradingPlan *plan);

// A response has ended: the engine's hook, on rollout ranks. `branch` must stay where it is.
void grading_take(Grading *grading, Tree *tree, Branch *branch);

// Grades the rest of what this rank sampled; on grader ranks of their own, all that they are asked.
// On all ranks, after their last grading_take. Branches without a verdict have graded = 0.
void grading_finish(Grading *grading, TreeList *mine, GradingReport *report);

// Appends all that decides a verdict besides the question.
void grading_identify(const Grading *grading, Bytes *out);

// Appends who judges in a few words, for the log.
void grading_describe(const Grading *grading, Bytes *out);

#endif
