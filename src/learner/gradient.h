// gradient.h - unit gradients from this rank's rows into the shards of a group of ranks.
//
// A unit's gradient is added up in a full buffer while its rows run, then reduce-scattered onto the
// shards in rank order, while the next unit is computed. Where several groups hold the same shards
// (hybrid sharding), their sums are added up once, behind the last micro-batch. With one rank in
// the group the shard is the buffer. The norm's parts are taken as units come to their end.

#ifndef L2A_LEARNER_GRADIENT_H
#define L2A_LEARNER_GRADIENT_H

#include "model/model.h"
#include "parallel/collective.h"
#include "parallel/team.h"

enum { GRADIENT_WINDOWS = 4 }; // embedding, two layers, the output

typedef struct {
    const Parameters *parameters; // borrowed
    const Kernels *kernels;
    const Collective *collective;
    const Team *ranks;                // borrowed: `inside` share the units, `across` hold the same
    float *shards;                    // owned, device [parameters->local]
    float *windows[GRADIENT_WINDOWS]; // owned, device; NULL with one rank in the group
    bool open[GRADIENT_WINDOWS];
    float *scratch;  // owned, device
    float *spare;    // owned, device; of the sums over groups
    double *squares; // owned, device: sum of squares of each unit's shard
    bool last;       // the micro-batch under way is the last of the update
    int64_t moving;  // unit that is being reduce-scattered; -1: none
    Transfer transfer;
} Gradient;

void gradient_make(Gradient *gradient, const Parameters *parameters, const Kernels *kernels,
                   const Collective *collective, const Team *ranks);
void gradient_free(Gradient *gradient);

void gradient_clear(Gradient *gradient); // shards to zero, before an update

// Before each micro-batch of an update: whether it is the last one.
void gradient_begin(Gradient *gradient, bool last);

// Where model_vocabulary and model_backward put gradients. Ending a unit is collective.
GradientSink gradient_sink(Gradient *gradient);

// After the last micro-batch: the shards are those of the whole update. Returns the norm of the
// whole gradient. Collective over all ranks of the teams.
double gradient_finish(Gradient *gradient);

size_t gradient_bytes(const Parameters *parameters, int replicas);

#endif
