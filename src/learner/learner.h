// learner.h - trees in, one update of the sharded weights out.
//
// Masters, moments and gradients are shards of the learner group. A step gathers a unit, computes,
// and reduce-scatters its gradient; under `shared` placement the rollout engine's packed weights
// are read instead of gathering (they are the same values). The frozen reference is sharded as the
// masters are.

#ifndef L2A_LEARNER_LEARNER_H
#define L2A_LEARNER_LEARNER_H

#include "base/metrics.h"
#include "learner/gradient.h"
#include "learner/loss.h"
#include "learner/optimizer.h"
#include "learner/plan.h"

typedef struct {
    Group group;                  // borrowed copy of the learner group
    const Collective *collective; // borrowed
    const Model *model;           // borrowed
    Optimizer optimizer;
    Gradient gradient;
    Workspace workspace;
    Batch batch;
    Weights *weights; // packed policy: borrowed, or owned when it is a window
    bool owns_weights;
    float *reference_shards; // owned, device; NULL until learner_freeze_reference
    Weights *reference;      // owned window
} Learner;

typedef struct {
    int64_t micro_batch_tokens;
    Weights *resident; // packed policy weights of this rank's engine; NULL: gather units
} LearnerLayout;

// Makes the learner with zero weights; the caller fills optimizer.master (parameters_load, a
// checkpoint). Collective over group.
void learner_make(Learner *learner, const Model *model, const Group *group,
                  const Collective *collective, LearnerLayout layout);
void learner_free(Learner *learner);

// The masters as they are now become the reference.
void learner_freeze_reference(Learner *learner);

// Makes the reference's memory without filling it (a checkpoint will).
void learner_reserve_reference(Learner *learner);

typedef struct {
    const AlgorithmRow *algorithm;
    LossSettings loss;
    OptimizerSettings optimizer;
    double temperature; // of the rollout; 1 for sft
} StepSettings;

// One update on all trees of the step (the same list on every learner rank). Sets actor/*,
// mismatch/* and learner/* metrics, the same on every rank. Returns -1 when the gradient's norm is
// not finite; nothing is changed then. Collective over the group.
int learner_step(Learner *learner, const StepSettings *settings, Tree *trees, int64_t count,
                 Metrics *metrics);

// Bytes of device memory a learner rank takes: sharded state, activations, and windows of gathered
// units with the reference's shards. `gathers`: without an engine's resident weights.
typedef struct {
    size_t state, activations, windows;
} LearnerMemory;

LearnerMemory learner_bytes(const Model *model, int ranks, int64_t micro_batch_tokens, bool gathers,
                            bool with_reference);

#endif
