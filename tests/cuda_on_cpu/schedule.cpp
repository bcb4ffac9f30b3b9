// schedule.cpp - whose turn it is (streams.h).

#include "tests/cuda_on_cpu/streams.h"

#include <sched.h>

#include <algorithm>
#include <vector>

namespace cuda_on_cpu
{

enum {
    LATE = 40,       // questions in a row after which even seed 0 lets streams go on
    FAVOUR = 16,     // one of so many turns another stream is made the favourite
    MOST_CALLS = 32, // in a row that are alike
};

static std::vector<cudaStream_t> streams;  // owned
static std::vector<cudaStream_t> defaults; // by device; of `streams`, NULL until it is used
static cudaStream_t favourite;             // of `streams`

void (*streams_idle)();

static bool runs_ahead()
{
    return settings().seed > 1 && settings().seed % 2 == 1;
}

// ---- streams ------------------------------------------------------------------------------------

static cudaStream_t stream_make(int device)
{
    cudaStream_t stream = new CUstream_st();
    stream->device = device;
    streams.push_back(stream);
    return stream;
}

static cudaStream_t default_stream()
{
    size_t device = static_cast<size_t>(device_current());
    if (defaults.size() <= device)
        defaults.resize(device + 1);
    if (!defaults[device])
        defaults[device] = stream_make(device_current());
    return defaults[device];
}

cudaStream_t stream_of_call(cudaStream_t stream)
{
    if (!stream)
        return default_stream();
    bool ours = std::find(streams.begin(), streams.end(), stream) != streams.end();
    return ours && !stream->destroyed && stream->device == device_current() ? stream : NULL;
}

static void stream_free_if_done(cudaStream_t stream)
{
    if (!stream->destroyed || !stream->queue.empty())
        return;
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    if (favourite == stream)
        favourite = NULL;
    delete stream;
}

// ---- turns --------------------------------------------------------------------------------------

// Whether the head of the queue got on.
static bool head_goes_on(cudaStream_t stream)
{
    if (stream->queue.empty() || device_has_failed())
        return false;
    Step step = stream->queue.front().advance();
    if (step == Step::ENDED) {
        stream->queue.pop_front();
        stream_free_if_done(stream);
    }
    return step != Step::WAITS;
}

static cudaStream_t favourite_of_turn()
{
    if (!favourite || draw_turn(FAVOUR) == 0)
        favourite = streams[draw_turn(static_cast<unsigned>(streams.size()))];
    return favourite;
}

// One head gets on, in drawn order; whether one could.
static bool any_goes_on()
{
    if (streams.empty())
        return false;
    if (runs_ahead() && head_goes_on(favourite_of_turn()))
        return true;
    size_t count = streams.size();
    size_t first = settings().seed < 2 ? 0 : draw_turn(static_cast<unsigned>(count));
    for (size_t i = 0; i < count; i++) {
        if (head_goes_on(streams[(first + i) % count]))
            return true;
    }
    return false;
}

// One head gets on that the stream's head waits for, no other.
static bool goal_goes_on(cudaStream_t stream)
{
    while (!stream->queue.empty()) {
        const Operation &head = stream->queue.front();
        if (!head.awaited || head.awaited->reached)
            return head_goes_on(stream);
        stream = head.awaited->stream;
    }
    return false;
}

bool streams_step(cudaStream_t goal)
{
    ArenaOpened opened;
    return (settings().seed == 0 && goal && goal_goes_on(goal)) || any_goes_on();
}

// How many heads run at a call. For some calls in a row there are none, or few, or many: draws that
// do not depend on each other would hardly ever let a queue become long.
static unsigned heads_of_call()
{
    static const unsigned MOST[] = {0, 0, 1, 15};
    static unsigned most, calls;
    if (calls-- == 0) {
        most = MOST[draw_turn(4)];
        calls = draw_turn(MOST_CALLS);
    }
    return draw_turn(most + 1);
}

void streams_go_on()
{
    if (settings().seed == 0)
        return;
    ArenaOpened opened;
    if (settings().seed == 1) {
        while (any_goes_on()) {
        }
        return;
    }
    for (unsigned left = heads_of_call(); left > 0; left--) {
        if (!(runs_ahead() && !streams.empty() ? head_goes_on(favourite_of_turn()) : any_goes_on()))
            return;
    }
}

void streams_asked(bool answered)
{
    static int asked;
    asked = answered ? 0 : asked + 1;
    if (settings().seed > 0 || asked > LATE)
        streams_step(NULL);
}

static void nothing_goes_on()
{
    if (streams_idle)
        return streams_idle();
    for (cudaStream_t stream : streams) {
        if (!stream->queue.empty())
            wrong("a stream's head cannot go on, and nobody will change that: %s",
                  stream->queue.front().name);
    }
    wrong("what a call waits for was never asked of a stream");
}

void streams_wait(cudaStream_t goal, const std::function<bool()> &holds)
{
    ArenaOpened opened;
    while (!holds()) {
        if (!streams_step(goal))
            nothing_goes_on();
    }
}

void streams_drain()
{
    int device = device_current();
    streams_wait(NULL, [device] {
        return std::all_of(streams.begin(), streams.end(), [device](cudaStream_t stream) {
            return stream->device != device || stream->queue.empty();
        });
    });
    memory_check();
}

static cudaError_t append(cudaStream_t stream, const Operation &operation)
{
    stream->queue.push_back(operation);
    streams_go_on();
    return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, const char *name, const Maker &maker)
{
    cudaStream_t to = stream_of_call(stream);
    if (!to)
        return cudaErrorInvalidResourceHandle;
    return to->capture ? capture_append(to, name, maker) : append(to, {name, maker(), NULL});
}

cudaError_t enqueue_wait(cudaStream_t stream, const std::shared_ptr<const Record> &awaited)
{
    return append(stream_of_call(stream),
                  {"a wait for an event",
                   [awaited] { return awaited->reached ? Step::ENDED : Step::WAITS; }, awaited});
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    if (cudaError_t status = call_begins("cudaStreamCreateWithFlags"))
        return status;
    if (flags != cudaStreamNonBlocking) // others would have to wait for the default stream
        return cudaErrorNotSupported;
    *stream = stream_make(device_current());
    return cudaSuccess;
}

// What it holds is still done.
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaStreamDestroy"))
        return status;
    if (!stream || !stream_of_call(stream))
        return cudaErrorInvalidResourceHandle;
    if (cudaError_t status = capture_refuses(stream))
        return status;
    stream->destroyed = true;
    stream_free_if_done(stream);
    return cudaSuccess;
}

// Who asks again and again gets an answer in the end.
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaStreamQuery"))
        return status;
    cudaStream_t asked = stream_of_call(stream);
    if (!asked)
        return cudaErrorInvalidResourceHandle;
    if (cudaError_t status = capture_refuses(asked))
        return status;
    if (asked->queue.empty())
        return cudaSuccess;
    if (!streams_step(asked))
        sched_yield(); // to a rank whose message it may need
    return cudaErrorNotReady;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (cudaError_t status = call_begins("cudaStreamSynchronize"))
        return status;
    cudaStream_t waited = stream_of_call(stream);
    if (!waited)
        return cudaErrorInvalidResourceHandle;
    if (cudaError_t status = capture_refuses(waited))
        return status;
    streams_wait(waited, [waited] { return waited->queue.empty(); });
    memory_check();
    return cudaSuccess;
}
