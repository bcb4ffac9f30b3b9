// cuda_runtime.h - what a kernel sees of CUDA C++, for the host: its words, indices and functions.
//
// Functions in which threads meet take the place of their call as a default argument.

#ifndef L2A_CUDA_ON_CPU_CUDA_RUNTIME_H
#define L2A_CUDA_ON_CPU_CUDA_RUNTIME_H

#include <math.h>
#include <string.h>

#include <cuda_runtime_api.h>
#include <vector_types.h>

#include "tests/cuda_on_cpu/emulator.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(threads)

using cuda_on_cpu::blockDim;
using cuda_on_cpu::blockIdx;
using cuda_on_cpu::gridDim;
using cuda_on_cpu::threadIdx;

// ---- barriers -----------------------------------------------------------------------------------

inline void __syncthreads(CUDA_ON_CPU_SITE)
{
    cuda_on_cpu::block_meet({file, line});
}

inline int __syncthreads_or(int predicate, CUDA_ON_CPU_SITE)
{
    return cuda_on_cpu::block_any(predicate != 0, {file, line});
}

inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_ON_CPU_SITE)
{
    cuda_on_cpu::warp_wait(mask, {file, line});
}

// ---- warps --------------------------------------------------------------------------------------

template <class Type>
Type __shfl_sync(unsigned mask, Type value, int lane, int width = 32, CUDA_ON_CPU_SITE)
{
    int own = cuda_on_cpu::lane();
    return cuda_on_cpu::shuffle(mask, value, (own & ~(width - 1)) | (lane & (width - 1)),
                                {file, line});
}

template <class Type>
Type __shfl_xor_sync(unsigned mask, Type value, int bits, int width = 32, CUDA_ON_CPU_SITE)
{
    int own = cuda_on_cpu::lane(), other = own ^ bits;
    bool later = (other & ~(width - 1)) > (own & ~(width - 1));
    return cuda_on_cpu::shuffle(mask, value, later ? own : other, {file, line});
}

template <class Type>
Type __shfl_down_sync(unsigned mask, Type value, unsigned step, int width = 32, CUDA_ON_CPU_SITE)
{
    int own = cuda_on_cpu::lane(), by = static_cast<int>(step);
    return cuda_on_cpu::shuffle(mask, value, (own & (width - 1)) + by < width ? own + by : own,
                                {file, line});
}

template <class Type>
Type __shfl_up_sync(unsigned mask, Type value, unsigned step, int width = 32, CUDA_ON_CPU_SITE)
{
    int own = cuda_on_cpu::lane(), by = static_cast<int>(step);
    return cuda_on_cpu::shuffle(mask, value, (own & (width - 1)) >= by ? own - by : own,
                                {file, line});
}

inline unsigned __ballot_sync(unsigned mask, int predicate, CUDA_ON_CPU_SITE)
{
    return cuda_on_cpu::vote(mask, predicate != 0, {file, line});
}

inline int __reduce_add_sync(unsigned mask, int value, CUDA_ON_CPU_SITE)
{
    return cuda_on_cpu::sum(mask, value, {file, line});
}

// ---- atomics: a thread may be interrupted before each -------------------------------------------

inline unsigned atomicAdd(unsigned *place, unsigned value)
{
    cuda_on_cpu::atomic_begins(place, sizeof *place);
    return __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
}

inline int atomicMin(int *place, int value)
{
    cuda_on_cpu::atomic_begins(place, sizeof *place);
    int old = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange_n(place, &old, value, false, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
    return old;
}

// ---- arithmetic ---------------------------------------------------------------------------------

template <class Left, class Right> auto min(Left left, Right right) -> decltype(left + right)
{
    return left < right ? left : right;
}

inline float __expf(float x) // two units in the last place or so: here the exact one
{
    return expf(x);
}

inline unsigned __float_as_uint(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float __uint_as_float(unsigned bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

inline unsigned long long __double2ull_rn(double x)
{
    return static_cast<unsigned long long>(nearbyint(x));
}

inline int __popc(unsigned bits)
{
    return __builtin_popcount(bits);
}

inline int __ffs(int bits)
{
    return __builtin_ffs(bits);
}

inline int __clz(int bits)
{
    return bits ? __builtin_clz(static_cast<unsigned>(bits)) : 32;
}

#endif
