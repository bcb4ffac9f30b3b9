// fit.h - on which GPUs a job fits, and what has to be set otherwise for that.
//
// What is given up is taken from a short list, the cheapest first: what costs time on one rank
// before what costs time between ranks or precision. Of placement = split the ranks keep the
// proportions of [parallel].

#ifndef L2A_TASKS_FIT_H
#define L2A_TASKS_FIT_H

#include "tasks/sizes.h"

typedef struct {
    const ModelShape *shape;
    const AdapterShape *adapter; // rank 0: there is none
    const Settings *settings;    // as the job is set
    bool reference;
    const Grading *grading; // borrowed; NULL: by rule
    size_t loaded;
    JobSizes demand; // of all engines together
} FitQuestion;

typedef struct {
    bool possible; // so many ranks can be divided among roles and engines
    bool fits;
    Settings settings; // what was given up is in it; borrows its texts
    RankKind kinds[RANK_KINDS];
    MemoryParts parts[RANK_KINDS];
    int kind_count;
    size_t most; // bytes of a GPU that the largest kind needs
} Fit;

// As the job is set, on so many GPUs of `bytes` each.
Fit fit_as_set(const FitQuestion *question, int gpus, size_t bytes);

// With as little given up as makes it fit; where nothing does, with all of it.
Fit fit_find(const FitQuestion *question, int gpus, size_t bytes);

// What was given up, in a few words: "t2 layer"; "as set" where nothing was, "-" where it does not
// fit.
void fit_describe(const FitQuestion *question, const Fit *fit, Bytes *out);

// What the words stand for.
typedef struct {
    const char *words, *setting;
} FitWord;

extern const FitWord fit_words[]; // ends with NULL

// What `check` says of GPUs of these sizes, in units of 10^9 bytes.
void fit_print(const FitQuestion *question, const double *gigabytes, int count, Bytes *out);

enum { FIT_MOST_GPUS = 64 };

#endif
