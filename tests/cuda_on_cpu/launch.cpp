// launch.cpp - a launch: what CUDA would refuse, and the order of its blocks.

#include <algorithm>
#include <vector>

#include "tests/cuda_on_cpu/streams.h"

namespace cuda_on_cpu
{

enum { MOST_ROWS = 65535, MOST_LAYERS_OF_THREADS = 64 };

static bool refused(const Launch &launch)
{
    dim3 g = launch.grid, b = launch.block;
    return g.x == 0 || g.y == 0 || g.z == 0 || g.x > INT32_MAX || g.y > MOST_ROWS ||
           g.z > MOST_ROWS || b.x == 0 || b.y == 0 || b.z == 0 || b.z > MOST_LAYERS_OF_THREADS ||
           static_cast<uint64_t>(b.x) * b.y * b.z > MOST_THREADS;
}

// By seed: as they are numbered, the reverse, or shuffled.
static std::vector<unsigned> blocks_order(unsigned count)
{
    std::vector<unsigned> order(count);
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    if (settings().seed == 1)
        std::reverse(order.begin(), order.end());
    for (unsigned i = count; i > 1 && settings().seed > 1; i--)
        std::swap(order[i - 1], order[draw(i)]);
    return order;
}

static void launch_run(const Launch &launch)
{
    running_kernel = launch.kernel;
    gridDim = launch.grid;
    blockDim = launch.block;
    draws_begin();
    dim3 g = launch.grid;
    for (unsigned i : blocks_order(g.x * g.y * g.z)) {
        blockIdx = {i % g.x, i / g.x % g.y, i / (g.x * g.y)};
        block_run(launch);
    }
    launch_ends();
    running_kernel = NULL;
}

cudaError_t launch_enqueue(const Launch &launch, cudaStream_t stream)
{
    if (running_kernel)
        wrong("%s is launched by a kernel", launch.kernel);
    if (cudaError_t status = call_begins("cudaLaunchKernel"))
        return status;
    if (refused(launch))
        return cudaErrorInvalidConfiguration;
    if (launch.shared_bytes > shared_allowed(launch.function))
        return cudaErrorInvalidValue;
    return enqueue_work(stream, launch.kernel, [launch] { launch_run(launch); });
}

} // namespace cuda_on_cpu
