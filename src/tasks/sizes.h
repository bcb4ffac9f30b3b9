// sizes.h - how large everything will be, known before the first step: what `check` prints and what
// the tasks allocate.

#ifndef L2A_TASKS_SIZES_H
#define L2A_TASKS_SIZES_H

#include "tasks/evaluation.h"
#include "tasks/stages.h"

// For training: `stages` NULL: no training. For evaluation: `evaluation` NULL: none. `engines`:
// how many share the work.
JobSizes sizes_of(const Job *job, StagePlan *stages, const Evaluation *evaluation, int engines);

enum { MEMORY_PARTS = 16 };

typedef struct {
    const char *names[MEMORY_PARTS];
    size_t bytes[MEMORY_PARTS];
    int count;
    size_t total;
} MemoryParts;

typedef struct {
    const ModelShape *shape;
    const AdapterShape *adapter; // rank 0: there is none
    const Settings *settings;
    JobSizes sizes;
    bool rollout, learner, grader; // roles of the rank
    int learners;
    bool reference;         // with shards of its own
    const Grading *grading; // borrowed
    size_t loaded;          // resident once the text side and the data sets were read
} MemoryQuestion;

// Memory of a rank, part by part.
MemoryParts sizes_memory(const MemoryQuestion *question);

#endif
