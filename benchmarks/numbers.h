// numbers.h - numbers that benchmarks compute with: cheap, the same everywhere.

#ifndef L2A_BENCHMARKS_NUMBERS_H
#define L2A_BENCHMARKS_NUMBERS_H

#include "base/memory.h"

// `count` numbers uniform in [-0.5, 0.5), the same for the same seed; to be released.
static inline float *numbers_make(int64_t count, uint32_t seed)
{
    float *x = allocate((size_t)count, sizeof *x);
    uint32_t state = 12345 + 2654435761u * seed;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)((double)state / 4294967296.0 - 0.5);
    }
    return x;
}

#endif
