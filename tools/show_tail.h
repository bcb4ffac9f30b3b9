// show_tail.h - a journal as it grows: only what was appended since the last look is read.
//
// A line counts once its newline is there and it is JSON: over NFS the size of a file may be seen
// before its bytes are, which read as zeros until then. A start that goes on from a checkpoint cuts
// the journal back (files/journal.h) and writes on: then it is read anew, from its beginning.

#ifndef L2A_TOOLS_SHOW_TAIL_H
#define L2A_TOOLS_SHOW_TAIL_H

#include <stdbool.h>

#include "base/memory.h"
#include "files/metrics_table.h"

typedef struct {
    char *path;         // owned
    MetricsTable table; // of what was read; level
    int64_t offset;     // where the next line begins
    Bytes mark;         // owned; the last line that was read, with its newline: it is there still
    int64_t bytes;      // that were read in all, marks left out: for tests
    int refused;        // looks in a row at which the next line was no JSON
} ShowTail;

enum { TAIL_PATIENCE = 20 }; // looks until a whole line that is no JSON is a failure

void show_tail_open(ShowTail *tail, const char *directory);
void show_tail_close(ShowTail *tail);

// Reads what is new. 0, or -1: EXIT_BAD_DATA. A journal that is not there, not yet or not any more,
// is an empty one. *anew: it was cut, and the table is another one.
int show_tail_look(ShowTail *tail, bool *anew);

#endif
