// show_series.h - columns of a journal as series: means, the last values, bins for a picture.
//
// A series is values [rows] over steps [rows], NaN where a step has none; NULL is one of nothing.
// Steps rise, but the row of an evaluation made up for may repeat the step before it.

#ifndef L2A_TOOLS_SHOW_SERIES_H
#define L2A_TOOLS_SHOW_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "files/metrics_table.h"

enum { SERIES_WINDOW = 10 }; // steps that a mean of the newest is taken over

// The first row of the stage that the last step belongs to; 0 where no row names one. Rows of
// evaluations alone belong to none.
int64_t show_series_stage_begin(const MetricsTable *table);

// Whether a row is a step's: it has a time.
bool show_series_is_step(const MetricsTable *table, int64_t row);

// Rows of the first and the last step from row `from` on; -1: there is none.
int64_t show_series_first(const MetricsTable *table, int64_t from);
int64_t show_series_last(const MetricsTable *table, int64_t from);

// The row from which on there are `count` steps at most, none before `from`.
int64_t show_series_window(const MetricsTable *table, int64_t from, int64_t count);

// Over the values of rows [from, rows) that are there: NaN where there is none.
double show_series_mean(const MetricsTable *table, const char *name, int64_t from);
double show_series_sum(const MetricsTable *table, const char *name, int64_t from); // 0 of none
double show_series_at(const MetricsTable *table, const char *name, int64_t row);

// out [rows] = the mean of a value and those before it, `window` in all; NaN where there is no
// value.
void show_series_smooth(const double *values, int64_t rows, int window, double *out);

// out [bins] = the mean of the values with steps in each of `bins` equal parts of [first, last].
void show_series_bins(const int64_t *steps, const double *values, int64_t rows, int64_t first,
                      int64_t last, int bins, double *out);

// Smallest and largest of values [count]; false where all are NaN.
bool show_series_range(const double *values, int64_t count, double *low, double *high);

#endif
