// regular.h - regular files of outside origin: opened without waiting, read whole.
//
// Whatever a path leads to, a symbolic link included (model caches are made of them), must be a
// regular file: a FIFO would hang the job, a device never ends.

#ifndef L2A_BASE_REGULAR_H
#define L2A_BASE_REGULAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

// Opens for reading. Returns the descriptor, or -1: EXIT_NO_INPUT when the file is missing or not
// to be opened, EXIT_BAD_DATA when it is no regular file. `bytes` (may be NULL) receives its
// length.
int regular_open(const char *path, int64_t *bytes);

// Appends the whole file, of at most `limit` bytes, to `text`, which then ends in a 0 beyond its
// length. Also EXIT_BAD_DATA when it is larger, or shortened meanwhile; EXIT_NO_MEMORY.
int regular_read(const char *path, size_t limit, Bytes *text);

#endif
