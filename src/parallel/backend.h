// backend.h - on what a rank computes, and how ranks move what is computed there.

#ifndef L2A_PARALLEL_BACKEND_H
#define L2A_PARALLEL_BACKEND_H

#include "parallel/collective.h"

typedef struct {
    const Kernels *kernels;
    const Collective *collective; // on these kernels' device memory
    char text[512];               // what it is, and why: "cpu, avx2: no GPU can be used: ..."
} Backend;

#endif
