// show_curves.h - a number of several runs as charts under one another, on the same axes.

#ifndef L2A_TOOLS_SHOW_CURVES_H
#define L2A_TOOLS_SHOW_CURVES_H

#include "tools/show_run.h"

typedef struct {
    int columns, rows; // of a chart; wider than SCREEN_COLUMNS it does not become
} CurvesSize;

// Appends a chart a run of the mean of the last ten values of `name`, called `label`; nothing where
// no run has any.
void show_curves_print(const ShowRun *runs, int count, const char *label, const char *name,
                       CurvesSize room, Bytes *out);

#endif
