// report_times.c - where the time of a run's steps went.

#include <string.h>

#include "tools/report_html.h"
#include "tools/report_parts.h"
#include "tools/show_series.h"

typedef struct {
    const char *name; // timing_s/NAME
    int depth;        // 1: a part of the last one of depth 0
    const char *words;
} Phase;

static const Phase phases[] = {
    {"gen", 0, "Sampling and judging responses"},
    {"gen_prefill", 1, "reading contexts"},
    {"gen_decode", 1, "writing responses"},
    {"reward", 1, "judging"},
    {"update_actor", 0, "Learning"},
    {"reference", 1, "the reference model"},
    {"forward", 1, "forward pass"},
    {"vocabulary", 1, "output layer and loss"},
    {"backward", 1, "backward pass"},
    {"optimizer", 1, "optimiser"},
    {"publish", 0, "Publishing weights"},
    {"evaluate", 0, "Evaluations"},
};

enum { PHASES = sizeof phases / sizeof *phases };

static void append_phase(const char *name, int depth, const char *words, double seconds,
                         double whole, Bytes *html)
{
    double share = whole > 0 ? 100 * seconds / whole : 0;
    bytes_print(html, "<tr class=\"depth%d\"><th scope=\"row\">", depth);
    report_html_text(html, words);
    bytes_append_text(html, *words ? " " : "");
    bytes_append_text(html, "<code>");
    report_html_text(html, name);
    bytes_append_text(html, "</code></th><td>");
    report_html_time(html, seconds);
    bytes_print(
        html,
        "</td><td>%.1f %%</td><td class=\"picture\"><svg viewBox=\"0 0 100 8\" width=\"100\" "
        "height=\"8\" aria-hidden=\"true\"><rect class=\"bar\" width=\"%.1f\" "
        "height=\"8\"/></svg></td></tr>\n",
        share, share < 100 ? share : 100);
}

static bool is_phase(const char *name)
{
    for (int p = 0; p < PHASES; p++)
        if (strcmp(name, phases[p].name) == 0)
            return true;
    return false;
}

// Timings that the list does not know.
static void append_others(const MetricsTable *table, double whole, Bytes *html)
{
    for (int64_t c = 0; c < table->count; c++) {
        const char *name = table->columns[c].name;
        if (strncmp(name, "timing_s/", 9) == 0 && !is_phase(name + 9))
            append_phase(name + 9, 1, "", show_series_sum(table, name, 0), whole, html);
    }
}

void report_times(const ShowRun *run, Bytes *html)
{
    const MetricsTable *table = &run->metrics;
    double steps = show_series_sum(table, "perf/time_per_step", 0);
    double evaluations = show_series_sum(table, "timing_s/evaluate", 0);
    double whole = steps + evaluations;
    if (whole <= 0) {
        bytes_append_text(html, "<p>The journal has no times.</p>\n");
        return;
    }
    bytes_append_text(html, "<table class=\"times\"><thead><tr><th scope=\"col\">phase</th>"
                            "<th scope=\"col\">time</th><th scope=\"col\">share</th>"
                            "<th class=\"picture\" aria-hidden=\"true\"></th></tr></thead>\n"
                            "<tbody>\n");
    for (int p = 0; p < PHASES; p++) {
        char name[64];
        snprintf(name, sizeof name, "timing_s/%s", phases[p].name);
        if (metrics_table_find(table, name))
            append_phase(phases[p].name, phases[p].depth, phases[p].words,
                         show_series_sum(table, name, 0), whole, html);
    }
    append_others(table, whole, html);
    bytes_append_text(html, "</tbody><tfoot><tr><th scope=\"row\">All steps and evaluations</th>"
                            "<td>");
    report_html_time(html, whole);
    bytes_append_text(html, "</td><td></td><td class=\"picture\"></td></tr></tfoot></table>\n");
}
