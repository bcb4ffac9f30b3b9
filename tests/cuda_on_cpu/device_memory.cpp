#include <cuda_runtime.h>

extern "C" {
#include "tests/cuda_on_cpu/device_memory.h"
}

size_t device_memory_used(void)
{
    size_t left = 0, total = 0;
    return cudaMemGetInfo(&left, &total) == cudaSuccess ? total - left : 0;
}
