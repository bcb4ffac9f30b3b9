// absent.c - what stands in for the CUDA kernels in a program that was built without them.

#include "base/fail.h"
#include "kernels/kernels.h"

int kernels_cuda_count(void)
{
    fail(EXIT_UNAVAILABLE, "this program was built without CUDA: build it where nvcc is in PATH");
    return 0;
}

const Kernels *kernels_cuda(int device)
{
    (void)device;
    CHECK(kernels_cuda_count() > 0, "a GPU without CUDA");
    return NULL;
}

const Gpu *kernels_cuda_gpu(void)
{
    return NULL;
}
