// capture.cpp - streams whose operations become a graph instead of being run.
//
// A capture spreads to a stream that waits for an event of it, and must have come back to the
// stream where it began when it ends. One thread: its modes do not differ.

#include <algorithm>

#include "tests/cuda_on_cpu/graph.h"
#include "tests/cuda_on_cpu/streams.h"

namespace cuda_on_cpu
{

static std::vector<std::shared_ptr<Capture>> captures; // that have not ended

cudaError_t capture_invalidate(Capture *capture, cudaError_t status)
{
    capture->invalid = true;
    return status;
}

cudaError_t capture_refuses(cudaStream_t stream)
{
    cudaStream_t asked = stream_of_call(stream);
    if (!asked || !asked->capture)
        return cudaSuccess;
    return capture_invalidate(asked->capture.get(), cudaErrorStreamCaptureUnsupported);
}

cudaError_t capture_refuses()
{
    for (const std::shared_ptr<Capture> &capture : captures)
        capture->invalid = true;
    return captures.empty() ? cudaSuccess : cudaErrorStreamCaptureUnsupported;
}

cudaError_t capture_append(cudaStream_t stream, const char *name, const Maker &maker)
{
    Capture *capture = stream->capture.get();
    if (capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    capture->nodes.push_back({name, maker, stream->last_nodes});
    stream->last_nodes = {capture->nodes.size() - 1};
    return cudaSuccess;
}

static void capture_add(const std::shared_ptr<Capture> &capture, cudaStream_t stream)
{
    stream->capture = capture;
    stream->last_nodes.clear();
    capture->streams.push_back(stream);
}

cudaError_t capture_join(cudaStream_t stream, const std::shared_ptr<Capture> &capture,
                         const std::vector<size_t> &nodes)
{
    if (!capture->origin)
        return cudaErrorCapturedEvent;
    if (stream->capture && stream->capture != capture) {
        stream->capture->invalid = true;
        return capture_invalidate(capture.get(), cudaErrorStreamCaptureMerge);
    }
    if (capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (!stream->capture)
        capture_add(capture, stream);
    for (size_t node : nodes) {
        std::vector<size_t> &last = stream->last_nodes;
        if (std::find(last.begin(), last.end(), node) == last.end())
            last.push_back(node);
    }
    return cudaSuccess;
}

// Whether the origin's last nodes come behind all nodes. A node's number is above those before it.
static bool is_joined(const Capture &capture)
{
    std::vector<bool> behind(capture.nodes.size());
    for (size_t node : capture.origin->last_nodes)
        behind[node] = true;
    for (size_t i = capture.nodes.size(); i > 0; i--) {
        for (size_t node : capture.nodes[i - 1].after)
            behind[node] = behind[node] || behind[i - 1];
    }
    return std::find(behind.begin(), behind.end(), false) == behind.end();
}

static void capture_end(const std::shared_ptr<Capture> &capture)
{
    for (cudaStream_t stream : capture->streams) {
        stream->capture = NULL;
        stream->last_nodes.clear();
    }
    capture->origin = NULL;
    captures.erase(std::find(captures.begin(), captures.end(), capture));
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (cudaError_t status = call_begins("cudaStreamBeginCapture"))
        return status;
    if (!stream)
        return cudaErrorStreamCaptureUnsupported;
    if (!stream_of_call(stream))
        return cudaErrorInvalidResourceHandle;
    if (stream->capture)
        return capture_invalidate(stream->capture.get(), cudaErrorIllegalState);
    std::shared_ptr<Capture> capture = std::make_shared<Capture>();
    capture->origin = stream;
    capture_add(capture, stream);
    captures.push_back(capture);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = NULL;
    if (cudaError_t status = call_begins("cudaStreamEndCapture"))
        return status;
    if (!stream || !stream_of_call(stream))
        return cudaErrorInvalidResourceHandle;
    std::shared_ptr<Capture> capture = stream->capture;
    if (!capture)
        return cudaErrorIllegalState;
    if (capture->origin != stream)
        return capture_invalidate(capture.get(), cudaErrorStreamCaptureUnmatched);
    bool joined = is_joined(*capture);
    capture_end(capture);
    if (capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (!joined)
        return cudaErrorStreamCaptureUnjoined;
    *graph = new CUgraph_st{capture->nodes};
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    if (cudaError_t failed = call_begins("cudaStreamIsCapturing"))
        return failed;
    cudaStream_t asked = stream_of_call(stream);
    if (!asked)
        return cudaErrorInvalidResourceHandle;
    *status = !asked->capture           ? cudaStreamCaptureStatusNone
              : asked->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
