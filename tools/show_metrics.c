// show_metrics.c - l2a-show metrics: a run's journal as a table for other programs.

#include <math.h>
#include <stdio.h>

#include "base/metric_names.h"
#include "tools/show_commands.h"
#include "tools/show_run.h"
#include "tools/show_text.h"

static void print_names(const MetricsTable *table, Bytes *out)
{
    for (int64_t i = 0; i < table->count; i++) {
        const char *unit = "", *description = "";
        metric_names_describe(table->columns[i].name, &unit, &description);
        show_text_line(out, table->columns[i].name);
        bytes_print(out, "\t%s\t%s\n", unit, description);
    }
}

// As the journal has them: 17 digits, so that equal text means equal bits.
static void print_rows(const MetricsTable *table, const double *const *columns, int64_t count,
                       Bytes *out)
{
    for (int64_t row = 0; row < table->rows; row++) {
        char text[40];
        int length = snprintf(text, sizeof text, "%lld", (long long)table->steps[row]);
        bytes_append(out, text, (size_t)length);
        for (int64_t i = 0; i < count; i++) {
            double value = columns[i][row];
            length = isnan(value) ? snprintf(text, sizeof text, "\tnan")
                                  : snprintf(text, sizeof text, "\t%.17g", value);
            bytes_append(out, text, (size_t)length);
        }
        bytes_append_text(out, "\n");
    }
}

static int print_table(const ShowRun *run, const ShowArguments *arguments, Bytes *out)
{
    const MetricsTable *table = &run->metrics;
    bool all = arguments->operand_count == 1;
    int64_t count = all ? table->count : arguments->operand_count - 1;
    const double **columns = allocate((size_t)count, sizeof *columns);
    int status = 0;
    bytes_append_text(out, "step");
    for (int64_t i = 0; i < count && status == 0; i++) {
        const char *name = all ? table->columns[i].name : arguments->operands[i + 1];
        status = show_run_find(run, name, &columns[i]);
        bytes_append_text(out, "\t");
        show_text_line(out, name);
    }
    bytes_append_text(out, "\n");
    if (status == 0)
        print_rows(table, columns, count, out);
    else
        bytes_clear(out);
    release(columns);
    return status;
}

int show_metrics(const ShowArguments *arguments, Bytes *out)
{
    ShowRun run;
    if (show_run_open(&run, arguments->operands[0]) != 0)
        return -1;
    int status = 0;
    if (arguments->names)
        print_names(&run.metrics, out);
    else
        status = print_table(&run, arguments, out);
    show_run_close(&run);
    return status;
}
