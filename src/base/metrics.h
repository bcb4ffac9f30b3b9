// metrics.h - an ordered list of named numbers: one line of a run's journal.

#ifndef L2A_BASE_METRICS_H
#define L2A_BASE_METRICS_H

#include <stdint.h>

#include "base/memory.h"

typedef struct {
    char name[64];
    double value;
} Metric;

typedef struct {
    Metric *list; // owned
    int64_t count;
    size_t capacity;
} Metrics;

// Sets or replaces.
void metrics_set(Metrics *metrics, const char *name, double value);

// NaN when there is none of this name.
double metrics_get(const Metrics *metrics, const char *name);

// Appends {"name":value,...} as one JSON object; NaN and infinities become null. Seven digits, a
// float's, and four of what is measured with a clock: a long run's journal is not to fill a disk.
void metrics_print_json(const Metrics *metrics, Bytes *out);

void metrics_clear(Metrics *metrics);
void metrics_free(Metrics *metrics);

#endif
