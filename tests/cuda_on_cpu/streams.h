// streams.h - the queues of the devices' work, and who works them off.
//
// What is asked of a stream enters its queue. There are no threads: each call of the runtime lets
// some heads of queues run, and a call that has to wait runs heads until what it waits for holds.
// Which heads, and how many, is drawn by the seed: 0 as late as possible, 1 as early as possible;
// with odd ones a stream that is drawn now and then runs ahead of all others, which uniform draws
// hardly ever let happen; with even ones uniform.

#ifndef L2A_TESTS_CUDA_ON_CPU_STREAMS_H
#define L2A_TESTS_CUDA_ON_CPU_STREAMS_H

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "tests/cuda_on_cpu/inside.h"

namespace cuda_on_cpu
{

// WAITS: cannot go on now; BEGUN: has got on, and is to be called again.
enum class Step { WAITS, BEGUN, ENDED };

struct Capture;

// An operation under way, called until it has ended.
typedef std::function<Step()> Advance;
// Gives the operation that enters a queue: at the call, or at each launch of a graph that holds it.
typedef std::function<Advance()> Maker;

// A place in a stream, which the stream has passed once `reached`.
struct Record {
    cudaStream_t stream; // borrowed; there until the place is reached
    bool reached;
};

struct Operation {
    const char *name;
    Advance advance;
    std::shared_ptr<const Record> awaited; // or NULL
};

} // namespace cuda_on_cpu

struct CUstream_st {
    int device;
    std::deque<cuda_on_cpu::Operation> queue;
    bool destroyed;                                // once its queue is empty
    std::shared_ptr<cuda_on_cpu::Capture> capture; // that takes what is asked of it, or NULL
    std::vector<size_t> last_nodes;                // of the capture, which what comes next follows
};

namespace cuda_on_cpu
{

// ---- capture.cpp --------------------------------------------------------------------------------

// An operation of a graph, and those that come before it.
struct Node {
    const char *name;
    Maker maker;
    std::vector<size_t> after;
};

struct Capture {
    cudaStream_t origin;               // where it began; NULL once it has ended
    std::vector<cudaStream_t> streams; // that it takes from
    bool invalid;
    std::vector<Node> nodes;
};

// Of a call that a stream which is captured does not bear: invalidates the capture.
cudaError_t capture_refuses(cudaStream_t stream);
// The same of a call that no capture bears.
cudaError_t capture_refuses();
// Takes an operation of a stream that is captured.
cudaError_t capture_append(cudaStream_t stream, const char *name, const Maker &maker);
// A stream comes behind a place in a capture that the nodes make up, and is captured with it.
cudaError_t capture_join(cudaStream_t stream, const std::shared_ptr<Capture> &capture,
                         const std::vector<size_t> &nodes);
// With this error.
cudaError_t capture_invalidate(Capture *capture, cudaError_t status);

// ---- schedule.cpp -------------------------------------------------------------------------------

// The stream itself, or the current device's default stream; NULL where it is of another device.
cudaStream_t stream_of_call(cudaStream_t stream);

// Appends to the stream. `name` is a literal.
cudaError_t enqueue(cudaStream_t stream, const char *name, const Maker &maker);

// Appends what is done in one go.
template <class Work> cudaError_t enqueue_work(cudaStream_t stream, const char *name, Work work)
{
    return enqueue(stream, name, [work] {
        return Advance([work] {
            work();
            return Step::ENDED;
        });
    });
}

// The stream waits until another one has passed a place.
cudaError_t enqueue_wait(cudaStream_t stream, const std::shared_ptr<const Record> &awaited);

// Some heads run.
void streams_go_on();
// Heads run until the condition holds; `goal`: the stream that it depends on, NULL: on all.
void streams_wait(cudaStream_t goal, const std::function<bool()> &holds);
// After a question of the host, and whether the answer was what it waits for: who asks again and
// again waits as well, so that heads run.
void streams_asked(bool answered);
// One head runs, towards the goal; whether one could.
bool streams_step(cudaStream_t goal);
// Until all streams of the current device are empty.
void streams_drain();

// What is to be done when no head can go on: it sleeps, and others' messages may come meanwhile.
// NULL: nothing would change that.
extern void (*streams_idle)();

// ---- device.cpp ---------------------------------------------------------------------------------

// First in each call: an error that it returns at once. Some heads may run.
cudaError_t call_begins(const char *call);

// Then nothing runs any more.
bool device_has_failed();

int device_current();

// ---- memory.cpp ---------------------------------------------------------------------------------

// Calls of cudaMemcpyAsync so far.
extern unsigned long copies_asked;
// Reports bytes around the blocks of all memory that were written.
void memory_check();
// Whether a device can use the bytes.
bool memory_is_reachable(const void *from, size_t bytes);

} // namespace cuda_on_cpu

#endif
