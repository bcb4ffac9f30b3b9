// launch.h - how kernels are launched and declare shared memory: the host's counterpart of the
// header of this name in kernels/cuda.

#ifndef L2A_KERNELS_CUDA_LAUNCH_H
#define L2A_KERNELS_CUDA_LAUNCH_H

#define LAUNCH(kernel, grid, block, shared_bytes, queue, ...)                                      \
    cuda_check(cuda_on_cpu::launch(#kernel, kernel, grid, block, shared_bytes, stream_of(queue),   \
                                   __VA_ARGS__),                                                   \
               #kernel, __FILE__, __LINE__)

#define SHARED(type, name, ...)                                                                    \
    using shared_type_of_##name = type __VA_ARGS__;                                                \
    static const char shared_key_of_##name = 0;                                                    \
    shared_type_of_##name &name = *static_cast<shared_type_of_##name *>(                           \
        cuda_on_cpu::shared_variable(&shared_key_of_##name, sizeof(shared_type_of_##name)))

#define SHARED_DYNAMIC(name) uint4 *name = static_cast<uint4 *>(cuda_on_cpu::shared_dynamic())

#endif
