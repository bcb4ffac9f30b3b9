// collective_mpi.h - what the collectives over MPI share; inside `parallel` only.

#ifndef L2A_PARALLEL_COLLECTIVE_MPI_H
#define L2A_PARALLEL_COLLECTIVE_MPI_H

#include <mpi.h>

#include "kernels/tensor.h"

// A number of elements as MPI counts them; dies where it does not fit.
int mpi_count(int64_t elements);

MPI_Datatype mpi_type(ElementType type);

#endif
