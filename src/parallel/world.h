// world.h - who does what: the ranks of the job, split into roles.
//
// `shared`: every rank has every role, in turn. `split`: ranks [0, R) roll out, the next G grade,
// the next L learn. A role with no ranks of its own is played by the rollout ranks (the rule judge
// needs no grader).

#ifndef L2A_PARALLEL_WORLD_H
#define L2A_PARALLEL_WORLD_H

#include <stdbool.h>

#include "parallel/group.h"

typedef enum { ROLE_ROLLOUT, ROLE_GRADER, ROLE_LEARNER, ROLE_COUNT } Role;

typedef struct {
    Group all;               // every rank of the job
    Group group[ROLE_COUNT]; // size 0 where this rank has not the role
    bool has[ROLE_COUNT];    // whether this rank has the role
    int count[ROLE_COUNT];   // ranks of each role
    int first[ROLE_COUNT];   // world rank of each role's leader
} World;

typedef struct {
    bool split;
    int rollout, grader, learner; // ranks of each, when split
} WorldPlan;

// Collective over all ranks. Fails (EXIT_BAD_SETTINGS) when the plan does not fit the job's size.
int world_make(World *world, WorldPlan plan);
void world_free(World *world);

// This rank speaks for the job: it writes the log and the journal (the learner's leader).
bool world_speaks(const World *world);

const char *role_name(Role role);

#endif
