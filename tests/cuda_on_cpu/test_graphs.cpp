// test_graphs.cpp - graphs that the emulator captures from streams, and what a capture does not
// bear.

#include "tests/cuda_on_cpu/cases.h"
#include "tests/cuda_on_cpu/stream_arrays.h"

static void capture_begin(cudaStream_t stream)
{
    CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
}

static cudaGraphExec_t capture_end(cudaStream_t stream)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CUDA(cudaStreamEndCapture(stream, &graph));
    CUDA(cudaGraphInstantiate(&exec, graph, 0));
    CUDA(cudaGraphDestroy(graph));
    return exec;
}

// y = x + 1 on one stream, then z = y + 1 on another and y = 9 on the first, together again at the
// end: with a wait between the last two, or without.
template <bool APART> static cudaGraphExec_t fork_capture(const Pair &p, int *z)
{
    cudaEvent_t joined = event_make();
    capture_begin(p.first);
    LAUNCH(add_one, 1, COUNT, 0, p.first, p.y, p.x);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaStreamWaitEvent(p.second, p.event, 0)); // FORK
    LAUNCH(add_one, 1, COUNT, 0, p.second, z, p.y);
    CUDA(cudaEventRecord(joined, p.second));
    if (APART)
        CUDA(cudaStreamWaitEvent(p.first, joined, 0)); // APART
    LAUNCH(fill, 1, COUNT, 0, p.first, p.y, 9);
    CUDA(cudaStreamWaitEvent(p.first, joined, 0)); // JOIN
    return capture_end(p.first);
}

// Nothing runs before the launch; then the graph does its work each time, behind what its stream
// has been asked for.
template <bool APART> static bool a_graph_runs_again()
{
    Pair p = pair_make();
    int *z = device_make(1);
    cudaGraphExec_t exec = fork_capture<APART>(p, z);
    if (!device_is(p.y, 1, p.first) || !device_is(z, 1, p.first))
        return false;
    for (int round = 2; round < 6; round++) {
        LAUNCH(fill, 1, COUNT, 0, p.first, p.x, round);
        CUDA(cudaGraphLaunch(exec, p.first));
        LAUNCH(add_one, 1, COUNT, 0, p.first, p.x, z);
        if (!device_is(z, round + 2, p.first) || !device_is(p.x, round + 3, p.first) ||
            !device_is(p.y, 9, p.first))
            return false;
    }
    CUDA(cudaGraphExecDestroy(exec));
    return true;
}

// Two launches of a graph do not overlap, though their streams have nothing to do with each other.
static bool launches_do_not_overlap()
{
    Pair p = pair_make();
    capture_begin(p.first);
    LAUNCH(add_one, 1, COUNT, 0, p.first, p.y, p.x);
    LAUNCH(add_one, 1, COUNT, 0, p.first, p.x, p.y);
    cudaGraphExec_t exec = capture_end(p.first);
    CUDA(cudaGraphLaunch(exec, p.first));
    CUDA(cudaGraphLaunch(exec, p.second));
    CUDA(cudaGraphExecDestroy(exec)); // ends none of them
    CUDA(cudaDeviceSynchronize());
    return device_is(p.x, 5, p.first);
}

// A graph in a graph, with a copy to page-locked memory behind it.
static bool graphs_nest()
{
    Pair p = pair_make();
    int *host = host_make(0);
    capture_begin(p.first);
    LAUNCH(add_one, 1, COUNT, 0, p.first, p.y, p.x);
    cudaGraphExec_t inner = capture_end(p.first);
    capture_begin(p.first);
    CUDA(cudaGraphLaunch(inner, p.first));
    LAUNCH(add_one, 1, COUNT, 0, p.first, p.x, p.y);
    copy(host, p.x, cudaMemcpyDeviceToHost, p.first);
    cudaGraphExec_t outer = capture_end(p.first);
    for (int launches = 1; launches < 4; launches++) {
        CUDA(cudaGraphLaunch(outer, p.first));
        CUDA(cudaStreamSynchronize(p.first));
        if (!all_are(host, 1 + 2 * launches))
            return false;
    }
    return true;
}

// ---- what a capture does not bear ---------------------------------------------------------------

static Pair captured;
static void *memory;
static int on_stack[COUNT];

