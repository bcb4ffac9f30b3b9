// cores.h - on which cores the ranks of a job may run, and whether their threads fit there.
//
// A launcher that binds each rank to one core makes its threads take turns there: a run is then as
// many times slower, and nothing else tells.

#ifndef L2A_PARALLEL_CORES_H
#define L2A_PARALLEL_CORES_H

#include "parallel/group.h"

enum { CORES_MOST = 1024, CORES_WORDS = CORES_MOST / 64 };

typedef struct {
    char host[64];
    int32_t threads, online;   // online: cores of the host
    uint64_t set[CORES_WORDS]; // bit i % 64 of word i / 64: core i; none: not known
} RankCores;

// How many threads a rank can have: its cores, shared with those ranks of the node that may run on
// one of them; at least 1. Collective over the node's ranks.
int cores_share(const Group *node);

// Every rank's, in rank order, on rank `root`, to be released; NULL on the others. Collective.
RankCores *cores_gather(const Group *group, int threads, int root);

// "vm: 2 ranks of 1 thread on 2 of 8 cores", host by host in the order of ranks, those alike
// together. `advice` stays empty, or says which rank has fewer cores than threads, and what to do.
void cores_describe(const RankCores *ranks, int count, Bytes *line, Bytes *advice);

#endif
