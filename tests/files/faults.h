// faults.h - makes the n-th file operation of this process fail.
//
// The functions of libc that open, read, write, flush, rename and remove are defined anew in the
// test program, and so are also HDF5's. Only files whose path holds `place` are meant.

#ifndef L2A_TESTS_FILES_FAULTS_H
#define L2A_TESTS_FILES_FAULTS_H

#include <stdbool.h>

typedef enum {
    FAULT_NO_SPACE, // any operation: ENOSPC
    FAULT_IO,       // any operation: EIO
    FAULT_SIGNAL,   // read, write, flush: EINTR
    FAULT_SHORT,    // read, write: half of the bytes
    FAULT_KINDS,
    FAULT_KILL // any operation: the process is gone before it
} FaultKind;

// From now on the `at`-th operation (from 1) that `kind` can hit fails, once; 0 only counts.
void faults_arm(const char *place, FaultKind kind, int at);

// The function that failed ("fsync"), or "" when the end came first.
const char *faults_hit(void);

// Whether the operation that failed came after a rename that was done.
bool faults_hit_after_rename(void);

// Ends it; returns how many operations there were.
int faults_disarm(void);

#endif
