// wall_time.h - when a run must have ended, and what still fits in front of that.
//
// Nobody knows how long the next step will take: the longest of its kind so far is a guess, and so
// a fifth is added to it, half to a checkpoint (file systems are shared), and a minute for all
// ranks to end and the job script to say its last words. A first checkpoint is taken to be written
// at 250 MB/s.

#ifndef L2A_TASKS_WALL_TIME_H
#define L2A_TASKS_WALL_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

typedef enum { WORK_STEP, WORK_EVALUATION, WORK_CHECKPOINT, WORK_COUNT } Work;

typedef struct {
    double end;                 // a moment of clock_now; INFINITY: never
    const char *set_by;         // "run.max_hours" or "the batch job"
    double longest[WORK_COUNT]; // of this start, in seconds; 0: none yet
    double first_checkpoint;    // how long one is taken to last until one has been written
} WallTime;

// The earlier of two ends: `max_hours` (0: none) after `started`, and what the batch system leaves
// at `now`, `seconds_left` (INFINITY or NAN: no end that is known). `bytes`: of a checkpoint.
WallTime wall_time_make(double started, double max_hours, double now, double seconds_left,
                        int64_t bytes);

void wall_time_took(WallTime *wall_time, Work work, double seconds);

// Seconds from the beginning of this work, a step or an evaluation or both, until the run has saved
// its state and ended.
double wall_time_need(const WallTime *wall_time, bool step, bool evaluation);

// Appends "h:mm:ss".
void wall_time_print(double seconds, Bytes *text);

#endif
