// hang.h - from the ranks' records to the rank that a job hangs on; inside `parallel` only.
//
// A rank holds others up that wait for it. It is lost when its process has ended, and when it has
// not given a sign of life for `limit` and does not wait, or waits for one that is lost. A rank
// that works for long, and says so, is not; nor are those that wait for it.

#ifndef L2A_PARALLEL_HANG_H
#define L2A_PARALLEL_HANG_H

#include <stdbool.h>

#include "base/memory.h"
#include "parallel/rank_record.h"

typedef enum {
    PROCESS_UNKNOWN, // on another host
    PROCESS_RUNS,
    PROCESS_STOPPED,
    PROCESS_GONE,
} ProcessState;

typedef struct {
    const RankRecord *record; // NULL: it cannot be read
    ProcessState process;
} WatchedRank;

typedef struct {
    const WatchedRank *ranks; // [size]
    int size, me;
    int64_t now;   // clock_nanoseconds, here
    int64_t limit; // nanoseconds
} Watch;

// Whether what this rank waits for will not come: `verdict` receives why, in one sentence with the
// rank at fault at its beginning. Else *again receives in how many nanoseconds it may be so.
bool hang_find(const Watch *watch, Bytes *verdict, int64_t *again);

// Whether members of the group that this rank waits in have entered different collectives there.
bool hang_find_mismatch(const Watch *watch, Bytes *verdict);

// What every rank does, and its last calls; some lines each.
void hang_print(const Watch *watch, Bytes *out);

#endif
