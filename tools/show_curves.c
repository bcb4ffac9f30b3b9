#include "tools/show_curves.h"

#include <math.h>

#include "tools/show_chart.h"
#include "tools/show_series.h"
#include "tools/show_text.h"

// Makes the axes wide enough for a run, too.
static void widen(ChartCurve *axes, const ChartCurve *run, bool first)
{
    axes->first = first || run->first < axes->first ? run->first : axes->first;
    axes->last = first || run->last > axes->last ? run->last : axes->last;
    axes->low = first || run->low < axes->low ? run->low : axes->low;
    axes->high = first || run->high > axes->high ? run->high : axes->high;
}

// The smoothed curve of a run, its values to be released; false where it has none.
static bool take_curve(const ShowRun *run, const char *name, ChartCurve *curve)
{
    const MetricsTable *table = &run->metrics;
    double *smooth = allocate((size_t)table->rows, sizeof *smooth);
    show_series_smooth(metrics_table_find(table, name), table->rows, SERIES_WINDOW, smooth);
    *curve = (ChartCurve){.steps = table->steps, .values = smooth, .rows = table->rows};
    bool any = show_series_range(smooth, table->rows, &curve->low, &curve->high);
    for (int64_t row = 0, found = 0; row < table->rows; row++) {
        if (isnan(smooth[row]))
            continue;
        curve->first = found++ == 0 ? table->steps[row] : curve->first;
        curve->last = table->steps[row];
    }
    return any;
}

void show_curves_print(const ShowRun *runs, int count, const char *label, const char *name,
                       CurvesSize room, Bytes *out)
{
    ChartCurve axes = {0}, *curves = allocate((size_t)count, sizeof *curves);
    int found = 0, columns = room.columns < SCREEN_COLUMNS ? room.columns : SCREEN_COLUMNS;
    for (int r = 0; r < count; r++)
        if (take_curve(&runs[r], name, &curves[r]))
            widen(&axes, &curves[r], found++ == 0);
    // What changes by less than a twentieth of itself is drawn as flat as it is.
    double size = fmax(fabs(axes.low), fabs(axes.high)) / 20;
    axes.low = axes.high - axes.low < size ? axes.high - size : axes.low;
    for (int r = 0; r < count && found > 0; r++) {
        ChartCurve curve = axes;
        curve.steps = curves[r].steps;
        curve.values = curves[r].values;
        curve.rows = curves[r].rows;
        bytes_append_text(out, "\n");
        show_text_line(out, label);
        bytes_append_text(out, " (mean of ten), ");
        show_text_line(out, runs[r].directory);
        bytes_append_text(out, "\n");
        show_chart_draw(&curve, columns, room.rows, out);
    }
    for (int r = 0; r < count; r++)
        release((void *)(uintptr_t)curves[r].values);
    release(curves);
}
