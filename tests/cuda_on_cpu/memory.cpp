// memory.cpp - the CUDA runtime's memory: blocks between guards, and copies.
//
// As with a real device, cudaFree and cudaFreeHost wait for all that was asked of it.

#include <vector>

#include "tests/cuda_on_cpu/sanitizers.h"
#include "tests/cuda_on_cpu/streams.h"

namespace cuda_on_cpu
{

enum { ALIGNMENT = 256, NONSENSE = 0xff };

struct Block {
    Guarded memory;
    int device;
};

typedef std::vector<Block *> Blocks; // owned

static Blocks device_blocks, host_blocks;

unsigned long copies_asked;

// Whether the bytes lie in one block.
static bool lies_in(const Blocks &blocks, const void *from, size_t bytes)
{
    const char *first = static_cast<const char *>(from);
    for (const Block *block : blocks) {
        const char *memory = block->memory.memory;
        if (first >= memory && first + bytes <= memory + block->memory.bytes)
            return true;
    }
    return false;
}

static void *block_make(Blocks *blocks, const char *name, size_t bytes)
{
    Block *block = new Block{{}, device_current()};
    if (settings().strict && blocks == &device_blocks)
        guarded_make_in_arena(&block->memory, name, bytes);
    else
        guarded_make(&block->memory, name, bytes);
    guarded_place(&block->memory, bytes, ALIGNMENT);
    blocks->push_back(block);
    return block->memory.memory;
}

static cudaError_t block_free(Blocks *blocks, void *memory)
{
    if (!memory)
        return cudaSuccess;
    streams_drain();
    for (Block *&block : *blocks) {
        if (block->memory.memory != memory)
            continue;
        guarded_free(&block->memory);
        delete block;
        block = blocks->back();
        blocks->pop_back();
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
}

// Of the current device, rounded as blocks are.
static size_t bytes_in_use()
{
    size_t bytes = 0;
    for (const Block *block : device_blocks) {
        if (block->device == device_current())
            bytes += (block->memory.bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return bytes;
}

void memory_check()
{
    ArenaOpened opened; // once for all
    for (const Block *block : device_blocks)
        guarded_check(&block->memory);
    for (const Block *block : host_blocks)
        guarded_check(&block->memory);
}

bool memory_is_reachable(const void *from, size_t bytes)
{
    return bytes == 0 || lies_in(device_blocks, from, bytes) || lies_in(host_blocks, from, bytes);
}

// ---- copies -------------------------------------------------------------------------------------

static cudaError_t copy_plain(void *to, const void *from, size_t bytes, cudaStream_t stream)
{
    return enqueue_work(stream, "a copy", [=] { memmove(to, from, bytes); });
}

// The source may change as soon as the call has returned.
static cudaError_t copy_staged(void *to, const void *from, size_t bytes, cudaStream_t stream)
{
    const char *first = static_cast<const char *>(from);
    std::shared_ptr<const std::vector<char>> staged =
        std::make_shared<const std::vector<char>>(first, first + bytes);
    return enqueue_work(stream, "a copy of pageable memory",
                        [=] { memcpy(to, staged->data(), bytes); });
}

// While it is under way, the destination holds nonsense.
static cudaError_t copy_out(void *to, const void *from, size_t bytes, cudaStream_t stream)
{
    return enqueue(stream, "a copy to the host", [=] {
        return Advance([=, begun = false]() mutable {
            if (!begun) {
                memset(to, NONSENSE, bytes);
                __msan_poison(to, bytes);
                begun = true;
                return Step::BEGUN;
            }
            __msan_check_mem_is_initialized(from, bytes); // what is read back is what tests look at
            memcpy(to, from, bytes);
            return Step::ENDED;
        });
    });
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    if (cudaError_t status = call_begins("cudaMalloc"))
        return status;
    if (cudaError_t status = capture_refuses())
        return status;
    if (bytes > settings().memory_bytes - bytes_in_use())
        return cudaErrorMemoryAllocation;
    *memory = block_make(&device_blocks, "device memory", bytes);
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (cudaError_t status = call_begins("cudaFree"))
        return status;
    if (cudaError_t status = capture_refuses())
        return status;
    return block_free(&device_blocks, memory);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    if (cudaError_t status = call_begins("cudaHostAlloc"))
        return status;
    if (cudaError_t status = capture_refuses())
        return status;
    if (flags & ~(cudaHostAllocPortable | cudaHostAllocMapped))
        return cudaErrorInvalidValue;
    *memory = block_make(&host_blocks, "page-locked memory", bytes);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    if (cudaError_t status = call_begins("cudaFreeHost"))
        return status;
    if (cudaError_t status = capture_refuses())
        return status;
    return block_free(&host_blocks, memory);
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
    if (cudaError_t status = call_begins("cudaMemGetInfo"))
        return status;
    *total = settings().memory_bytes;
    *left = *total - bytes_in_use();
    return cudaSuccess;
}

// The host does not wait for it, as on a real device.
cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    return cudaMemsetAsync(memory, value, bytes, NULL);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaMemsetAsync"))
        return status;
    if (!lies_in(device_blocks, memory, bytes))
        return cudaErrorInvalidValue;
    return enqueue_work(stream, "cudaMemsetAsync", [=] { memset(memory, value, bytes); });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaMemcpyAsync"))
        return status;
    copies_asked++;
    if ((kind != cudaMemcpyHostToDevice && !lies_in(device_blocks, from, bytes)) ||
        (kind != cudaMemcpyDeviceToHost && !lies_in(device_blocks, to, bytes)))
        return cudaErrorInvalidValue;
    const void *host = kind == cudaMemcpyHostToDevice ? from : to;
    bool pageable = kind != cudaMemcpyDeviceToDevice && !lies_in(host_blocks, host, bytes);
    if (pageable) {
        if (cudaError_t status = capture_refuses(stream))
            return status;
    }
    if (kind != cudaMemcpyDeviceToHost)
        return (pageable ? copy_staged : copy_plain)(to, from, bytes, stream);
    cudaError_t status = copy_out(to, from, bytes, stream);
    return status || !pageable ? status : cudaStreamSynchronize(stream);
}
