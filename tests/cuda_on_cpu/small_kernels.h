// small_kernels.h - kernels that are wrong, and right ones, for test_emulator.cpp. Lines that the
// emulator is to name end in a mark.

#ifndef L2A_TESTS_CUDA_ON_CPU_SMALL_KERNELS_H
#define L2A_TESTS_CUDA_ON_CPU_SMALL_KERNELS_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/instructions.h"

enum { THREADS = 64 };

static const char KERNELS_FILE[] = __FILE__;

__global__ static void two_barriers(int *out)
{
    if (threadIdx.x < 40) {
        __syncthreads(); // DIFFERENT
    } else {
        __syncthreads();
    }
    out[threadIdx.x] = 1;
}

__global__ static void barrier_after_an_end(int *out)
{
    if (threadIdx.x >= 40)
        return;
    __syncthreads(); // UNREACHED
    out[threadIdx.x] = 1;
}

__global__ static void barrier_that_a_warp_waits_behind(int *out)
{
    if (threadIdx.x == 3)
        __syncwarp(); // ALONE
    else
        out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

// The neighbour's number, with the barrier or without.
template <bool BARRIER> __global__ static void neighbour(int *out)
{
    SHARED(int, numbers, [THREADS]);
    numbers[threadIdx.x] = static_cast<int>(threadIdx.x);
    if (BARRIER)
        __syncthreads(); // NEIGHBOUR
    out[threadIdx.x] = numbers[(threadIdx.x + 1) % THREADS];
}

// Turns the numbers round the block; a round may not begin before the last one was read.
template <bool BARRIER> __global__ static void rounds(int *out)
{
    SHARED(int, numbers, [THREADS]);
    int number = static_cast<int>(threadIdx.x);
    for (int i = 0; i < 5; i++) {
        numbers[threadIdx.x] = number;
        __syncthreads();
        number = numbers[(threadIdx.x + 33) % THREADS];
        if (BARRIER)
            __syncthreads();
    }
    out[threadIdx.x] = number;
}

// The same within warps.
template <bool BARRIER> __global__ static void warp_rounds(int *out)
{
    SHARED(int, numbers, [THREADS]);
    int number = static_cast<int>(threadIdx.x);
    unsigned first = threadIdx.x / 32 * 32;
    for (int i = 0; i < 5; i++) {
        numbers[threadIdx.x] = number;
        __syncwarp();
        number = numbers[first + (threadIdx.x + 17) % 32];
        if (BARRIER)
            __syncwarp();
    }
    out[threadIdx.x] = number;
}

// Element `offset` of dynamic shared memory is written and read.
__global__ static void dynamic_access(int *out, int offset)
{
    SHARED_DYNAMIC(memory);
    int *numbers = reinterpret_cast<int *>(memory);
    if (threadIdx.x == 0)
        numbers[offset] = 7;
    __syncthreads();
    out[threadIdx.x] = 7;
}

__global__ static void static_access(int *out, int offset)
{
    SHARED(int, others, [4]);
    SHARED(int, numbers, [THREADS]);
    if (threadIdx.x < 4)
        others[threadIdx.x] = 0;
    numbers[threadIdx.x + static_cast<unsigned>(offset)] = 7;
    __syncthreads();
    out[threadIdx.x] = 7;
}

__global__ static void device_access(int *out, int offset)
{
    if (threadIdx.x == 0)
        out[offset] = 7;
    else
        out[threadIdx.x] = 7;
}

__global__ static void unwritten(int *out)
{
    SHARED(int, numbers, [THREADS]);
    if (threadIdx.x != 5)
        numbers[threadIdx.x] = 7;
    out[threadIdx.x] = numbers[threadIdx.x];
}

__global__ static void shuffle_from_outside(int *out)
{
    if (threadIdx.x % 32 < 16)
        out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1, 16); // OUTSIDE
}

__global__ static void lane_outside(int *out)
{
    if (threadIdx.x % 32 == 20)
        out[threadIdx.x] = __shfl_sync(0xffffu, 1, 0); // OWN
}

__global__ static void half_warps(int *out)
{
    int lane = static_cast<int>(threadIdx.x % 32);
    unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
    int number =
        lane < 16 ? __shfl_down_sync(half, lane, 1, 16) : __shfl_up_sync(half, lane, 2, 16);
    out[threadIdx.x] = number + __reduce_add_sync(half, 1) +
                       static_cast<int>(__ballot_sync(half, lane % 16 == 1) & 2u);
}

// Thread i's copy is of its neighbour's four numbers.
template <bool WAIT, bool BARRIER> __global__ static void copies(int *out, const int *from)
{
    SHARED(uint4, places, [THREADS]);
    unsigned next = (threadIdx.x + 1) % THREADS;
    copy_start(&places[threadIdx.x], from + 4 * next, threadIdx.x == 9 ? 4 : 16);
    copies_commit();
    if (WAIT)
        copies_wait<0>();
    if (BARRIER)
        __syncthreads();
    out[threadIdx.x] = static_cast<int>(places[(threadIdx.x + 7) % THREADS].w);
}

// c [16, 8] = a [16, 16] b [16, 8] by one warp, small whole numbers.
__global__ static void small_product(float *c)
{
    SHARED(__nv_bfloat16, a, [16 * 16]);
    SHARED(__nv_bfloat16, b, [16 * 8]);
    int lane = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 16 * 16; i += 32)
        a[i] = __float2bfloat16_rn(static_cast<float>(i * 7 % 11 - 5));
    for (int i = lane; i < 16 * 8; i += 32)
        b[i] = __float2bfloat16_rn(static_cast<float>(i * 5 % 13 - 6));
    __syncwarp();
    uint32_t left[4], right[4];
    matrices_load(left, a + lane % 16 * 16 + lane / 16 * 8);
    matrices_load_turned(right, b + lane % 16 * 8);
    float upper[2] = {1.0f, 1.0f}, lower[2] = {1.0f, 1.0f};
    multiply_add(upper, lower, left, right[0], right[1]);
    for (int i = 0; i < 2; i++) {
        c[lane / 4 * 8 + lane % 4 * 2 + i] = upper[i];
        c[(lane / 4 + 8) * 8 + lane % 4 * 2 + i] = lower[i];
    }
}

// Results are right as long as no thread is interrupted between its load and its store.
__global__ static void counter_without_atomics(int *out)
{
    out[0] += 1;
}

__global__ static void counter(unsigned *out)
{
    atomicAdd(out, threadIdx.x);
}

#endif
