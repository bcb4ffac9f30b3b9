// events.cpp - places in streams that others wait for.
//
// A wait refers to the last record at the time of the call: an event that is recorded again later
// does not change it, and waiting for one that was never recorded is nothing.

#include <sched.h>

#include "tests/cuda_on_cpu/streams.h"

using namespace cuda_on_cpu;

struct CUevent_st {
    std::shared_ptr<const Record> last; // NULL: never recorded
    std::shared_ptr<Capture> capture;   // that the last record is part of, behind these nodes
    std::vector<size_t> nodes;
};

// Of a call that waits for an event, or asks for it.
static cudaError_t captured(cudaEvent_t event)
{
    if (event->capture)
        return capture_invalidate(event->capture.get(), cudaErrorCapturedEvent);
    return capture_refuses();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    if (cudaError_t status = call_begins("cudaEventCreateWithFlags"))
        return status;
    if (flags & ~(cudaEventBlockingSync | cudaEventDisableTiming))
        return cudaErrorInvalidValue;
    *event = new CUevent_st();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    if (cudaError_t status = call_begins("cudaEventDestroy"))
        return status;
    if (!event)
        return cudaErrorInvalidResourceHandle;
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaEventRecord"))
        return status;
    cudaStream_t recorded = stream_of_call(stream);
    if (!event || !recorded)
        return cudaErrorInvalidResourceHandle;
    event->capture = recorded->capture;
    event->nodes = recorded->last_nodes;
    if (recorded->capture)
        return recorded->capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    std::shared_ptr<Record> record = std::make_shared<Record>(Record{recorded, false});
    event->last = record;
    return enqueue_work(stream, "an event's record", [record] { record->reached = true; });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags,
                                const char *file, int line)
{
    if (cudaError_t status = call_begins("cudaStreamWaitEvent"))
        return status;
    cudaStream_t waits = stream_of_call(stream);
    if (!event || !waits)
        return cudaErrorInvalidResourceHandle;
    if (flags != 0)
        return cudaErrorInvalidValue;
    if (wait_left_out({file, line}))
        return cudaSuccess;
    if (event->capture)
        return capture_join(waits, event->capture, event->nodes);
    if (waits->capture)
        return capture_invalidate(waits->capture.get(), cudaErrorStreamCaptureIsolation);
    return event->last ? enqueue_wait(waits, event->last) : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (cudaError_t status = call_begins("cudaEventQuery"))
        return status;
    if (!event)
        return cudaErrorInvalidResourceHandle;
    if (cudaError_t status = captured(event))
        return status;
    if (!event->last || event->last->reached)
        return cudaSuccess;
    if (!streams_step(event->last->stream)) // as in cudaStreamQuery
        sched_yield();
    return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event, const char *file, int line)
{
    if (cudaError_t status = call_begins("cudaEventSynchronize"))
        return status;
    if (!event)
        return cudaErrorInvalidResourceHandle;
    if (cudaError_t status = captured(event))
        return status;
    if (wait_left_out({file, line}))
        return cudaSuccess;
    std::shared_ptr<const Record> last = event->last;
    if (last && !last->reached)
        streams_wait(last->stream, [last] { return last->reached; });
    memory_check();
    return cudaSuccess;
}
