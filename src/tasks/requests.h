// requests.h - who may ask a run to save its state or to stop: a signal, the file STOP, the clock.
//
// USR2 asks for a checkpoint, USR1 for a checkpoint and the end, TERM for the same in a hurry; a
// second TERM ends the rank at once. Signals reach ranks at different moments, and one rank alone
// looks at file and clock: what is done is agreed between steps (training_request).

#ifndef L2A_TASKS_REQUESTS_H
#define L2A_TASKS_REQUESTS_H

#include "input/settings.h"
#include "tasks/wall_time.h"

typedef enum { // the more urgent, the later
    REQUEST_NONE,
    REQUEST_CHECKPOINT,
    REQUEST_STOP,  // once the step and its evaluation are done
    REQUEST_HURRY, // once the step is done
} Request;

typedef struct {
    char *file; // owned: RUN/STOP; NULL on ranks that look at their own signals only
    WallTime wall_time;
    bool file_asks;
    Bytes reason; // of the first request to stop that this rank saw
} Requests;

// Of the whole process.
void requests_catch_signals(void);

// On the rank that looks at file and clock. `started`: the moment of clock_now that max_hours
// counts from; `bytes`: of a checkpoint. Asks the batch system for the job's end.
void requests_open(Requests *requests, const Settings *settings, double started, int64_t bytes);
void requests_close(Requests *requests);

// What this rank was asked for, before a step or an evaluation or both (or neither) is begun. Where
// time is too short, an evaluation is left out first.
Request requests_look(Requests *requests, bool step, bool evaluation);

// A checkpoint has been written: who asked for one has his answer.
void requests_answer_checkpoint(void);

#endif
