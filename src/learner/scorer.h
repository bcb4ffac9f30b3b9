// scorer.h - log-probabilities of given responses under the engine's weights, without gradients.

#ifndef L2A_LEARNER_SCORER_H
#define L2A_LEARNER_SCORER_H

#include "learner/plan.h"
#include "model/model.h"
#include "parallel/group.h"

typedef struct {
    Group group;        // borrowed copy: the ranks that share the work
    const Model *model; // borrowed
    Weights *weights;   // borrowed, resident
    Workspace workspace;
    Batch batch;
} Scorer;

void scorer_make(Scorer *scorer, const Model *model, Weights *weights, const Group *group,
                 int64_t micro_batch_tokens);
void scorer_free(Scorer *scorer);

// Sum of -log p over the scored tokens of all trees (the same list on every rank), and their
// number; the same on every rank. Log-probabilities are differences of fp32 numbers near 1 to 100:
// their sum in double is exact, in any order. Collective over the group.
void scorer_run(Scorer *scorer, Tree *trees, int64_t count, double temperature, double *sum,
                double *tokens);

#endif
