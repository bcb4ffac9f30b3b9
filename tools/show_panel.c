#include "tools/show_panel.h"

#include <math.h>
#include <string.h>

#include "tools/show_chart.h"
#include "tools/show_figures.h"
#include "tools/show_series.h"

enum { COLUMNS_MAXIMUM = 100, BAR_ENDS = 8 };

static void draw_bar(const ShowState *state, int columns, Bytes *out)
{
    double share = (double)state->done / (double)state->total;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    int width = columns - BAR_ENDS, full = (int)(width * share);
    bytes_append_text(out, "[");
    for (int i = 0; i < width; i++)
        bytes_append_text(out, i < full ? "█" : "░");
    bytes_print(out, "] %3.0f %%\n", floor(100 * share));
}

static void draw_curve(const MetricsTable *table, int columns, Bytes *out)
{
    const Figure *figure = show_figures_curve(table);
    int64_t begin = show_series_stage_begin(table), last = show_series_last(table, begin);
    const double *values = metrics_table_find(table, figure->name);
    double low, high;
    if (last < 0 || !values || !show_series_range(values + begin, table->rows - begin, &low, &high))
        return;
    Bytes label = {0};
    ChartCurve curve = {.steps = table->steps + begin,
                        .values = values + begin,
                        .rows = table->rows - begin,
                        .first = table->steps[begin],
                        .last = table->steps[last],
                        .low = low,
                        .high = high};
    bytes_print(&label, "%s %s to %s ", figure->label, show_text_number(low).text,
                show_text_number(high).text);
    bytes_append(out, label.data, label.length);
    show_chart_spark(&curve, columns - (int)label.length, out);
    bytes_append_text(out, "\n");
    bytes_free(&label);
}

static void draw_newest(const MetricsTable *table, Bytes *out)
{
    int64_t last = show_series_last(table, 0);
    if (last >= 0) {
        show_figures_line(table, last, out);
        bytes_append_text(out, "\n");
    }
    const double *rewards = metrics_table_find(table, "val/ave_total_reward");
    int64_t row = rewards ? table->rows - 1 : -1;
    while (row >= 0 && isnan(rewards[row]))
        row--;
    if (row >= 0)
        show_figures_evaluation(table, row, out);
}

// Lines of `text`, broken where they are too wide.
static void add_lines(const char *text, int columns, Bytes *out)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        Bytes line = {0};
        bytes_append(&line, text, length);
        show_text_wrap(out, line.data, 0, columns);
        text += length + (text[length] == '\n');
        bytes_free(&line);
    }
}

void show_panel_draw(const ShowRun *run, const ShowState *state, const Screen *screen, Bytes *out)
{
    int columns = screen->columns < COLUMNS_MAXIMUM ? screen->columns : COLUMNS_MAXIMUM;
    Bytes title = {0}, text = {0};
    ShowLog none = {.head = "", .end = ""}; // of a run under way it says nothing more
    bytes_append(&text, "", 0);
    show_text_line(&title, run->directory);
    bytes_append_text(&title, "\n");
    add_lines(title.data, columns, out);
    if (state->total > 0 && columns > BAR_ENDS)
        draw_bar(state, columns, out);
    draw_curve(&run->metrics, columns, out);
    draw_newest(&run->metrics, &text);
    if (state->kind == STATE_UNDER_WAY)
        show_state_print(state, run, &none, &text);
    add_lines(text.data, columns, out);
    bytes_free(&title);
    bytes_free(&text);
}
