// operations.h - entries that work on rows, tested alike: against double precision, row by row, on
// every instruction set and with several threads.

#ifndef L2A_TESTS_KERNELS_OPERATIONS_H
#define L2A_TESTS_KERNELS_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

enum { TENSORS = 6 };

// The tensors of one call, inputs and outputs; some have one row for all the rows of the others.
typedef struct {
    Tensor tensor[TENSORS];
    int32_t *index; // one for each row, in [0, rows)
} Call;

// The same in double, contiguous.
typedef struct {
    double *data[TENSORS];
    const int32_t *index;
    int64_t rows, width;
} Reference;

typedef struct {
    const char *name;
    int count;       // tensors
    unsigned shared; // bit i: tensor i has one row
    double tolerance;
    void (*run)(const Kernels *kernels, Call *call);
    void (*reference)(Reference *reference);
    bool row_by_row; // one call a row, in order, gives the same bits
} Operation;

// Fails the test where any of the promises above is broken for this shape.
void operation_check(const Operation *operation, int64_t rows, int64_t width);

#endif
