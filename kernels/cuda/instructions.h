// instructions.h - what CUDA C++ has no names for: products of small bf16 matrices on tensor cores,
// and copies into shared memory that go on while a thread computes. Device code only.
//
// All functions but the copies need the 32 threads of a warp together. tests/cuda_on_cpu has a
// header of this name, found first there, that computes the same on the host.

#ifndef L2A_KERNELS_CUDA_INSTRUCTIONS_H
#define L2A_KERNELS_CUDA_INSTRUCTIONS_H

#include <cuda_bf16.h>
#include <stdint.h>

__device__ inline uint32_t shared_address(const void *shared)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// ---- matrices -----------------------------------------------------------------------------------

// Four 8 x 8 matrices of bf16 in shared memory, lane l giving the address of row l % 8 of matrix
// l / 8: to[i] holds elements 2 (l % 4) and the next of row l / 4 of matrix i.
__device__ inline void matrices_load(uint32_t (&to)[4], const __nv_bfloat16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// The same of the matrices' transposes.
__device__ inline void matrices_load_turned(uint32_t (&to)[4], const __nv_bfloat16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// c [16, 8] += a [16, 16] b [16, 8]. Lane l holds of c columns 2 (l % 4) and the next of row l / 4
// (upper) and of the row eight below (lower); of a its four 8 x 8 quarters, down and then right, as
// matrices_load gives them; of b's upper and lower half the transposes.
__device__ inline void multiply_add(float *upper, float *lower, const uint32_t (&a)[4], uint32_t b0,
                                    uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(upper[0]), "+f"(upper[1]), "+f"(lower[0]), "+f"(lower[1])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- copies -------------------------------------------------------------------------------------

// Starts to put sixteen bytes into shared memory: the first `bytes` of `from`, then zeros.
__device__ inline void copy_start(void *to, const void *from, int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(bytes)
                 : "memory");
}

// Closes the group of the copies that this thread started since the last call.
__device__ inline void copies_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits for this thread's copies of all groups but the last LEFT; a barrier shows them to others.
template <int LEFT> __device__ inline void copies_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

#endif
