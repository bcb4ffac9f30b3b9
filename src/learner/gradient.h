// gradient.h - unit gradients from this rank's rows into the learner group's shards.
//
// A unit's gradient is added up in a full buffer while its rows run, then reduce-scattered onto the
// shards in rank order. With one learner rank the shard is the buffer.

#ifndef L2A_LEARNER_GRADIENT_H
#define L2A_LEARNER_GRADIENT_H

#include "model/model.h"
#include "parallel/collective.h"

enum { GRADIENT_WINDOWS = 3 }; // embedding, a layer, the output

typedef struct {
    const Parameters *parameters; // borrowed
    const Kernels *kernels;
    const Collective *collective;
    const Group *group;
    float *shards;                    // owned, device [parameters->local]
    float *windows[GRADIENT_WINDOWS]; // owned, device; NULL with one rank
    bool open[GRADIENT_WINDOWS];
    float *scratch; // owned, device
} Gradient;

void gradient_make(Gradient *gradient, const Parameters *parameters, const Kernels *kernels,
                   const Collective *collective, const Group *group);
void gradient_free(Gradient *gradient);

void gradient_clear(Gradient *gradient); // shards to zero, before a step

// Where model_vocabulary and model_backward put gradients. Ending a unit is collective.
GradientSink gradient_sink(Gradient *gradient);

// Norm of the whole gradient. Collective over the group.
double gradient_norm(const Gradient *gradient);

size_t gradient_bytes(const Parameters *parameters, int ranks);

#endif
