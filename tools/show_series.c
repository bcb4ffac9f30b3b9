#include "tools/show_series.h"

#include <math.h>

#include "base/memory.h"

bool show_series_is_step(const MetricsTable *table, int64_t row)
{
    const double *seconds = metrics_table_find(table, "perf/time_per_step");
    return row >= 0 && row < table->rows && seconds && !isnan(seconds[row]);
}

int64_t show_series_first(const MetricsTable *table, int64_t from)
{
    const double *seconds = metrics_table_find(table, "perf/time_per_step");
    for (int64_t row = from; row < table->rows && seconds; row++)
        if (!isnan(seconds[row]))
            return row;
    return -1;
}

int64_t show_series_last(const MetricsTable *table, int64_t from)
{
    const double *seconds = metrics_table_find(table, "perf/time_per_step");
    for (int64_t row = table->rows; row-- > from && seconds;)
        if (!isnan(seconds[row]))
            return row;
    return -1;
}

int64_t show_series_stage_begin(const MetricsTable *table)
{
    const double *stage = metrics_table_find(table, "stage");
    int64_t last = show_series_last(table, 0), begin = last;
    if (!stage || last < 0)
        return 0;
    for (int64_t row = last; row >= 0 && (isnan(stage[row]) || stage[row] == stage[last]); row--)
        begin = isnan(stage[row]) ? begin : row;
    return begin;
}

int64_t show_series_window(const MetricsTable *table, int64_t from, int64_t count)
{
    const double *seconds = metrics_table_find(table, "perf/time_per_step");
    int64_t begin = table->rows;
    while (begin > from && seconds && count > 0)
        count -= !isnan(seconds[--begin]);
    return begin;
}

static double total(const double *values, int64_t from, int64_t rows, double *count)
{
    double sum = 0;
    for (int64_t row = from; row < rows && values; row++) {
        if (isnan(values[row]))
            continue;
        sum += values[row];
        *count += 1;
    }
    return sum;
}

double show_series_mean(const MetricsTable *table, const char *name, int64_t from)
{
    double count = 0, sum = total(metrics_table_find(table, name), from, table->rows, &count);
    return count > 0 ? sum / count : NAN;
}

double show_series_sum(const MetricsTable *table, const char *name, int64_t from)
{
    double count = 0;
    return total(metrics_table_find(table, name), from, table->rows, &count);
}

double show_series_at(const MetricsTable *table, const char *name, int64_t row)
{
    const double *values = metrics_table_find(table, name);
    return values && row >= 0 && row < table->rows ? values[row] : NAN;
}

void show_series_smooth(const double *values, int64_t rows, int window, double *out)
{
    double *kept = allocate((size_t)window, sizeof *kept);
    int64_t seen = 0;
    for (int64_t row = 0; row < rows; row++) {
        out[row] = NAN;
        if (!values || isnan(values[row]))
            continue;
        kept[seen++ % window] = values[row];
        int64_t held = seen < window ? seen : window;
        double sum = 0;
        for (int64_t i = 0; i < held; i++)
            sum += kept[i];
        out[row] = sum / (double)held;
    }
    release(kept);
}

void show_series_bins(const int64_t *steps, const double *values, int64_t rows, int64_t first,
                      int64_t last, int bins, double *out)
{
    double *counts = allocate((size_t)bins, sizeof *counts);
    double span = (double)last - (double)first + 1;
    for (int b = 0; b < bins; b++)
        out[b] = 0;
    for (int64_t row = 0; row < rows && values; row++) {
        if (isnan(values[row]) || steps[row] < first || steps[row] > last)
            continue;
        int bin = (int)(((double)steps[row] - (double)first) / span * bins);
        bin = bin < bins ? bin : bins - 1;
        out[bin] += values[row];
        counts[bin] += 1;
    }
    for (int b = 0; b < bins; b++)
        out[b] = counts[b] > 0 ? out[b] / counts[b] : NAN;
    release(counts);
}

bool show_series_range(const double *values, int64_t count, double *low, double *high)
{
    bool any = false;
    for (int64_t i = 0; i < count && values; i++) {
        if (!isfinite(values[i]))
            continue;
        *low = !any || values[i] < *low ? values[i] : *low;
        *high = !any || values[i] > *high ? values[i] : *high;
        any = true;
    }
    return any;
}
