// libraries.h - which libraries the program was compiled with, and which it runs with.

#ifndef L2A_TASKS_LIBRARIES_H
#define L2A_TASKS_LIBRARIES_H

#include <stdbool.h>

#include "base/memory.h"

// Appends a line (base/version.h) for each that tells; MPI need not have been started. Those of
// GPUs are looked for, and so loaded, where they are asked for.
void libraries_print(bool cuda, bool nccl, Bytes *out);

#endif
