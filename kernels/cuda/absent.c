// absent.c - what stands in for the CUDA kernels in a program that was built without them.

#include "base/fail.h"
#include "kernels/kernels.h"

const Kernels *kernels_cuda(void)
{
    fail(EXIT_UNAVAILABLE, "this program was built without CUDA: build it where nvcc is in PATH");
    return NULL;
}