static const struct {
    cudaError_t (*call)();
    cudaError_t status;
} REFUSED[] = {
#define UNSUPPORTED(call)                                                                          \
    {                                                                                              \
        [] { return call; }, cudaErrorStreamCaptureUnsupported                                     \
    }
    UNSUPPORTED(cudaStreamSynchronize(captured.first)),
    UNSUPPORTED(cudaStreamQuery(captured.first)),
    UNSUPPORTED(cudaStreamDestroy(captured.first)),
    UNSUPPORTED(cudaDeviceSynchronize()),
    UNSUPPORTED(cudaMalloc(&memory, 1)),
    UNSUPPORTED(cudaFree(captured.y)),
    UNSUPPORTED(cudaHostAlloc(&memory, 1, cudaHostAllocDefault)),
    UNSUPPORTED(cudaFreeHost(NULL)),
    UNSUPPORTED(cudaEventQuery(captured.event)),
    UNSUPPORTED(cudaEventSynchronize(captured.event)),
    UNSUPPORTED(cudaMemcpyAsync(on_stack, captured.x, sizeof on_stack, cudaMemcpyDeviceToHost,
                                captured.first)),
    UNSUPPORTED(cudaMemcpyAsync(captured.x, on_stack, sizeof on_stack, cudaMemcpyHostToDevice,
                                captured.first)),
    {[] { return cudaStreamBeginCapture(captured.first, cudaStreamCaptureModeGlobal); },
     cudaErrorIllegalState},
    {[] { return cudaStreamWaitEvent(captured.first, captured.event, 0); },
     cudaErrorStreamCaptureIsolation},
    {[] {
         CUDA(cudaEventRecord(captured.event, captured.first));
         return cudaEventQuery(captured.event);
     },
     cudaErrorCapturedEvent},
};

// Each invalidates the capture, whose end says so; then the stream is as before.
static bool calls_are_refused()
{
    captured = pair_make();
    cudaGraph_t graph;
    cudaStreamCaptureStatus status;
    for (const auto &refused : REFUSED) {
        capture_begin(captured.first);
        CUDA(cudaStreamIsCapturing(captured.first, &status));
        if (status != cudaStreamCaptureStatusActive || refused.call() != refused.status)
            return false;
        CUDA(cudaStreamIsCapturing(captured.first, &status));
        if (status != cudaStreamCaptureStatusInvalidated ||
            cudaMemsetAsync(captured.x, 0, COUNT, captured.first) !=
                cudaErrorStreamCaptureInvalidated ||
            cudaStreamEndCapture(captured.first, &graph) != cudaErrorStreamCaptureInvalidated ||
            graph)
            return false;
        CUDA(cudaEventRecord(captured.event, captured.first));
    }
    CUDA(cudaStreamIsCapturing(captured.first, &status));
    return status == cudaStreamCaptureStatusNone && device_is(captured.x, 1, captured.first) &&
           cudaStreamEndCapture(captured.first, &graph) == cudaErrorIllegalState &&
           cudaStreamBeginCapture(NULL, cudaStreamCaptureModeGlobal) ==
               cudaErrorStreamCaptureUnsupported;
}

// Captures have nothing to do with each other, and end where they began.
static bool captures_stay_apart()
{
    Pair p = pair_make();
    cudaGraph_t graph;
    capture_begin(p.first);
    capture_begin(p.second);
    CUDA(cudaEventRecord(p.event, p.first));
    if (cudaStreamWaitEvent(p.second, p.event, 0) != cudaErrorStreamCaptureMerge ||
        cudaStreamEndCapture(p.first, &graph) != cudaErrorStreamCaptureInvalidated ||
        cudaStreamEndCapture(p.second, &graph) != cudaErrorStreamCaptureInvalidated)
        return false;
    capture_begin(p.first);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaStreamWaitEvent(p.second, p.event, 0));
    return cudaStreamEndCapture(p.second, &graph) == cudaErrorStreamCaptureUnmatched &&
           cudaStreamEndCapture(p.first, &graph) == cudaErrorStreamCaptureInvalidated;
}

static const Case CASES[] = {
    {"a graph of two streams", a_graph_runs_again<true>, RIGHT, NULL, NULL, {}},
    {"a graph without a wait that it needs",
     a_graph_runs_again<false>,
     OTHER_RESULT,
     NULL,
     NULL,
     {}},
    {"a wait left out of a graph",
     a_graph_runs_again<true>,
     OTHER_RESULT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_DROP_WAIT=@APART"}},
    {"a stream that does not come back",
     a_graph_runs_again<false>,
     STOPPED,
     "cudaErrorStreamCaptureUnjoined",
     NULL,
     {"CUDA_ON_CPU_DROP_WAIT=@JOIN"}},
    {"launches of one graph", launches_do_not_overlap, RIGHT, NULL, NULL, {}},
    {"a graph in a graph", graphs_nest, RIGHT, NULL, NULL, {}},
    {"calls that a capture does not bear", calls_are_refused, RIGHT, NULL, NULL, {}},
    {"two captures", captures_stay_apart, RIGHT, NULL, NULL, {}},
};

int main()
{
    return CASES_RUN(CASES, __FILE__);
}
