// learner.h - trees in, one update of the sharded weights out.
//
// Masters, moments and gradients are shards of the learner group. A step gathers a unit, computes,
// and reduce-scatters its gradient; under `shared` placement the rollout engine's packed weights
// are read instead of gathering (they are the same values). The frozen reference is sharded as the
// masters are.
//
// Where the model has an adapter, masters, moments and gradients are the adapter's, and policy and
// reference read one frozen base.

#ifndef L2A_LEARNER_LEARNER_H
#define L2A_LEARNER_LEARNER_H

#include "base/metrics.h"
#include "learner/gradient.h"
#include "learner/loss.h"
#include "learner/optimizer.h"
#include "learner/plan.h"

// What a source of gathered units needs. Units travel in the type that they are read in.
typedef struct {
    const Parameters *parameters; // borrowed, all of them
    const Kernels *kernels;
    const Collective *collective;
    const Group *group;
    Elements shards;
    bool host; // shards lie in the host's memory
    ElementType type;
    Transfer transfer;
} Gathering;

enum { GATHER_POLICY, GATHER_REFERENCE, GATHER_BASE, GATHERINGS };

typedef struct {
    Group group;      // borrowed copy of the learner group
    Team ranks;       // borrowed copies: those that share the units, and their doubles
    bool keeps_units; // gathered units stay until the weights change
    Gathering gatherings[GATHERINGS];
    const Collective *collective; // borrowed
    const Model *model;           // borrowed
    const Parameters *trained;    // borrowed: the model's own or its adapter's
    Optimizer optimizer;
    Gradient gradient;
    Workspace workspace;
    Batch batch;
    Weights *weights; // packed policy: borrowed, or owned when it is a window
    bool owns_weights;
    LossContext loss;
    void *reference_shards; // owned, device, of the trained type; NULL until it is set
    Weights *reference;     // owned window
    // With an adapter:
    Weights *base; // frozen: borrowed, or owned when it is a window
    bool owns_base;
    const void *base_shards;  // borrowed, of the model's type; of a window
    Weights *policy_pairs;    // owned window beside `weights`; NULL where they are borrowed
    Weights *reference_pairs; // owned window beside `reference`
} Learner;

// Whether a learner rank without an engine holds an adapter's base packed: one that is alone would
// have all of it in its shards anyway.
bool learner_packs_base(int learner_ranks);

typedef struct {
    int64_t micro_batch_tokens;
    Weights *resident; // packed policy weights of this rank's engine; NULL: gather units
    // With an adapter, the frozen base: packed, or NULL and this rank's shards, to be gathered, in
    // the model's type.
    Weights *base;
    const void *base_shards;
    // Which ranks share the units, and which hold the same shards; NULL: all ranks share them.
    const Team *ranks;
    bool keeps_units; // gathered units stay until the weights change: not gathered again backwards
    Recompute recompute; // 0: nothing
    OptimizerForm optimizer;
} LearnerLayout;

// What [parallel] recompute keeps of the forward pass.
WorkspaceKind learner_workspace_kind(Recompute recompute);

// Makes the learner with zero weights; the caller fills optimizer.master (parameters_load, a
// checkpoint, parameters_start_adapter). Collective over group.
void learner_make(Learner *learner, const Model *model, const Group *group,
                  const Collective *collective, LearnerLayout layout);
void learner_free(Learner *learner);

// These shards [trained->local] become the reference, in the type that they are computed in.
void learner_set_reference(Learner *learner, const float *shards);

// The masters as they are now become the reference.
void learner_freeze_reference(Learner *learner);

// Packs the masters into resident weights again, for a further update of the same step. (After the
// last one, publication does it.) Collective over the group.
void learner_refresh(Learner *learner);

// The base without any adapter becomes the reference: what an adapter starts from. Takes no memory.
void learner_refer_to_base(Learner *learner);

typedef struct {
    const AlgorithmRow *algorithm;
    LossSettings loss;
    OptimizerSettings optimizer;
    double temperature;           // of the rollout; 1 where nothing is sampled
    int64_t passes, mini_batches; // updates of a step: every mini-batch, so many times
    NotFinite not_finite;         // skip an update whose gradient is not finite, or fail
} StepSettings;

// The trees of a step: the same list on every learner rank.
typedef struct {
    Tree *trees;
    int64_t count;
    int64_t step; // of the stage, from 0: the learning rate's
    bool stale;   // sampled from other weights than the present ones
} StepBatch;

// The updates of a step: advantages, then mini-batch by mini-batch. Sets actor/*, mismatch/*,
// policy/drift_* and learner/* metrics, the same on every rank. Returns -1 when a gradient's norm
// is not finite and not to be skipped: that update changed nothing. Collective over the group.
int learner_step(Learner *learner, const StepSettings *settings, const StepBatch *batch,
                 Metrics *metrics);

// Bytes of device memory a learner rank takes: sharded state (gradients with their windows),
// activations, windows of gathered units, the reference's shards and window, and an adapter's base
// as learner_packs_base says. The model's parameters say how many ranks share the units.
typedef struct {
    size_t masters, moments, gradients, activations, windows, reference, base;
} LearnerMemory;

typedef struct {
    int ranks; // of the learner group
    int64_t micro_batch_tokens;
    bool gathers;     // without an engine's resident weights
    bool keeps_units; // as in LearnerLayout
    Recompute recompute;
    bool reference; // one with shards
    ElementType moments;
} LearnerNeeds;

LearnerMemory learner_bytes(const Model *model, LearnerNeeds needs);

#endif
