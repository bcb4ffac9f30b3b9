// metric_names.h - every metric there is: its name, unit and meaning, once.
//
// Names are those of verl where it has one. README's chapter, the attributes in metrics.h5 and what
// l2a-show says come from this table; what a run notes under another name is a bug.

#ifndef L2A_BASE_METRIC_NAMES_H
#define L2A_BASE_METRIC_NAMES_H

#include "base/memory.h"

typedef struct {
    const char *name, *unit; // unit "1": a plain number
    const char *description;
} MetricName;

extern const MetricName metric_names[]; // ends with a NULL name

// NULL where there is none of this name.
const MetricName *metric_names_find(const char *name);

// Unit and description as files/metrics_file.h asks for them; those of an unknown name stay.
void metric_names_describe(const char *name, const char **unit, const char **description);

// README's chapter.
void metric_names_print_markdown(Bytes *out);

#endif
