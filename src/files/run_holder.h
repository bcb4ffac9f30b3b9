// run_holder.h - who works on a run: the one line of RUN/lock, "host=NAME pid=N job=ID@CLUSTER".
//
// The file is empty while nobody does. How it is taken and given back is store/run_lock.h's.

#ifndef L2A_FILES_RUN_HOLDER_H
#define L2A_FILES_RUN_HOLDER_H

#include <stdbool.h>

#include "base/memory.h"

enum { RUN_HOLDER_BYTES = 400 }; // of the line

typedef struct {
    char host[128], job[96]; // job "none": it is no batch job
    long pid;
} RunHolder;

// Appends the line.
void run_holder_print(const RunHolder *holder, Bytes *line);

// False where the text names nobody.
bool run_holder_parse(const char *text, RunHolder *holder);

// Of a run's directory; false where nobody has the run.
bool run_holder_read(const char *directory, RunHolder *holder);

#endif
