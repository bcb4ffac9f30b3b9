// phases.h - where the time of a run went: seconds of each rank by phase, and which group waited.

#ifndef L2A_TASKS_PHASES_H
#define L2A_TASKS_PHASES_H

#include "base/memory.h"
#include "input/settings.h"
#include "parallel/world.h"

// In the order of the table; what is indented there is part of the one above it.
typedef enum {
    PHASE_GEN,
    PHASE_PREFILL,
    PHASE_DECODE,
    PHASE_REWARD,
    PHASE_JUDGE,
    PHASE_UPDATE,
    PHASE_REFERENCE,
    PHASE_FORWARD,
    PHASE_VOCABULARY,
    PHASE_BACKWARD,
    PHASE_OPTIMIZER,
    PHASE_PUBLISH,
    PHASE_EVALUATE,
    PHASE_CHECKPOINT,
    PHASE_COUNT
} Phase;

// This rank's, of this start of the program.
typedef struct {
    double seconds[PHASE_COUNT];
    double times[PHASE_COUNT]; // how often
} Phases;

void phases_add(Phases *phases, Phase phase, double seconds);

// Appends a table (how often, share of `wall`, least, mean and most of the ranks that had a part),
// how long rollout, grader and learner ranks had nothing to do, and what could be done about it.
// Collective over world->all; the text is the same on every rank.
void phases_print(const Phases *phases, const World *world, const Settings *settings, double wall,
                  Bytes *text);

#endif
