// median.h - the figure that benchmarks take of repeated times.

#ifndef L2A_BENCHMARKS_MEDIAN_H
#define L2A_BENCHMARKS_MEDIAN_H

#include <stddef.h>
#include <stdlib.h>

static inline int median_order(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

// Sorts values [count]; the upper one of the two in the middle of an even count.
static inline double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, median_order);
    return values[count / 2];
}

#endif
