// figures.h - how benchmarks measure and what they print: repeated times, one head, one table,
// JSON.
//
// Both sides of a comparison take turns, so that whatever else the machine does meets both; a ratio
// is the median of the rounds' own ratios. What is timed was verified first: a figure of a wrong
// result does not exist.

#ifndef L2A_BENCHMARKS_FIGURES_H
#define L2A_BENCHMARKS_FIGURES_H

#include <stdbool.h>

#include <jansson.h>

enum { MOST_ROUNDS = 32 };

typedef struct {
    double least, middle, most; // the upper one of the two in the middle of an even count
} Times;

Times times_of(const double *values, int count); // count in [1, MOST_ROUNDS]

// What a contestant took in each round, and how much it did in it.
typedef struct {
    int count;
    double seconds[MOST_ROUNDS], amounts[MOST_ROUNDS];
} Series;

void series_add(Series *series, double seconds, double amount);

// One row of the table.
typedef struct {
    const char *what;       // "product_nt"
    const char *shape;      // of what size: "80 x 576 x 576 f32"
    const char *unit;       // of the rates, amount / seconds: "GB/s"
    const Series *ours;     // borrowed
    const char *peer;       // NULL: there is none
    const Series *theirs;   // borrowed; as many rounds of the same amounts
    const char *bound;      // what the ceiling is of: "memory read"
    double ceiling;         // the rate that this machine allows; 0: none is known
    const double *ceilings; // borrowed, in its place: that of each round, whose medians are told
} Figure;

typedef struct {
    const char *program; // borrowed
    const char *path;    // borrowed: where the JSON goes; NULL: nowhere
    bool quick;          // small sizes and few repetitions: whether it works, not how fast
    bool speaks;         // rank 0
    json_t *machine;     // owned: what all rows say of where they were measured
    json_t *rows;        // owned
} Figures;

// Takes --quick and --json FILE out of the arguments. Dies with EXIT_USAGE where the file is
// missing.
void figures_make(Figures *figures, int *argc, char **argv);

// Prints program, kernels, ranks, threads, processor and `libraries` ("oneDNN 2.6.3", or a line for
// each of several), and what the columns are. The file of --json is an empty
// array from here on: that of a run that fails holds no figures.
void figures_head(Figures *figures, int rank, int ranks, const char *libraries);

// Prints and keeps a row, on the rank that speaks.
void figures_add(Figures *figures, const Figure *figure);

// Writes the rows as a JSON array: an object each with what, shape, unit, figure, seconds [least,
// median, most], peer, peer_figure, peer_seconds, ratio (peer / ours in seconds), ceiling,
// ceiling_of, share (figure / ceiling; the median of the rounds), null where there is none; and
// program, version, kernels, threads, ranks, processor, libraries. Then frees all.
void figures_write(Figures *figures);

#endif
