// show_run.h - a run's directory as its readers see it, while it goes on or after.
//
// Nothing is locked or written: what a live run appends meanwhile is not seen.

#ifndef L2A_TOOLS_SHOW_RUN_H
#define L2A_TOOLS_SHOW_RUN_H

#include <stdbool.h>

#include "files/metrics_table.h"
#include "files/progress.h"
#include "input/settings.h"
#include "reward/evaluation_result.h"

enum { SHOW_EVALUATIONS = 3 };

typedef struct {
    const char *directory; // borrowed
    Settings settings;     // of run.ini; paths in it are relative to where the run was started
    MetricsTable metrics;
    Progress progress;
    int evaluation_count; // of those there are, in the order of the run
    const char *evaluation_names[SHOW_EVALUATIONS];
    EvaluationResult evaluations[SHOW_EVALUATIONS];
    bool held; // a job has the run's lock, or left it behind
} ShowRun;

// EXIT_NO_INPUT where it is no run's directory, EXIT_BAD_DATA. A run that has done no step yet is
// one of no rows.
int show_run_open(ShowRun *run, const char *directory);
// The same without what grows: the journal and the evaluations.
int show_run_open_head(ShowRun *run, const char *directory);
// The column called `name`. EXIT_USAGE, with the nearest name, where the journal has none.
int show_run_find(const ShowRun *run, const char *name, const double **values);

void show_run_close(ShowRun *run);

#endif
