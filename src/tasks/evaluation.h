// evaluation.h - roll out, grade, score: the table of the specification's section 9.

#ifndef L2A_TASKS_EVALUATION_H
#define L2A_TASKS_EVALUATION_H

#include "base/metrics.h"
#include "reward/best_constant.h"
#include "reward/evaluation_result.h"
#include "tasks/evaluation_journal.h"
#include "tasks/rollout.h"

// An evaluation file with its judge, opened once.
typedef struct {
    Dataset dataset;
    RuleJudge *judge; // owned
    BestConstant constant;
    double constant_content; // its mean content score on the evaluated file
    SessionSchedule schedule;
} Evaluation;

// Opens [evaluate] file. Every rank.
int evaluation_open(Evaluation *evaluation, const Job *job);
void evaluation_close(Evaluation *evaluation);

// Positions and cache slots (all rollout ranks together) that an evaluation needs.
int64_t evaluation_positions(const Evaluation *evaluation, const Job *job);
int64_t evaluation_slots(const Evaluation *evaluation, const Job *job);

// Appends all that decides responses and grades besides settings and the policy's weights:
// contents, not names of files.
void evaluation_identify(const Evaluation *evaluation, const Job *job, Bytes *out);

// Evaluates the weights that the engines hold, or the served policy, with the draws of `step`. What
// `journal` knows is not done again, and it takes the rest as it comes; NULL: none. The same result
// on every rank; `responses` (may be NULL) takes all of them in the order of the file. Fails as
// rollout_run does. Collective over world->all.
int evaluation_run(Evaluation *evaluation, Job *job, uint32_t step, EvaluationJournal *journal,
                   EvaluationResult *result, ResponseList *responses);

// Appends the graded responses to some contexts (those of `parts`) only, with the draws of `step`.
int evaluation_sample(const Evaluation *evaluation, Job *job, uint32_t step,
                      const SessionPart *parts, int64_t count, ResponseList *responses);

// val/* metrics.
void evaluation_report(const EvaluationResult *result, Metrics *metrics);

// The results side by side (evaluation_result_print), with what the best constant question would
// score.
void evaluation_print(const Evaluation *evaluation, const char *const *names,
                      const EvaluationResult *results, int count, Bytes *text);

#endif
