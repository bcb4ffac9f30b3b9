// show_chart.h - curves as text: sparklines of blocks, charts of braille dots.

#ifndef L2A_TOOLS_SHOW_CHART_H
#define L2A_TOOLS_SHOW_CHART_H

#include <stdint.h>

#include "base/memory.h"

// A curve, and the axes that it is drawn on: others may share them.
typedef struct {
    const int64_t *steps;
    const double *values; // [rows]
    int64_t rows;
    int64_t first, last; // of the steps
    double low, high;    // of the values; equal ones are spread by the chart
} ChartCurve;

// Appends one line of at most `columns` blocks, as many as there are steps; a blank where there is
// no value.
void show_chart_spark(const ChartCurve *curve, int columns, Bytes *out);

// Appends `rows` lines of `columns` in all, with both axes' ends.
void show_chart_draw(const ChartCurve *curve, int columns, int rows, Bytes *out);

#endif
