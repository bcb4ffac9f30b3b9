// raw.h - plain files by descriptor: whole reads and writes at an offset, with clear messages.
//
// Interrupted and short transfers are carried on. `path` only serves the messages.

#ifndef L2A_FILES_RAW_H
#define L2A_FILES_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "files/stored_type.h"

// Reads exactly [offset, offset + bytes). A file that ends before is EXIT_BAD_DATA (it was
// shortened), an I/O error EXIT_NO_INPUT. Thread-safe.
int raw_read_at(int descriptor, const char *path, void *out, size_t bytes, int64_t offset);

// out [count] = elements of type F32, BF16 or F16 that begin at `offset`. Thread-safe.
int raw_read_f32(int descriptor, const char *path, StoredType type, int64_t offset, int64_t count,
                 float *out);

// Writes exactly [offset, offset + bytes); EXIT_CANNOT_WRITE, a full disk is named. Thread-safe.
int raw_write_at(int descriptor, const char *path, const void *data, size_t bytes, int64_t offset);

// fsync; EXIT_CANNOT_WRITE.
int raw_sync(int descriptor, const char *path);

// Records why a write-like call failed, from errno: "cannot <verb> <path>: <reason>"; a full disk
// or quota says what to do. Returns -1.
int raw_fail_write(const char *verb, const char *path);

#endif
