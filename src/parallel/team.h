// team.h - consecutive ranks of a role that work as one: an engine whose layers are cut.
//
// Work is divided over teams, not ranks. Every rank of a team comes to the same result; its first
// one tells it.

#ifndef L2A_PARALLEL_TEAM_H
#define L2A_PARALLEL_TEAM_H

#include <stdbool.h>

#include "parallel/group.h"

typedef struct {
    Group inside; // the ranks of this rank's team; size 0: in none
    Group across; // the ranks in its place of every team: the team's number is `rank` of `size`
} Team;

// Cuts the group into teams of `ranks`; a group of size 0 gives no team. Fails (EXIT_BAD_SETTINGS)
// on all of its ranks alike where they do not come out even; `setting` then names what asked for
// it. Collective over group.
int team_make(Team *team, const Group *group, int ranks, const char *setting);
void team_free(Team *team); // also one that was never made

// This rank tells what its team found.
bool team_leads(const Team *team);

#endif
