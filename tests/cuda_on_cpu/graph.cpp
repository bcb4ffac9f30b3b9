// graph.cpp - launches of graphs: each is one operation of its stream.
//
// Within it the nodes that may run take turns as the seed draws; launches of one graph do not
// overlap.

#include "tests/cuda_on_cpu/graph.h"

namespace cuda_on_cpu
{

typedef std::shared_ptr<const std::vector<Node>> Nodes;

// A launch under way.
struct Run {
    Nodes nodes;
    std::vector<Advance> works; // by node
    std::vector<bool> over;
    size_t left;
    std::shared_ptr<const Run> before; // the launch before it, or NULL
};

} // namespace cuda_on_cpu

struct CUgraphExec_st {
    cuda_on_cpu::Nodes nodes;
    std::shared_ptr<std::shared_ptr<const cuda_on_cpu::Run>> last; // launch, also behind the end
};

namespace cuda_on_cpu
{

static bool may_run(const Run &run, size_t node)
{
    if (run.over[node])
        return false;
    for (size_t before : (*run.nodes)[node].after) {
        if (!run.over[before])
            return false;
    }
    return true;
}

// The i-th node to be tried: with seed 0 the last ones first.
static size_t node_of_turn(size_t i, size_t first, size_t count)
{
    return settings().seed == 0 ? count - 1 - i : (first + i) % count;
}

static Step run_advance(Run *run)
{
    size_t count = run->works.size();
    if (run->before && run->before->left > 0)
        return Step::WAITS;
    run->before = NULL;
    if (count == 0)
        return Step::ENDED;
    size_t first = settings().seed < 2 ? 0 : draw_turn(static_cast<unsigned>(count));
    for (size_t i = 0; i < count; i++) {
        size_t node = node_of_turn(i, first, count);
        Step step = may_run(*run, node) ? run->works[node]() : Step::WAITS;
        if (step == Step::ENDED) {
            run->over[node] = true;
            run->left--;
        }
        if (step != Step::WAITS)
            return run->left == 0 ? Step::ENDED : Step::BEGUN;
    }
    return Step::WAITS;
}

static std::shared_ptr<Run> run_make(const Nodes &nodes, const std::shared_ptr<const Run> &before)
{
    std::shared_ptr<Run> run = std::make_shared<Run>();
    run->nodes = nodes;
    for (const Node &node : *nodes)
        run->works.push_back(node.maker());
    run->over.assign(nodes->size(), false);
    run->left = nodes->size();
    run->before = before;
    return run;
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    if (cudaError_t status = call_begins("cudaGraphInstantiate"))
        return status;
    if (!graph || flags != 0)
        return cudaErrorInvalidValue;
    *exec = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes),
                               std::make_shared<std::shared_ptr<const Run>>()};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaGraphLaunch"))
        return status;
    if (!exec)
        return cudaErrorInvalidValue;
    Nodes nodes = exec->nodes;
    auto last = exec->last;
    return enqueue(stream, "a graph", [nodes, last] {
        std::shared_ptr<Run> run = run_make(nodes, *last);
        *last = run;
        return Advance([run] { return run_advance(run.get()); });
    });
}

// Launches under way are not ended by it.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    if (cudaError_t status = call_begins("cudaGraphExecDestroy"))
        return status;
    if (!exec)
        return cudaErrorInvalidValue;
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    if (cudaError_t status = call_begins("cudaGraphDestroy"))
        return status;
    if (!graph)
        return cudaErrorInvalidValue;
    delete graph;
    return cudaSuccess;
}
