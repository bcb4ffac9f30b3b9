// interval.h - bootstrap intervals of 95 %.

#ifndef L2A_REWARD_INTERVAL_H
#define L2A_REWARD_INTERVAL_H

#include <stdint.h>

typedef struct {
    double low, high;
} Interval;

// The 2.5 % and 97.5 % percentiles, between neighbours by their distance, of `means` [count >= 1],
// which are sorted.
Interval interval_of(double *means, int64_t count);

// The percentile bootstrap of the mean of values [count >= 1], resampled by group: groups[i] is the
// group of value i; equal ones need not stand together. The same input gives the same bits.
Interval interval_of_mean(const double *values, const int64_t *groups, int64_t count,
                          uint64_t seed);

#endif
