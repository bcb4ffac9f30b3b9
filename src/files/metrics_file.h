// metrics_file.h - metrics.h5: series over steps for HDF5 users, replaced whole.
//
// `/metrics/step` is int64 [rows]; each series is a float [rows] data set `/metrics/<name>` (a
// slash in a name makes groups) with NaN where a row has no value and the attributes unit,
// description and step_axis. The journal (files/journal.h) is the truth; this file is made from it.

#ifndef L2A_FILES_METRICS_FILE_H
#define L2A_FILES_METRICS_FILE_H

#include <stdint.h>

typedef struct {
    const char *name;
    const char *unit;        // may be NULL: "1"
    const char *description; // may be NULL: ""
    const double *values;    // [rows]
} MetricSeries;

// EXIT_CANNOT_CREATE or EXIT_CANNOT_WRITE; an older file is then unchanged.
int metrics_file_write(const char *path, const int64_t *steps, int64_t rows,
                       const MetricSeries *series, int64_t count);

// Gives unit and description of a series; may leave them.
typedef void MetricDescribe(const char *name, const char **unit, const char **description);

// The same from a journal (files/metrics_table.h). `describe` may be NULL. Fails as
// metrics_table_read does, too.
int metrics_file_rebuild(const char *journal_path, const char *path, MetricDescribe *describe);

#endif
