// hdf5.h - the one door to HDF5: one thread at a time, silent, and reasons as text.
//
// Debian's HDF5 is not thread-safe and prints its error stack; a full disk makes its exit handler
// crash, and so does any call that gets no memory. So every use stands between hdf5_enter, which
// dies with EXIT_NO_MEMORY where the process may not have enough (a cgroup's limit is not seen),
// and hdf5_leave.

#ifndef L2A_FILES_HDF5_H
#define L2A_FILES_HDF5_H

#include <stdint.h>

#include <hdf5.h>

#include "base/fail.h"

enum { HDF5_ALIGNED_BYTES = 65536 }; // data sets of so many bytes or more begin on a page of 4 KiB

void hdf5_enter(void);
void hdf5_leave(void);

// Records "cannot <doing> <path>: <innermost reason that HDF5 gives>"; returns -1.
int hdf5_fail(ExitCode code, const char *doing, const char *path);

// Opens a file for reading, without a file lock: they fail on network file systems. Negative on
// failure.
hid_t hdf5_open(const char *path);

// Creates a file that must not exist; negative on failure. No file lock either; the version 1.8
// format (its metadata carry checksums); large data sets on pages; no object has times, so that the
// file's bytes depend on its content only.
hid_t hdf5_create(const char *path);

// Creates a contiguous data set, its space taken at once and never filled, and the groups of its
// name; negative on failure.
hid_t hdf5_create_set(hid_t file, const char *name, hid_t type, hid_t space);

// The same of one dimension, compressed where HDF5 can.
hid_t hdf5_create_packed_set(hid_t file, const char *name, hid_t type, hsize_t rows);

// Attributes of an object; a negative value is a failure of HDF5.
int hdf5_write_text(hid_t object, const char *name, const char *text);
int hdf5_write_integer(hid_t object, const char *name, int64_t value);
int hdf5_write_real(hid_t object, const char *name, double value);

// A fixed-length text attribute, at most `limit` bytes: to be released, or NULL.
char *hdf5_read_text(hid_t object, const char *name, size_t limit);

#endif
