// recorder.h - notes every wait of this rank for others, where all of them can read it.
//
// A flight recorder: the last calls of each rank in a ring, with the group, its count of
// collectives, and when the call was entered, waited for and left. From recorder_open on it lies in
// a mapped file of the rank's, DIRECTORY/rank-NNNNNN, which the kernel keeps when the rank is
// stopped or dies. parallel/watchdog.h reads them. A call costs some 100 ns. Of the main thread
// alone.

#ifndef L2A_PARALLEL_RECORDER_H
#define L2A_PARALLEL_RECORDER_H

#include <stdint.h>

#include "parallel/group.h"

// Makes the directory and the files anew, collective over `all`, the job's ranks. Where that cannot
// be done rank 0 warns, and each rank keeps its notes for itself.
void recorder_open(const Group *all, const char *directory);

// Removes them: the job ends in good order. Does nothing where none is open. Collective over the
// same ranks.
void recorder_close(const Group *all);

// NULL: none is open. Borrowed until recorder_close.
const char *recorder_directory(void);

// What this rank has noted, for parallel/watchdog.h. Borrowed until recorder_open or
// recorder_close.
struct RankRecord *recorder_own(void);

// A new group, whose collectives are counted from here on; its number on this rank, or 0 where it
// has one rank and waits for nobody. Collective over it; `name` is copied.
int recorder_add_group(MPI_Comm comm, int size, const char *name);
void recorder_drop_group(int group); // 0 is fine

// Calls are numbered from 1; 0 stands for one that is not recorded.
//
// The next collective of a group; `bytes` and `what` are the same on its members, `what` stays the
// caller's.
int64_t recorder_enter(int group, const char *what, int64_t bytes);

// Enters what any other member of the group can end: the wait for a letter.
int64_t recorder_enter_any(int group, const char *what);

void recorder_wait(int64_t call);        // from here on the rank waits for it
void recorder_wait_device(int64_t call); // its GPU does; the caller calls watchdog_look meanwhile
void recorder_leave(int64_t call);       // it is over, waited for or not

// Collectives that are entered from now on are those of this unit of the parameters; -1: of none.
void recorder_set_unit(int64_t unit);

#endif
