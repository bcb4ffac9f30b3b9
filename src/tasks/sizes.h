// sizes.h - how large everything will be, known before the first step: what `check` prints and what
// the tasks allocate.

#ifndef L2A_TASKS_SIZES_H
#define L2A_TASKS_SIZES_H

#include "tasks/evaluation.h"
#include "tasks/stages.h"

// What all engines of a job need together. `stages` NULL: no training; `evaluation` NULL: none.
JobSizes sizes_demand(const Job *job, StagePlan *stages, const Evaluation *evaluation);

// What one of so many needs. The caches hold its share of the largest step with some slack, but no
// more than the limit, and always one trunk with one branch.
JobSizes sizes_share(const Settings *settings, JobSizes demand, int engines);

// Both in one.
JobSizes sizes_of(const Job *job, StagePlan *stages, const Evaluation *evaluation, int engines);

// Ranks that have the same roles, and need the same memory.
typedef struct {
    const char *name; // shared, rollout, grader, learner
    int ranks;
    bool rollout, grader, learner;
    int all, engines, learners; // of the whole job
} RankKind;

enum { RANK_KINDS = 3 };

// The kinds of so many ranks, in the order of ranks, of which placement = split has as many as
// [parallel] says. Returns how many kinds there are.
int sizes_kinds(const Settings *settings, int ranks, RankKind kinds[RANK_KINDS]);

// Of the host, where ranks compute on GPUs: the first three, and what [optimizer] memory puts
// there.
typedef enum {
    PART_PROGRAM,
    PART_MPI,
    PART_SNAPSHOT,
    PART_UNIT, // in which weights are published
    PART_WEIGHTS,
    PART_ADAPTER,
    PART_CACHES,
    PART_ENGINE,
    PART_SCORER,
    PART_MASTERS,
    PART_MOMENTS,
    PART_GRADIENTS,
    PART_ACTIVATIONS,
    PART_WINDOWS,
    PART_REFERENCE,
    PART_BASE,
    PART_PUBLISHED,
    PART_READING,
    PART_JUDGE,
    PART_SCRATCH,
    PART_DRIVER,
    PART_COUNT
} MemoryPart;

extern const char *const sizes_part_names[PART_COUNT];

typedef struct {
    size_t bytes[PART_COUNT];
    bool on_host[PART_COUNT]; // beside a GPU
    size_t total;             // of the memory that the rank computes in: the host's, or its GPU's
    size_t host;              // of the host's beside a GPU
} MemoryParts;

typedef struct {
    const ModelShape *shape;
    const AdapterShape *adapter; // rank 0: there is none
    const Settings *settings;
    JobSizes sizes;
    RankKind kind;
    bool reference;         // with shards of its own
    const Grading *grading; // borrowed; NULL: by rule
    size_t loaded;          // resident once the text side and the data sets were read, but for MPI
    bool gpu;               // the rank computes on one
} MemoryQuestion;

// Memory of a rank, part by part.
MemoryParts sizes_memory(const MemoryQuestion *question);

// Whether the rank keeps to [parallel] memory. EXIT_BAD_SETTINGS where it does not, with the
// largest micro-batches, and if need be caches, that do.
int sizes_check(const MemoryQuestion *question);

#endif
