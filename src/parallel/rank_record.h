// rank_record.h - the layout of what a rank notes about itself for all others; inside `parallel`
// only.
//
// One rank writes, others read at any time and without a lock: what they take for a hang has stood
// still for long.

#ifndef L2A_PARALLEL_RANK_RECORD_H
#define L2A_PARALLEL_RANK_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/activity.h"

enum {
    RECORD_GROUPS = 64,
    RECORD_CALLS = 64,
    RECORD_WHAT_BYTES = 32,
    RECORD_NAME_BYTES = 48,
    RECORD_HOST_BYTES = 64,
};

typedef struct {
    uint64_t id;      // the same on its members; 0: this entry is free
    int64_t sequence; // collectives that this rank has entered
    char name[RECORD_NAME_BYTES];
} RecordedGroup;

// Times are those of clock_nanoseconds on the rank's host; 0: not yet.
typedef struct {
    int64_t number; // among all calls of the rank, from 1
    uint64_t group;
    int64_t sequence; // among the group's collectives, from 1; 0: any member may end the wait
    int64_t bytes;    // the same on all members
    int64_t unit;     // of parameters; -1: of none
    int64_t entered, waited, left;
    int64_t outer;  // the call that was waited for when this one began to wait, or 0
    int32_t device; // a GPU's: the main thread watches over the wait
    char what[RECORD_WHAT_BYTES];
} RecordedCall;

typedef struct RankRecord {
    uint64_t job;   // the same on all ranks; 0: not yet valid
    int64_t origin; // the rank's clock at one moment that was the same for all of them
    int32_t rank, pid;
    char host[RECORD_HOST_BYTES];
    _Atomic int64_t beat;    // when the process last looked after itself
    _Atomic int64_t calls;   // made so far
    _Atomic int64_t waiting; // number of the innermost call that is waited for, or 0
    Activity activity;
    RecordedGroup groups[RECORD_GROUPS];
    RecordedCall ring[RECORD_CALLS]; // call n at n mod RECORD_CALLS
} RankRecord;

// NULL: that call is no longer, or not, in the ring.
const RecordedCall *rank_record_call(const RankRecord *record, int64_t number);
const RecordedCall *rank_record_waiting(const RankRecord *record);

// NULL: the rank is not in that group.
const RecordedGroup *rank_record_group(const RankRecord *record, uint64_t id);

// The group's collective of that number. NULL: not entered, or no longer in the ring.
const RecordedCall *rank_record_collective(const RankRecord *record, uint64_t id, int64_t sequence);

// When the rank last did anything that others could see; its clock.
int64_t rank_record_sign(const RankRecord *record);

#endif
