// clinic_best.h - the best that any policy can earn on the clinic's sessions.

#ifndef L2A_TOOLS_CLINIC_BEST_H
#define L2A_TOOLS_CLINIC_BEST_H

#include <stdint.h>

#include "dialogue/samples.h"

// Means over all samples of an oracle that knows the facts: it stops in the right rounds and
// otherwise asks for one that is still to be collected, whichever question scores best.
typedef struct {
    int64_t samples, continues;
    double content; // C over the continue samples
    double reward;  // A (1 + 2C) + F
} ClinicBest;

// Graded by the rule judge's own formula, with the stem weights of `training`.
ClinicBest clinic_best(const SampleSet *training, const SampleSet *set);

#endif
