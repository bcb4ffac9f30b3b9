// events.cpp - places in streams that others wait for.
//
// A wait refers to the last record at the time of the call: an event that is recorded again later
// does not change it, and waiting for one that was never recorded is nothing.

#include "tests/cuda_on_cpu/streams.h"

using namespace cuda_on_cpu;

struct CUevent_st {
    std::shared_ptr<const Record> last; // NULL: never recorded
};

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
    std::shared_ptr<Record> record = std::make_shared<Record>(Record{recorded, false});
    event->last = record;
    return enqueue_work(stream, "an event's record", [record] { record->reached = true; });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags,
                                const char *file, int line)
{
    if (cudaError_t status = call_begins("cudaStreamWaitEvent"))
        return status;
    if (!event || !stream_of_call(stream))
        return cudaErrorInvalidResourceHandle;
    if (flags != 0)
        return cudaErrorInvalidValue;
    if (wait_left_out({file, line}) || !event->last)
        return cudaSuccess;
    return enqueue_wait(stream, event->last);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (cudaError_t status = call_begins("cudaEventQuery"))
        return status;
    if (!event)
        return cudaErrorInvalidResourceHandle;
    if (!event->last || event->last->reached)
        return cudaSuccess;
    streams_step(event->last->stream); // as in cudaStreamQuery
    return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (cudaError_t status = call_begins("cudaEventSynchronize"))
        return status;
    if (!event)
        return cudaErrorInvalidResourceHandle;
    std::shared_ptr<const Record> last = event->last;
    if (last && !last->reached)
        streams_wait(last->stream, [last] { return last->reached; });
    memory_check();
    return cudaSuccess;
}
