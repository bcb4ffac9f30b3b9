// checked.h - what can be known of a run without running it: `check` prints it, `job` asks for it.
//
// No MPI, and no GPU. Every fault that can be found is printed on standard error.

#ifndef L2A_TASKS_CHECKED_H
#define L2A_TASKS_CHECKED_H

#include "tasks/extraction.h"
#include "tasks/sizes.h"

typedef struct {
    const Settings *settings;
    Job job; // text side only
    bool has_model, trains, evaluates, prepares;
    PreparedSet prepared;
    Answerer extractor;
    Dataset dataset;
    StagePlan stages[STAGE_COUNT];
    Evaluation evaluation;
    size_t loaded; // memory_peak once all was read
    int faults;    // that were printed
} Checked;

void checked_open(Checked *checked, const Settings *settings);
void checked_close(Checked *checked);

Reference checked_reference(const Checked *checked);

// The smallest number of ranks that training can have; of placement = split the only one.
int checked_least_ranks(const Checked *checked);

JobSizes checked_demand(Checked *checked);

// What memory a rank needs; `gpu`: one that computes on one. It borrows from `checked`.
MemoryQuestion checked_question(Checked *checked, const RankKind *kind, bool gpu);

#endif
