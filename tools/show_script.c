#include "tools/show_script.h"

#include <math.h>

#include "tools/show_series.h"
#include "tools/show_text.h"

enum { COLOURS = 8, SHAPES = 5 };

// Of a run's mean of ten, of its steps.
static const char *const dark[COLOURS] = {"#1f4e79", "#b35806", "#2d7d46", "#7b3294",
                                          "#a50f15", "#4d4d4d", "#7f6000", "#c51b8a"};
static const char *const light[COLOURS] = {"#b9cde0", "#f0cba4", "#b5d9c0", "#d8bfe0",
                                           "#eeb4b6", "#cccccc", "#e0d5a8", "#f2b8dd"};

// Of the points of a run: disc, square, triangles, diamond.
static const int shapes[SHAPES] = {7, 5, 9, 11, 13};

// Between single quotes gnuplot takes all but a quote, which is doubled, and a line's end as it is.
static void append_quoted(const char *text, Bytes *out)
{
    Bytes clean = {0};
    show_text_line(&clean, text);
    bytes_append_text(out, "'");
    for (const char *c = clean.data; *c; c++)
        bytes_print(out, *c == '\'' ? "''" : "%c", *c);
    bytes_append_text(out, "'");
    bytes_free(&clean);
}

static void append_number(double value, Bytes *out)
{
    if (isfinite(value))
        bytes_print(out, " %.9g", value);
    else
        bytes_append_text(out, " nan");
}

// The block $data_RUN_PANEL: step, value, mean of ten, evaluation.
static void print_data(const ShowRun *run, const ScriptPanel *panel, int r, int p, Bytes *out)
{
    const MetricsTable *table = &run->metrics;
    const double *values = metrics_table_find(table, panel->name);
    const double *points = panel->evaluation ? metrics_table_find(table, panel->evaluation) : NULL;
    double *smooth = allocate((size_t)table->rows, sizeof *smooth);
    show_series_smooth(values, table->rows, SERIES_WINDOW, smooth);
    bytes_print(out, "$data_%d_%d << END\n", r, p);
    for (int64_t row = 0; row < table->rows; row++) {
        double value = values ? values[row] : NAN, point = points ? points[row] : NAN;
        if (isnan(value) && isnan(point))
            continue;
        bytes_print(out, "%lld", (long long)table->steps[row]);
        append_number(value, out);
        append_number(smooth[row], out);
        append_number(point, out);
        bytes_append_text(out, "\n");
    }
    bytes_append_text(out, "END\n");
    release(smooth);
}

static bool has(const ShowRun *run, const char *name)
{
    double low, high;
    const double *values = name ? metrics_table_find(&run->metrics, name) : NULL;
    return show_series_range(values, run->metrics.rows, &low, &high);
}

// The steps that have values of any panel in any run, and the one before: evaluations of a warm-up
// would leave no room for what came behind it.
static void print_range(const ShowRun *runs, int run_count, const ScriptPanel *panels,
                        int panel_count, Bytes *out)
{
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (int r = 0; r < run_count; r++) {
        const MetricsTable *table = &runs[r].metrics;
        for (int p = 0; p < panel_count; p++) {
            const double *values = metrics_table_find(table, panels[p].name);
            for (int64_t row = 0; row < table->rows && values; row++) {
                if (isnan(values[row]))
                    continue;
                first = table->steps[row] < first ? table->steps[row] : first;
                last = table->steps[row] > last ? table->steps[row] : last;
            }
        }
    }
    if (first <= last)
        bytes_print(out, "set xrange [%.17g:%.17g]\n", (double)first - 1, (double)last);
}

// A curve of a plot command, the `drawn`-th.
static void print_curve(const char *form, const char *title, int *drawn, Bytes *out)
{
    bytes_print(out, "%s %s title ", (*drawn)++ == 0 ? "plot" : ", \\\n    ", form);
    append_quoted(title, out);
}

static void print_panel(const ShowRun *runs, int run_count, const ScriptPanel *panel, int p,
                        Bytes *out)
{
    int drawn = 0;
    bool one = run_count == 1;
    bytes_append_text(out, "set title ");
    append_quoted(panel->title, out);
    bytes_append_text(out, panel->from_zero ? "\nset yrange [0:*]\n" : "\nset yrange [*:*]\n");
    for (int r = 0; r < run_count; r++) {
        Bytes form = {0};
        bytes_print(&form, "$data_%d_%d using 1:2 with lines lc rgb '%s'", r, p,
                    one ? "#bbbbbb" : light[r % COLOURS]);
        if (has(&runs[r], panel->name))
            print_curve(form.data, one ? "step" : "", &drawn, out);
        bytes_free(&form);
    }
    for (int r = 0; r < run_count; r++) {
        Bytes mean = {0}, points = {0};
        bytes_print(&mean, "$data_%d_%d using 1:3 with lines lw 2 lc rgb '%s'", r, p,
                    dark[r % COLOURS]);
        bytes_print(&points, "$data_%d_%d using 1:4 with points pt %d lc rgb '%s'", r, p,
                    shapes[r % SHAPES], one ? "#c0392b" : dark[r % COLOURS]);
        if (has(&runs[r], panel->name))
            print_curve(mean.data, one ? "mean of ten" : runs[r].directory, &drawn, out);
        if (has(&runs[r], panel->evaluation))
            print_curve(points.data, one ? "evaluation" : "", &drawn, out);
        bytes_free(&mean);
        bytes_free(&points);
    }
    // A panel of nothing keeps its place.
    bytes_append_text(out, drawn > 0 ? "\n" : "set multiplot next\n");
}

void show_script_print(const ShowRun *runs, int run_count, const ScriptPanel *panels,
                       int panel_count, bool svg, Bytes *out)
{
    for (int r = 0; r < run_count; r++)
        for (int p = 0; p < panel_count; p++)
            print_data(&runs[r], &panels[p], r, p, out);
    bytes_print(out, "set terminal %s size 1200,%d noenhanced font ',11'\n",
                svg ? "svg" : "pngcairo", panel_count > 2 ? 800 : 450);
    bytes_append_text(out, "set datafile missing 'nan'\nset grid lc rgb '#dddddd'\n"
                           "set xlabel 'step'\nset key bottom right\n");
    print_range(runs, run_count, panels, panel_count, out);
    bytes_print(out, "set multiplot layout %d,%d title ", panel_count > 2 ? 2 : 1,
                panel_count > 1 ? 2 : 1);
    append_quoted(run_count == 1 ? runs[0].directory : "", out);
    bytes_append_text(out, "\n");
    for (int p = 0; p < panel_count; p++)
        print_panel(runs, run_count, &panels[p], p, out);
    bytes_append_text(out, "unset multiplot\n");
}
