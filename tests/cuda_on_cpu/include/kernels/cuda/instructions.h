// instructions.h - products of small matrices and copies: the host's counterpart of the header of
// this name in kernels/cuda, which says what each function does.

#ifndef L2A_KERNELS_CUDA_INSTRUCTIONS_H
#define L2A_KERNELS_CUDA_INSTRUCTIONS_H

#include <cuda_bf16.h>
#include <stdint.h>

#include "tests/cuda_on_cpu/emulator.h"

inline void matrices_load(uint32_t (&to)[4], const __nv_bfloat16 *row, CUDA_ON_CPU_SITE)
{
    cuda_on_cpu::matrices_load(to, row, false, {file, line});
}

inline void matrices_load_turned(uint32_t (&to)[4], const __nv_bfloat16 *row, CUDA_ON_CPU_SITE)
{
    cuda_on_cpu::matrices_load(to, row, true, {file, line});
}

inline void multiply_add(float *upper, float *lower, const uint32_t (&a)[4], uint32_t b0,
                         uint32_t b1, CUDA_ON_CPU_SITE)
{
    cuda_on_cpu::multiply_add(upper, lower, a, b0, b1, {file, line});
}

inline void copy_start(void *to, const void *from, int bytes)
{
    cuda_on_cpu::copy_start(to, from, bytes);
}

inline void copies_commit()
{
    cuda_on_cpu::copies_commit();
}

template <int LEFT> void copies_wait(CUDA_ON_CPU_SITE)
{
    cuda_on_cpu::copies_wait(LEFT, {file, line});
}

#endif
