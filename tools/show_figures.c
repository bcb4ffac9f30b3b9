#include "tools/show_figures.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "tools/show_series.h"
#include "tools/show_text.h"

enum { LABEL_COLUMNS = 14, FIGURE_COLUMNS = 8 };

static const Figure reward = {"reward", "critic/rewards/mean"};
static const Figure loss = {"loss", "actor/pg_loss"};

// The most telling ones first: a narrow screen has no room for the last.
static const Figure of_rewards[] = {
    {"reward", "critic/rewards/mean"},
    {"decision", "reward/decision"},
    {"content", "reward/content"},
    {"format", "reward/format"},
    {"length", "response_length/mean"},
    {"entropy", "actor/entropy"},
    {"gradient", "actor/grad_norm"},
    {"kl", "actor/kl"},
    {"flat", "reward/flat_groups"},
    {"cut off", "response_length/clip_ratio"},
    {"rate", "actor/lr"},
    {"gap", "mismatch/logprob_gap_max"},
};
static const Figure of_losses[] = {
    {"loss", "actor/pg_loss"},    {"accuracy", "dpo/accuracy"},    {"margin", "dpo/margin"},
    {"entropy", "actor/entropy"}, {"gradient", "actor/grad_norm"}, {"rate", "actor/lr"},
};

int show_figures_of(const MetricsTable *table, int64_t row, Figure figures[FIGURES_MAXIMUM])
{
    bool rewarded = !isnan(show_series_at(table, reward.name, row));
    const Figure *list = rewarded ? of_rewards : of_losses;
    size_t all =
        rewarded ? sizeof of_rewards / sizeof *of_rewards : sizeof of_losses / sizeof *of_losses;
    int count = 0;
    for (size_t i = 0; i < all; i++)
        if (!isnan(show_series_at(table, list[i].name, row)))
            figures[count++] = list[i];
    return count;
}

void show_figures_line(const MetricsTable *table, int64_t row, Bytes *out)
{
    Figure figures[FIGURES_MAXIMUM];
    int count = show_figures_of(table, row, figures);
    for (int i = 0; i < count; i++)
        bytes_print(out, "%s%s %s", i > 0 ? "  " : "", figures[i].label,
                    show_text_number(show_series_at(table, figures[i].name, row)).text);
}

void show_figures_evaluation(const MetricsTable *table, int64_t row, Bytes *out)
{
    double value = show_series_at(table, "val/ave_total_reward", row);
    if (isnan(value))
        return;
    bytes_print(out, "evaluation at step %lld: reward %s  decision %s  content %s  format %s\n",
                (long long)table->steps[row], show_text_number(value).text,
                show_text_number(show_series_at(table, "val/ave_total_decision", row)).text,
                show_text_number(show_series_at(table, "val/ave_continue_content", row)).text,
                show_text_number(show_series_at(table, "val/ave_total_format", row)).text);
}

static void print_row(const char *label, const double *values, int count, Bytes *out)
{
    bytes_print(out, "%-*s", LABEL_COLUMNS, label);
    for (int i = 0; i < count; i++)
        bytes_print(out, " %*s", FIGURE_COLUMNS, show_text_number(values[i]).text);
    bytes_append_text(out, "\n");
}

void show_figures_table(const MetricsTable *table, int64_t first, int64_t last, int64_t window,
                        int columns, Bytes *out)
{
    Figure figures[FIGURES_MAXIMUM];
    double at_first[FIGURES_MAXIMUM], at_last[FIGURES_MAXIMUM], mean[FIGURES_MAXIMUM];
    char label[32];
    int count = show_figures_of(table, last, figures);
    int fit = (columns - LABEL_COLUMNS) / (FIGURE_COLUMNS + 1);
    count = fit < count ? fit : count;
    bytes_print(out, "%-*s", LABEL_COLUMNS, "");
    for (int i = 0; i < count; i++) {
        bytes_print(out, " %*s", FIGURE_COLUMNS, figures[i].label);
        at_first[i] = show_series_at(table, figures[i].name, first);
        at_last[i] = show_series_at(table, figures[i].name, last);
        mean[i] = show_series_mean(table, figures[i].name, window);
    }
    bytes_append_text(out, "\n");
    snprintf(label, sizeof label, "step %lld", (long long)table->steps[first]);
    if (first != last)
        print_row(label, at_first, count, out);
    snprintf(label, sizeof label, "step %lld", (long long)table->steps[last]);
    print_row(label, at_last, count, out);
    if (first < window)
        print_row("mean of ten", mean, count, out);
}

const Figure *show_figures_curve(const MetricsTable *table)
{
    return metrics_table_find(table, reward.name) ? &reward : &loss;
}
