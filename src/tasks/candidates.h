// candidates.h - the prompts that calibrate chooses from.

#ifndef L2A_TASKS_CANDIDATES_H
#define L2A_TASKS_CANDIDATES_H

#include "input/settings.h"
#include "parallel/backend.h"

typedef struct {
    char *path;   // owned
    char *prompt; // owned
} Candidate;

typedef struct {
    Candidate *list; // owned
    int64_t count;
    size_t capacity;
} CandidateList;

// Those of the directory, in the order of their names, then `proposals` that the proposer writes
// after them; these are kept as OUTPUT.proposal-NNN.txt. A judge's prompts are checked. Collective.
int candidates_open(CandidateList *list, const Group *group, const Settings *settings,
                    const Backend *backend);
void candidates_close(CandidateList *list);

#endif
