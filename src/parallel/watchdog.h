// watchdog.h - ends a job that hangs, with one message that names the rank.
//
// A thread of each rank sees when the main thread has waited for others for longer than the
// deadline (parallel/deadline.h), reads what all ranks have noted (parallel/recorder.h) and judges
// (hang.h). The first to find the job lost says so and ends it (EXIT_UNAVAILABLE); what every rank
// did is then in DIRECTORY/verdict. While the one that others wait for gets on, nothing happens. A
// job of one rank needs none of this.

#ifndef L2A_PARALLEL_WATCHDOG_H
#define L2A_PARALLEL_WATCHDOG_H

#include "parallel/group.h"

// Opens the records in a directory that it makes, and begins to watch. NULL: a temporary one, which
// for a job of several nodes lies where it was started. Collective over `all`, the job's ranks.
void watchdog_open(const Group *all, const char *directory);
void watchdog_close(const Group *all); // removes the directory; one that was not opened is fine

// For who waits for a GPU (recorder_wait_device), now and then; cheap until the deadline has
// passed. `end` is called before the job is ended.
void watchdog_look(void (*end)(void));

// Puts what the records say of a collective that failed behind the text: whether ranks entered
// different ones.
void watchdog_explain(Bytes *text);

#endif
