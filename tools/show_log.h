// show_log.h - what a run's log.txt says of the last start: its head, and how it ended.

#ifndef L2A_TOOLS_SHOW_LOG_H
#define L2A_TOOLS_SHOW_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

enum { SHOW_LOG_BYTES = 16 << 20 }; // of the end of a log that are read

typedef struct {
    Bytes text;       // owned; the end of the log
    const char *head; // borrowed: where the last start's lines begin; "" where that is not there
    const char *end;  // borrowed: the last line
} ShowLog;

// Where there is no log, or none that can be read, nothing is known.
void show_log_open(ShowLog *log, const char *directory);
void show_log_close(ShowLog *log);

// Appends what the head's line "NAME     ..." says; false, and nothing, where there is none.
bool show_log_field(const ShowLog *log, const char *name, Bytes *out);

// The number of ranks of the last start; 0: unknown.
int64_t show_log_ranks(const ShowLog *log);

// Whether the last start did all there was to do; whether it ended in good order before, and then
// why ("signal USR1"), appended.
bool show_log_finished(const ShowLog *log);
bool show_log_stopped(const ShowLog *log, Bytes *reason);

// The line "stopped early: ..." of the last start, appended; false where there is none.
bool show_log_early(const ShowLog *log, Bytes *out);

#endif
