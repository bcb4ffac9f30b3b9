// evaluation.h - roll out, grade, score: the table of the specification's section 9.

#ifndef L2A_TASKS_EVALUATION_H
#define L2A_TASKS_EVALUATION_H

#include "base/metrics.h"
#include "reward/best_constant.h"
#include "reward/score.h"
#include "tasks/rollout.h"

// An evaluation file with its judge, opened once.
typedef struct {
    Dataset dataset;
    RuleJudge *judge; // owned
    BestConstant constant;
    double constant_content; // its mean content score on the evaluated file
    SessionSchedule schedule;
} Evaluation;

typedef struct {
    Scores scores;
    double expert_loss; // mean -log p a token of what the expert said next
    double expert_tokens;
    double response_tokens; // mean length
    double seconds;
} EvaluationResult;

// Opens [evaluate] file. Every rank.
int evaluation_open(Evaluation *evaluation, const Job *job);
void evaluation_close(Evaluation *evaluation);

// Positions and cache slots (all rollout ranks together) that an evaluation needs.
int64_t evaluation_positions(const Evaluation *evaluation, const Settings *settings);
int64_t evaluation_slots(const Evaluation *evaluation, const Settings *settings);

// Evaluates the weights that the engines hold, with the draws of `step`. `trees` (may be NULL)
// takes the graded trees. The same result on every rank. Collective over world->all.
void evaluation_run(Evaluation *evaluation, Job *job, uint32_t step, EvaluationResult *result,
                    TreeList *trees);

// val/* metrics.
void evaluation_report(const EvaluationResult *result, Metrics *metrics);

// The table side by side; `names` and `results` [count].
void evaluation_print(const Evaluation *evaluation, const char *const *names,
                      const EvaluationResult *results, int count, Bytes *text);

#endif
