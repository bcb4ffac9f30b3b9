// emulator.h - CUDA kernels on the host: what the headers in include/ stand on.
//
// Each thread of a block is a fiber, which runs until it has to wait for others; who runs next is
// drawn by a seed. Blocks run one after another. Every kernel is compiled from its own source, so
// that a test of it is a test of what runs on a GPU. So is the host's side: streams are queues
// whose turns the seed draws as well (streams.h), copies of page-locked memory read and write it
// when they run, and what is copied from pageable memory is taken at the call.
//
// What is wrong ends the program with exit status 70 and a line that names kernel, block, thread
// and place: barriers that not all threads reach, or not the same one; lanes outside a mask; copies
// that nobody waits for; accesses beyond shared or device memory (guard pages); shared memory
// before or behind a variable that was written. Unwritten memory holds one of three patterns.
//
// Environment, each CUDA_ON_CPU_...:
//   SEED=n           the order of threads, blocks and streams, and the pattern (0, 1, ...)
//   DROP=barrier     a barrier of a kernel that does nothing: "kernel file:line"
//   BARRIERS=path    appends each barrier that was reached, so named, at the end
//   DROP_WAIT=wait   a cudaStreamWaitEvent or cudaEventSynchronize that does nothing: "file:line"
//   WAITS=path       appends each such call that was reached, so named, at the end
//   DEVICES=n        devices there are (1), of which CUDA_VISIBLE_DEVICES shows some
//   MEMORY_MIB=n     memory of a device (8192), for this process alone
//   STRICT=1         device memory cannot be touched but by operations of streams: the host, or
//                    MPI, that does is reported
//   FAIL=RANK:CALL:N the N-th call of that function by a rank of MPI (0: without MPI) fails with
//                    cudaErrorUnknown, and every call after it
//   NCCL_FAIL=RANK:N the N-th call of NCCL that a rank of MPI begins fails, as if it were lost
//   NCCL_HANG=1      calls that do not fit each other hang instead of being reported
//   NCCL_ALONE=1     one communicator's operation at a time, as on a GPU that is full
//
// Not modelled: waiting for other blocks, fences, rounding of tensor cores, time. Streams do not
// wait for the default stream, nor it for them: they must be created cudaStreamNonBlocking.

#ifndef L2A_TESTS_CUDA_ON_CPU_EMULATOR_H
#define L2A_TESTS_CUDA_ON_CPU_EMULATOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>
#include <type_traits>

#include <cuda_runtime_api.h>
#include <vector_types.h>

namespace cuda_on_cpu
{

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// The place of a call in a kernel's source.
struct Site {
    const char *file;
    int line;
};

// ---- launches -----------------------------------------------------------------------------------

struct Launch {
    const char *kernel;   // its name
    const void *function; // its address
    dim3 grid, block;
    size_t shared_bytes;
    std::function<void()> body; // one thread's work
};

// Appends a launch to a stream; an error where CUDA would refuse it.
cudaError_t launch_enqueue(const Launch &launch, cudaStream_t stream);

// Arguments become the kernel's parameters here, once, as in a launch.
template <class... Parameters, class... Arguments>
cudaError_t launch(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   size_t shared_bytes, cudaStream_t stream, Arguments... arguments)
{
    static_assert((!std::is_reference_v<Parameters> && ...), "parameters are copied");
    std::tuple<Parameters...> parameters(arguments...);
    return launch_enqueue({name, reinterpret_cast<const void *>(kernel), grid, block, shared_bytes,
                           [kernel, parameters] { std::apply(kernel, parameters); }},
                          stream);
}

// ---- meetings of a block's threads --------------------------------------------------------------

void block_meet(Site site);
bool block_any(bool predicate, Site site);

// ---- meetings of a warp's threads ---------------------------------------------------------------

int lane();
void warp_wait(unsigned mask, Site site);
unsigned vote(unsigned mask, bool predicate, Site site);
int sum(unsigned mask, int value, Site site);
uint64_t shuffle_bits(unsigned mask, uint64_t value, int from, Site site);

template <class Type> Type shuffle(unsigned mask, Type value, int from, Site site)
{
    static_assert(sizeof value <= sizeof(uint64_t), "a shuffle moves eight bytes at most");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = shuffle_bits(mask, bits, from, site);
    memcpy(&value, &bits, sizeof value);
    return value;
}

void matrices_load(uint32_t *to, const void *row, bool turned, Site site);
void multiply_add(float *upper, float *lower, const uint32_t *a, uint32_t b0, uint32_t b1,
                  Site site);

// Another thread may run before an atomic operation on `place`.
void atomic_begins(const void *place, size_t bytes);

// ---- copies: the bytes arrive as late as the program allows -------------------------------------

void copy_start(void *to, const void *from, int bytes);
void copies_commit();
void copies_wait(int left, Site site);

// ---- shared memory ------------------------------------------------------------------------------

// The block's variable that is declared at `key`.
void *shared_variable(const void *key, size_t bytes);
void *shared_dynamic();

} // namespace cuda_on_cpu

#endif
