#include "benchmarks/figures.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/version.h"
#include "files/atomic.h"
#include "kernels/kernels.h"

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

Times times_of(const double *values, int count)
{
    double sorted[MOST_ROUNDS];
    CHECK(count > 0 && count <= MOST_ROUNDS, "%d rounds", count);
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    return (Times){sorted[0], sorted[count / 2], sorted[count - 1]};
}

void series_add(Series *series, double seconds, double amount)
{
    CHECK(series->count < MOST_ROUNDS, "too many rounds");
    series->seconds[series->count] = seconds;
    series->amounts[series->count++] = amount;
}

// The median of the rounds' own quotients.
static double middle_quotient(const double *above, const double *below, int count)
{
    double quotients[MOST_ROUNDS];
    for (int i = 0; i < count; i++)
        quotients[i] = above[i] / below[i];
    return times_of(quotients, count).middle;
}

void figures_make(Figures *figures, int *argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    int kept = 1;
    json_set_alloc_funcs(memory_take, release);
    *figures = (Figures){.program = slash ? slash + 1 : argv[0], .rows = json_array()};
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            figures->quick = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            if (i + 1 == *argc)
                die(EXIT_USAGE, "%s: --json needs a file to write to", figures->program);
            figures->path = argv[++i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
}

static void read_processor(char *name, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        snprintf(name, size, "%s", value + 1 + strspn(value + 1, " \t"));
        name[strcspn(name, "\n")] = 0;
        break;
    }
    if (file)
        fclose(file);
}

// Lines become a list with commas, spaces in a row one.
static void join_lines(const char *lines, Bytes *out)
{
    for (const char *at = lines; *at; at++) {
        if (*at == '\n' && at[1])
            bytes_append_text(out, ", ");
        else if (*at != '\n' && (*at != ' ' || at[1] != ' '))
            bytes_append(out, at, 1);
    }
}

// The whole file in each case.
static void write_rows(const Figures *figures)
{
    if (!figures->speaks || !figures->path)
        return;
    Bytes text = {0};
    char *rows = json_dumps(figures->rows, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    bytes_print(&text, "%s\n", rows);
    if (atomic_write_file(figures->path, text.data, text.length) != 0)
        die_failed();
    bytes_free(&text);
    release(rows);
}

void figures_head(Figures *figures, int rank, int ranks, const char *libraries)
{
    char processor[256];
    Bytes version = {0}, joined = {0};
    join_lines(libraries, &joined);
    bytes_print(&version, "%s (%s, %s)", version_text, version_git, version_compiler);
    read_processor(processor, sizeof processor);
    figures->speaks = rank == 0;
    write_rows(figures); // none yet: a path that cannot be written is told now
    figures->machine =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s}", "program", figures->program, "version",
                  version.data, "kernels", kernels_cpu()->name, "threads", omp_get_max_threads(),
                  "ranks", ranks, "processor", processor, "libraries", joined.data);
    if (figures->speaks) {
        printf("%s %s, kernels %s, ranks %d, threads %d\n%s; %s\n", figures->program, version.data,
               kernels_cpu()->name, ranks, omp_get_max_threads(), processor, joined.data);
        if (figures->quick)
            printf("--quick: these figures say that it works, not how fast it is\n");
        printf("%-28s %-26s %9s %9s %9s %9s %-9s %9s %6s %9s %6s\n", "", "", "least ms", "median",
               "most", "", "", "peer", "ratio", "ceiling", "share");
        fflush(stdout);
    }
    bytes_free(&version);
    bytes_free(&joined);
}

// What a row says, in numbers; 0: it does not.
typedef struct {
    Times ours, theirs;
    double rate, peer_rate, ratio, ceiling, share;
} Values;

static Values values_of(const Figure *figure)
{
    const Series *ours = figure->ours, *theirs = figure->theirs;
    Values values = {.ours = times_of(ours->seconds, ours->count)};
    values.rate = middle_quotient(ours->amounts, ours->seconds, ours->count);
    values.ceiling = figure->ceiling;
    values.share = figure->ceiling > 0 ? values.rate / figure->ceiling : 0;
    if (figure->ceilings) {
        double rates[MOST_ROUNDS];
        for (int i = 0; i < ours->count; i++)
            rates[i] = ours->amounts[i] / ours->seconds[i];
        values.ceiling = times_of(figure->ceilings, ours->count).middle;
        values.share = middle_quotient(rates, figure->ceilings, ours->count);
    }
    if (theirs) {
        CHECK(theirs->count == ours->count, "%s: rounds without a peer", figure->what);
        values.theirs = times_of(theirs->seconds, theirs->count);
        values.peer_rate = middle_quotient(theirs->amounts, theirs->seconds, theirs->count);
        values.ratio = middle_quotient(theirs->seconds, ours->seconds, ours->count);
    }
    return values;
}

static void print_value(int width, double value)
{
    if (value > 0)
        printf(" %*.4g", width, value);
    else
        printf(" %*s", width, "-");
}

static void print_row(const Figure *figure, const Values *values)
{
    printf("%-28s %-26s %9.4g %9.4g %9.4g %9.4g %-9s", figure->what, figure->shape,
           1e3 * values->ours.least, 1e3 * values->ours.middle, 1e3 * values->ours.most,
           values->rate, figure->unit);
    print_value(9, values->peer_rate);
    print_value(6, values->ratio);
    print_value(9, values->ceiling);
    print_value(6, values->share);
    printf("%s%s%s%s\n", values->ceiling > 0 ? "  of " : "",
           values->ceiling > 0 ? figure->bound : "", figure->theirs ? "; " : "",
           figure->theirs ? figure->peer : "");
    fflush(stdout);
}

static json_t *real_or_null(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static json_t *json_times(Times times)
{
    return json_pack("[f, f, f]", times.least, times.middle, times.most);
}

void figures_add(Figures *figures, const Figure *figure)
{
    if (!figures->speaks)
        return;
    Values values = values_of(figure);
    print_row(figure, &values);
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:f, s:o, s:s?, s:o, s:o, s:o, s:o, s:s?, s:o}", "what",
                  figure->what, "shape", figure->shape, "unit", figure->unit, "figure", values.rate,
                  "seconds", json_times(values.ours), "peer", figure->theirs ? figure->peer : NULL,
                  "peer_figure", real_or_null(values.peer_rate), "peer_seconds",
                  figure->theirs ? json_times(values.theirs) : json_null(), "ratio",
                  real_or_null(values.ratio), "ceiling", real_or_null(values.ceiling), "ceiling_of",
                  values.ceiling > 0 ? figure->bound : NULL, "share", real_or_null(values.share));
    CHECK(row, "%s: a text is not UTF-8", figure->what);
    json_object_update_missing(row, figures->machine);
    json_array_append_new(figures->rows, row);
}

void figures_write(Figures *figures)
{
    write_rows(figures);
    json_decref(figures->rows);
    json_decref(figures->machine);
}
