// graph.h - graphs of operations that were captured.

#ifndef L2A_TESTS_CUDA_ON_CPU_GRAPH_H
#define L2A_TESTS_CUDA_ON_CPU_GRAPH_H

#include "tests/cuda_on_cpu/streams.h"

struct CUgraph_st {
    std::vector<cuda_on_cpu::Node> nodes;
};

#endif
