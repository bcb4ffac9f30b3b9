// show_figures.h - the handful of numbers that a step is told by.

#ifndef L2A_TOOLS_SHOW_FIGURES_H
#define L2A_TOOLS_SHOW_FIGURES_H

#include <stdbool.h>

#include "base/memory.h"
#include "files/metrics_table.h"

enum { FIGURES_MAXIMUM = 16 };

typedef struct {
    const char *label, *name; // "reward", "critic/rewards/mean"
} Figure;

// Those that the journal has in row `row`, in their order; how many.
int show_figures_of(const MetricsTable *table, int64_t row, Figure figures[FIGURES_MAXIMUM]);

// "reward 3.941 decision 1 content 0.971 ...", appended.
void show_figures_line(const MetricsTable *table, int64_t row, Bytes *out);

// "evaluation at step 1632: reward 3.807 ..." and a newline, where the row has an evaluation.
void show_figures_evaluation(const MetricsTable *table, int64_t row, Bytes *out);

// A table, appended: the figures of row `last` that fit in so many columns, at rows `first` and
// `last` and in the mean from row `window` on.
void show_figures_table(const MetricsTable *table, int64_t first, int64_t last, int64_t window,
                        int columns, Bytes *out);

// What a run is best followed by: "critic/rewards/mean" where there are rewards, else "actor/pg_loss".
const Figure *show_figures_curve(const MetricsTable *table);

#endif
