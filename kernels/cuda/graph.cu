// graph.cu - CUDA graphs of what a queue is asked for.
//
// Kernels in a graph have the addresses of the working memory of the time when it was kept.

#include "kernels/cuda/cuda.h"

struct Graph {
    cudaGraphExec_t work; // owned
    Queue *queue;         // borrowed
    int64_t moves;        // of working memory before it
};

bool graph_is_open(Queue *queue)
{
    cudaStreamCaptureStatus status;
    CUDA(cudaStreamIsCapturing(stream_of(queue), &status));
    return status != cudaStreamCaptureStatusNone;
}

// Other threads may go on as they like: what they do is not part of it.
void graph_begin_cuda(Queue *queue)
{
    CUDA(cudaStreamBeginCapture(stream_of(queue), cudaStreamCaptureModeThreadLocal));
}

Graph *graph_end_cuda(Queue *queue)
{
    cudaGraph_t kept;
    Graph *graph = new Graph{NULL, queue, scratch_moves(queue)};
    CUDA(cudaStreamEndCapture(stream_of(queue), &kept));
    CUDA(cudaGraphInstantiate(&graph->work, kept, 0));
    CUDA(cudaGraphDestroy(kept));
    return graph;
}

bool graph_run_cuda(Graph *graph)
{
    if (graph->moves != scratch_moves(graph->queue))
        return false;
    CUDA(cudaGraphLaunch(graph->work, stream_of(graph->queue)));
    return true;
}

void graph_free_cuda(Graph *graph)
{
    CUDA(cudaGraphExecDestroy(graph->work));
    delete graph;
}
