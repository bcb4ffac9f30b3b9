// schedule.h - which contexts make up which step.
//
// Whole sessions in an order shuffled by seed and epoch, until a batch has its number of contexts;
// a session that does not fit is cut, its rest opens the next batch; an epoch's last batch may be
// short. Contexts of a session stay together because they share their trunk.

#ifndef L2A_TASKS_SCHEDULE_H
#define L2A_TASKS_SCHEDULE_H

#include "tasks/dataset.h"

// The contexts of one session that a step uses: they become one tree.
typedef struct {
    const int64_t *samples; // borrowed: indices into the sample set, contexts growing
    int64_t count;
} SessionPart;

typedef struct {
    const Dataset *dataset; // borrowed
    uint64_t seed;
    uint32_t stage; // shuffles of different stages differ
    bool keep_sessions;
    int64_t batch_contexts;
    int64_t steps_per_epoch;
    int64_t epoch;      // whose order is held; -1: none
    int64_t *order;     // owned: usable samples in the epoch's order
    SessionPart *parts; // owned: of the step last asked for
    int64_t part_count;
    int64_t *others; // owned: samples of the parts of schedule_others; NULL until needed
} SessionSchedule;

typedef struct {
    uint64_t seed;
    uint32_t stage;
    bool keep_sessions;
    int64_t batch_contexts;
} ScheduleOptions;

void schedule_make(SessionSchedule *schedule, const Dataset *dataset, ScheduleOptions options);
void schedule_free(SessionSchedule *schedule);

// Fills schedule->parts with the contexts of `step` (from 0, through all epochs).
void schedule_step(SessionSchedule *schedule, int64_t step);

// Fills schedule->parts with about `count` contexts that `step` does not use already (`used` says
// of every sample, and is brought up to date): whole sessions in an order of their own for the step
// and `round`. None is left: no parts.
void schedule_others(SessionSchedule *schedule, int64_t step, int64_t round, int64_t count,
                     bool *used);

// All usable contexts in file order, at most `limit` (0: all), cut at whole sessions.
void schedule_all(SessionSchedule *schedule, int64_t limit);

#endif
