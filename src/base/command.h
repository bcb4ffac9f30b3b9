// command.h - another program: run without a shell, for so long at most, in a process group of its
// own, with nothing of ours open but two pipes.

#ifndef L2A_BASE_COMMAND_H
#define L2A_BASE_COMMAND_H

#include "base/memory.h"

typedef struct {
    char *const *words;       // NULL-terminated; the first one is sought in PATH
    const char *const *keeps; // names of environment variables that go on to it; NULL-terminated
    double timeout;           // seconds
    size_t max_bytes;         // of what it writes; one that writes more is ended
} Command;

typedef enum {
    COMMAND_ENDED,       // by itself
    COMMAND_NOT_STARTED, // there is no such program, or no process to be had
    COMMAND_LATE,        // it took longer than `timeout`
    COMMAND_CUT,         // it wrote more than `max_bytes`
} CommandEnd;

// Gives it `input`, appends what it writes to standard output to `output` (more than max_bytes
// where it was cut), and ends all that is left of its process group. `*status` is that of wait(2),
// where it ended by itself.
CommandEnd command_run(const Command *command, const Bytes *input, Bytes *output, int *status);

#endif
