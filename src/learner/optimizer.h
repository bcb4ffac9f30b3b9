// optimizer.h - AdamW over the shards, and the learning-rate schedule.
//
// Moments in bf16 are rounded at random (kernels.h) by draws of the update, the tensor and the
// element in it: the same on any number of ranks.

#ifndef L2A_LEARNER_OPTIMIZER_H
#define L2A_LEARNER_OPTIMIZER_H

#include "input/settings.h"
#include "learner/gradient.h"

typedef struct {
    double learning_rate, beta1, beta2, epsilon, max_gradient_norm;
    double weight_decay, vector_decay; // of matrices; of norms and biases
    Schedule schedule;
    int64_t warmup_steps, total_steps;
    double min_ratio; // of the learning rate at the schedule's end
    Draw rounding;    // of moments in bf16: the seed, and as `round` the stage
} OptimizerSettings;

// How weights and moments are kept.
typedef struct {
    ElementType moments;
    bool host; // in memory of the host that serves as the device's
} OptimizerForm;

typedef struct {
    float *master;   // owned, device or host [parameters->local]
    Moments moments; // owned, as the masters [parameters->local]
    OptimizerForm form;
    int64_t updates; // of this stage
} Optimizer;

void optimizer_make(Optimizer *optimizer, const Parameters *parameters, const Kernels *kernels,
                    OptimizerForm form);
void optimizer_free(Optimizer *optimizer, const Kernels *kernels);

// Moments to zero and the count of updates to 0: a new stage begins.
void optimizer_restart(Optimizer *optimizer, const Parameters *parameters, const Kernels *kernels);

// The learning rate of step `step` of the stage (from 0): linear warm-up, then the schedule.
double optimizer_rate(const OptimizerSettings *settings, int64_t step);

// One update at the learning rate `rate`. Returns the gradient's norm before clipping; a norm that
// is not finite changes nothing. Collective over the gradient's group.
double optimizer_step(Optimizer *optimizer, const OptimizerSettings *settings, double rate,
                      Gradient *gradient);

#endif
