// rollout.h - sessions to graded trees on the rollout ranks, and then to everybody.

#ifndef L2A_TASKS_ROLLOUT_H
#define L2A_TASKS_ROLLOUT_H

#include "base/metrics.h"
#include "tasks/job.h"
#include "tasks/session_tree.h"

typedef struct {
    const Dataset *dataset; // borrowed
    const RuleJudge *rules; // borrowed
    RewardSettings reward;
    int32_t repeats;
    Generation generation;
    Purpose judging; // of the judge's draws
    bool permute;    // shuffle rewards inside each group: a control that must not learn
} RolloutPlan;

// Seconds are those of the slowest rank, the rest sums over all.
typedef struct {
    double seconds; // from the first row to the last verdict
    double seconds_prefill, seconds_decode;
    double seconds_grade; // from the last token to the last verdict
    double decode_rows, prefill_rows;
    double judging;          // seconds in which judges of our own answered
    double idle[ROLE_COUNT]; // share of rollout and grader ranks' time spent waiting
    double questions, attempts, unusable, unanswered, unreached; // put to a judge
    double tool_calls, failed_calls, summaries;
    struct {
        double seconds, prefill, decode, grade, judging;
    } own; // seconds of this rank
} RolloutTimes;

// Rolls out the parts, grades, and leaves all trees of the step in `all` on every rank, in the
// order of the parts. EXIT_UNAVAILABLE where a served judge answered nothing at all. Collective
// over world->all.
int rollout_run(Job *job, const RolloutPlan *plan, const SessionPart *parts, int64_t count,
                TreeList *all, RolloutTimes *times);

// A rollout under way. Between rollout_begin and rollout_finish ranks that do not roll out can do
// other work, and judges are at it.
typedef struct {
    RolloutPlan plan;
    TreeList mine; // this rank's trees
    double since, sampled;
} Rollout;

// Samples this rank's trees of the parts (on rollout ranks).
void rollout_begin(Rollout *rollout, Job *job, const RolloutPlan *plan, const SessionPart *parts,
                   int64_t count);

// The same in two steps, for those who fill `mine` themselves: before and after the sampling.
void rollout_open(Rollout *rollout, Job *job, const RolloutPlan *plan);
void rollout_sampled(Rollout *rollout);

// The rest of rollout_run. Collective over world->all.
int rollout_finish(Rollout *rollout, Job *job, TreeList *all, RolloutTimes *times);

// grading/* and timing_s/* metrics.
void rollout_report(const RolloutTimes *times, Metrics *metrics);

// Cache slots that the parts of a step need, all ranks together.
int64_t rollout_slots(const Dataset *dataset, const SessionPart *parts, int64_t count,
                      int32_t repeats, int32_t max_response_tokens);

#endif
