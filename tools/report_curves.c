// report_curves.c - the journal's columns for the page's script.
//
// {"warmup": last step of the warm-up or null, "curves": [...], "axes": [...]}. A curve with up to
// EXACT values has them all: {"name", "axis", "mean"}. A longer one is cut into at most BINS bins
// of "per" values each, of which the smallest, the mean and the largest are kept: {"name", "axis",
// "mean", "low", "high"}. One that never changes is {"name", "axis", "constant"}. An axis has the
// bins' first steps, {"steps", "per", "count" of values}, and their last ones, "last", where a bin
// is more than a value.

#include <math.h>
#include <stdio.h>

#include "input/jsonl.h"
#include "tools/report_parts.h"

enum { BINS = 1000, EXACT = 3 * BINS };

typedef struct {
    int64_t count;
    double *values;    // owned; those that a column has
    int64_t *steps;    // owned; theirs
    int64_t per, bins; // values of a bin, the last of which may have fewer
    double low, high;  // of all values
} Curve;

typedef struct {
    const MetricsTable *table;
    const double **columns; // owned; of each axis one that has it
    int64_t count;
} Axes;

static Curve curve_make(const MetricsTable *table, const double *column)
{
    Curve curve = {.values = allocate((size_t)table->rows, sizeof *curve.values),
                   .steps = allocate((size_t)table->rows, sizeof *curve.steps),
                   .low = INFINITY,
                   .high = -INFINITY};
    for (int64_t i = 0; i < table->rows; i++) {
        if (!isfinite(column[i]))
            continue;
        curve.values[curve.count] = column[i];
        curve.steps[curve.count++] = table->steps[i];
        curve.low = fmin(curve.low, column[i]);
        curve.high = fmax(curve.high, column[i]);
    }
    curve.per = curve.count <= EXACT ? 1 : (curve.count + BINS - 1) / BINS;
    curve.bins = (curve.count + curve.per - 1) / curve.per;
    return curve;
}

static void curve_free(Curve *curve)
{
    release(curve->values);
    release(curve->steps);
}

// One behind the last value of a bin.
static int64_t bin_end(const Curve *curve, int64_t bin)
{
    int64_t end = (bin + 1) * curve->per;
    return end < curve->count ? end : curve->count;
}

static double bin_mean(const Curve *curve, int64_t bin)
{
    double sum = 0;
    for (int64_t i = bin * curve->per; i < bin_end(curve, bin); i++)
        sum += curve->values[i];
    return sum / (double)(bin_end(curve, bin) - bin * curve->per);
}

static double bin_low(const Curve *curve, int64_t bin)
{
    double low = INFINITY;
    for (int64_t i = bin * curve->per; i < bin_end(curve, bin); i++)
        low = fmin(low, curve->values[i]);
    return low;
}

static double bin_high(const Curve *curve, int64_t bin)
{
    double high = -INFINITY;
    for (int64_t i = bin * curve->per; i < bin_end(curve, bin); i++)
        high = fmax(high, curve->values[i]);
    return high;
}

static void append_bins(const Curve *curve, const char *name, double of(const Curve *, int64_t),
                        Bytes *json)
{
    char text[32];
    bytes_print(json, ",\"%s\":[", name);
    for (int64_t bin = 0; bin < curve->bins; bin++) {
        int length = snprintf(text, sizeof text, "%s%.6g", bin > 0 ? "," : "", of(curve, bin));
        bytes_append(json, text, (size_t)length);
    }
    bytes_append_text(json, "]");
}

static void append_axis(const Curve *curve, Bytes *json)
{
    bytes_append_text(json, "{\"steps\":[");
    for (int64_t bin = 0; bin < curve->bins; bin++)
        bytes_print(json, "%s%lld", bin > 0 ? "," : "", (long long)curve->steps[bin * curve->per]);
    for (int64_t bin = 0; curve->per > 1 && bin < curve->bins; bin++)
        bytes_print(json, "%s%lld", bin > 0 ? "," : "],\"last\":[",
                    (long long)curve->steps[bin_end(curve, bin) - 1]);
    bytes_print(json, "],\"per\":%lld,\"count\":%lld}", (long long)curve->per,
                (long long)curve->count);
}

static bool has_same_steps(const MetricsTable *table, const double *a, const double *b)
{
    for (int64_t i = 0; i < table->rows; i++)
        if (!isfinite(a[i]) != !isfinite(b[i]))
            return false;
    return true;
}

static int64_t axis_of(Axes *axes, const double *column)
{
    for (int64_t axis = 0; axis < axes->count; axis++)
        if (has_same_steps(axes->table, axes->columns[axis], column))
            return axis;
    axes->columns[axes->count] = column;
    return axes->count++;
}

// Appends nothing where the column has no value.
static void append_curve(Axes *axes, const MetricsColumn *column, const char *comma, Bytes *json)
{
    Curve curve = curve_make(axes->table, column->values);
    if (curve.count > 0) {
        bytes_print(json, "%s{\"name\":", comma);
        jsonl_append_string(json, column->name);
        bytes_print(json, ",\"axis\":%lld", (long long)axis_of(axes, column->values));
        if (curve.low == curve.high) {
            bytes_print(json, ",\"constant\":%.6g", curve.low);
        } else {
            append_bins(&curve, "mean", bin_mean, json);
            if (curve.per > 1) {
                append_bins(&curve, "low", bin_low, json);
                append_bins(&curve, "high", bin_high, json);
            }
        }
        bytes_append_text(json, "}");
    }
    curve_free(&curve);
}

// The last step of the warm-up; -1 where the run has none, or nothing else.
static int64_t warmup_end(const MetricsTable *table)
{
    const double *stage = metrics_table_find(table, "stage");
    int64_t end = -1;
    bool more = false;
    for (int64_t i = 0; stage && i < table->rows; i++) {
        end = stage[i] == 0 ? table->steps[i] : end;
        more |= stage[i] > 0;
    }
    return more ? end : -1;
}

void report_curves(const ShowRun *run, Bytes *json)
{
    const MetricsTable *table = &run->metrics;
    Axes axes = {.table = table, .columns = allocate((size_t)table->count, sizeof *axes.columns)};
    int64_t warmup = warmup_end(table);
    bytes_append_text(json, "{\"warmup\":");
    if (warmup >= 0)
        bytes_print(json, "%lld", (long long)warmup);
    else
        bytes_append_text(json, "null");
    bytes_append_text(json, ",\"curves\":[");
    size_t opened = json->length;
    for (int64_t c = 0; c < table->count; c++)
        append_curve(&axes, &table->columns[c], json->length > opened ? ",\n" : "\n", json);
    bytes_append_text(json, "],\n\"axes\":[");
    for (int64_t axis = 0; axis < axes.count; axis++) {
        Curve curve = curve_make(table, axes.columns[axis]);
        bytes_append_text(json, axis > 0 ? ",\n" : "\n");
        append_axis(&curve, json);
        curve_free(&curve);
    }
    bytes_append_text(json, "]}");
    release(axes.columns);
}
