// plan.h - which rank computes which part of which tree, in which micro-batch.
//
// A pure function of the trees and the layout: every rank computes the whole plan, so nothing has
// to be communicated, and work is balanced by counted, never by timed cost.

#ifndef L2A_LEARNER_PLAN_H
#define L2A_LEARNER_PLAN_H

#include "model/batch.h"
#include "model/shape.h"

typedef struct {
    int64_t rows, slots; // capacity of a micro-batch
    int rank, size;      // of the learner group
    int32_t together;    // so many neighbouring branches stay in one part
} PlanLayout;

typedef struct {
    Part *parts; // owned: this rank's, in the order of trees
    int64_t part_count;
    int64_t *starts;       // owned [count + 1]: first part of each micro-batch
    int64_t count;         // micro-batches, the same on every rank (the last ones may be empty)
    int64_t rows;          // rows of all ranks together
    double products;       // multiply-adds of one pass through the layers, each trunk once
    int64_t trunk_repeats; // rows of trunks computed again because a tree was split
} Plan;

// Trees larger than a micro-batch are split by branches. A branch that does not fit with its trunk
// is a broken precondition (`check` refuses such settings).
void plan_make(Plan *plan, Tree *trees, int64_t count, const ModelShape *shape, PlanLayout layout);
void plan_free(Plan *plan);

// Packs micro-batch `index` of this rank (empty where the rank has fewer than others).
void plan_load(const Plan *plan, int64_t index, Batch *batch);

// Cache slots for micro-batches of `rows` rows: branches begin at multiples of 16, so short ones
// leave gaps. A micro-batch is full when either runs out.
int64_t plan_slots(int64_t rows);

#endif
