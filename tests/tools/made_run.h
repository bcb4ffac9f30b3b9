// made_run.h - run directories made up for tests, in the scratch directory.

#ifndef L2A_TESTS_TOOLS_MADE_RUN_H
#define L2A_TESTS_TOOLS_MADE_RUN_H

#include <stdint.h>

#include "base/memory.h"

// Makes the directory with a run.ini of these lines.
void made_run_begin(const char *run, const char *settings);

// "RUN/FILE" in the scratch directory, of this text.
void made_run_file(const char *run, const char *file, const char *text);

// Appends the line of a step to a journal, with its stage, a time of two seconds, and `more`:
// further members of the object, each behind a comma.
void made_run_step(Bytes *journal, int64_t step, int stage, const char *more);

// The line of the lock of a process on a host; NULL: on this one.
void made_run_lock(const char *run, const char *host, long pid);

// The number of a process that there is not.
long made_run_no_process(void);

#endif
