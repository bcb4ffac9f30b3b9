#include "tools/show_chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/show_series.h"
#include "tools/show_text.h"

enum {
    DOTS_ACROSS = 2, // of a braille cell
    DOTS_DOWN = 4,
    LABEL_COLUMNS = 10, // left of a chart
    LEAST_COLUMNS = 8,
};

// Where a value lies in [low, high], from 0 to 1; the middle of a range without extent.
static double place_of(const ChartCurve *curve, double value)
{
    double extent = curve->high - curve->low;
    double place = extent > 0 && isfinite(extent) ? (value - curve->low) / extent : 0.5;
    return place < 0 ? 0 : place > 1 ? 1 : place;
}

static int bins_of(const ChartCurve *curve, int most)
{
    double steps = (double)curve->last - (double)curve->first + 1;
    return steps < most ? (int)steps : most;
}

void show_chart_spark(const ChartCurve *curve, int columns, Bytes *out)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    if (curve->rows == 0 || curve->last < curve->first || columns <= 0)
        return;
    int bins = bins_of(curve, columns);
    double *means = allocate((size_t)bins, sizeof *means);
    show_series_bins(curve->steps, curve->values, curve->rows, curve->first, curve->last, bins,
                     means);
    for (int b = 0; b < bins; b++)
        bytes_append_text(out, isfinite(means[b]) ? blocks[(int)(place_of(curve, means[b]) * 7.999)]
                                                  : " ");
    release(means);
}

typedef struct {
    uint8_t *cells; // owned [rows * columns]: a bit a dot
    int columns, rows;
} Canvas;

// Unicode's order of the dots of a cell.
static void set_dot(Canvas *canvas, int x, int y)
{
    static const uint8_t bits[DOTS_DOWN][DOTS_ACROSS] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int cell = y / DOTS_DOWN * canvas->columns + x / DOTS_ACROSS;
    canvas->cells[cell] = (uint8_t)(canvas->cells[cell] | bits[y % DOTS_DOWN][x % DOTS_ACROSS]);
}

// From (from_x, from_y) to (x, y), of which the former is left of the latter.
static void draw_line(Canvas *canvas, int from_x, int from_y, int x, int y)
{
    int across = x - from_x, down = y > from_y ? y - from_y : from_y - y;
    int dots = across > down ? across : down;
    for (int i = 1; i <= dots; i++)
        set_dot(canvas, from_x + (int)lround((double)across * i / dots),
                from_y + (int)lround((double)(y - from_y) * i / dots));
}

static void draw_curve(Canvas *canvas, const ChartCurve *curve)
{
    int width = canvas->columns * DOTS_ACROSS, height = canvas->rows * DOTS_DOWN;
    int bins = bins_of(curve, width), before = -1, before_y = 0;
    double *means = allocate((size_t)bins, sizeof *means);
    show_series_bins(curve->steps, curve->values, curve->rows, curve->first, curve->last, bins,
                     means);
    for (int b = 0; b < bins; b++) {
        if (!isfinite(means[b]))
            continue;
        int x = bins > 1 ? (int)((int64_t)b * (width - 1) / (bins - 1)) : 0;
        int y = (int)lround((1 - place_of(curve, means[b])) * (height - 1));
        if (before < 0)
            set_dot(canvas, x, y);
        else
            draw_line(canvas, before, before_y, x, y);
        before = x;
        before_y = y;
    }
    release(means);
}

static void print_canvas(const Canvas *canvas, const ChartCurve *curve, Bytes *out)
{
    for (int row = 0; row < canvas->rows; row++) {
        bool labelled = row == 0 || row == canvas->rows - 1;
        double value = row == 0 ? curve->high : curve->low;
        bytes_print(out, "%*s %s", LABEL_COLUMNS - 2, labelled ? show_text_number(value).text : "",
                    labelled ? "┤" : "│");
        for (int column = 0; column < canvas->columns; column++) {
            unsigned cell = canvas->cells[row * canvas->columns + column]; // U+2800 + cell
            char braille[4] = {(char)0xe2, (char)(0xa0 | cell >> 6), (char)(0x80 | (cell & 0x3f))};
            bytes_append_text(out, cell ? braille : " ");
        }
        while (out->data[out->length - 1] == ' ')
            out->data[--out->length] = 0;
        bytes_append_text(out, "\n");
    }
    char first[32], last[32];
    snprintf(first, sizeof first, "%lld", (long long)curve->first);
    snprintf(last, sizeof last, "%lld", (long long)curve->last);
    int between = canvas->columns - (int)strlen(first);
    bytes_print(out, "%*s%s%*s\n", LABEL_COLUMNS, "", first, between > 0 ? between : 0, last);
}

void show_chart_draw(const ChartCurve *curve, int columns, int rows, Bytes *out)
{
    columns -= LABEL_COLUMNS;
    Canvas canvas = {.columns = columns < LEAST_COLUMNS ? LEAST_COLUMNS : columns, .rows = rows};
    canvas.cells = allocate((size_t)canvas.columns * (size_t)canvas.rows, 1);
    if (curve->rows > 0 && curve->last >= curve->first)
        draw_curve(&canvas, curve);
    print_canvas(&canvas, curve, out);
    release(canvas.cells);
}
