// launch.h - how kernels are launched and declare shared memory.
//
// The only place with words that nvcc alone reads: tests/cuda_on_cpu has a header of this name,
// found first there, with which the same kernels run on the host.

#ifndef L2A_KERNELS_CUDA_LAUNCH_H
#define L2A_KERNELS_CUDA_LAUNCH_H

// Launches kernel(...) on a queue and dies if the launch is refused. A kernel with commas in its
// template arguments stands in parentheses.
#define LAUNCH(kernel, grid, block, shared_bytes, queue, ...)                                      \
    do {                                                                                           \
        kernel<<<(grid), (block), (shared_bytes), stream_of(queue)>>>(__VA_ARGS__);                \
        cuda_check(cudaGetLastError(), #kernel, __FILE__, __LINE__);                               \
    } while (0)

// A variable that the threads of a block share: SHARED(float, sums, [32]).
#define SHARED(type, name, ...) __shared__ type name __VA_ARGS__

// The bytes that LAUNCH asks for, as an array of sixteen-byte units.
#define SHARED_DYNAMIC(name) extern __shared__ uint4 name[]

#endif
