// absent.c - what stands in for the CUDA kernels in a program that was built without them.

#include "base/fail.h"
#include "base/version.h"
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

void kernels_cuda_print_versions(Bytes *out)
{
    version_print_line("CUDA", "not compiled in", out);
}

const Gpu *kernels_cuda_gpu(void)
{
    return NULL;
}
