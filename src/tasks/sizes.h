// sizes.h - how large everything will be, known before the first step: what `check` prints and what
// the tasks allocate.

#ifndef L2A_TASKS_SIZES_H
#define L2A_TASKS_SIZES_H

#include "tasks/evaluation.h"
#include "tasks/stages.h"

// For training: `stages` NULL: no training. For evaluation: `evaluation` NULL: none. `engines`:
// how many share the work.
JobSizes sizes_of(const Job *job, StagePlan *stages, const Evaluation *evaluation, int engines);

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
    size_t total; // of the memory that the rank computes in: the host's, or its GPU's
    size_t host;  // beside a GPU
} MemoryParts;

typedef struct {
    const ModelShape *shape;
    const AdapterShape *adapter; // rank 0: there is none
    const Settings *settings;
    JobSizes sizes;
    bool rollout, learner, grader; // roles of the rank
    int learners;
    bool reference;         // with shards of its own
    const Grading *grading; // borrowed; of a grader
    size_t loaded;          // resident once the text side and the data sets were read
    bool gpu;               // the rank computes on a GPU, among `ranks`
    int ranks;
} MemoryQuestion;

// Whether a part lies in the host's memory beside a GPU.
bool sizes_part_is_host(const MemoryQuestion *question, MemoryPart part);

// Memory of a rank, part by part.
MemoryParts sizes_memory(const MemoryQuestion *question);

#endif
