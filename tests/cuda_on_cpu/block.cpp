// block.cpp - the threads of a block: who runs next, and barriers of them all.
//
// Orders by seed: 0 first come, first served; 1 the reverse; odd ones last come, first served over
// warps and lanes that are shuffled at each barrier, so that one warp runs ahead as far as it can,
// which uniform draws hardly ever do; even ones uniform.

#include <stdio.h>
#include <stdlib.h>

#include <utility>

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

enum { YIELDS = 4 }; // one of so many atomic operations lets others run first

static Thread threads[MOST_THREADS];
static unsigned count, waiting, ended; // threads of the block, at a barrier, done
static bool any;                       // of the last barrier that asked
static Thread *running;                // NULL: the main fiber
static const Launch *launched;

// What ThreadSanitizer is told: threads that leave a barrier come after all that reached it. Two
// places take turns, since a thread may reach the next barrier before another has left this one.
static char barrier_places[FIBER_SETS][2], begin_place, end_place;
static unsigned barrier_round, set;

// Threads that may run, in the order in which they came.
static unsigned ready[MOST_THREADS], ready_first, ready_count;

Thread *thread_running()
{
    return running;
}

Thread *thread_of(unsigned number)
{
    return &threads[number];
}

unsigned threads_of_block()
{
    return count;
}

void thread_wake(Thread *thread)
{
    thread->doing = Doing::RUN;
    ready[(ready_first + ready_count++) % MOST_THREADS] = thread->number;
}

static Thread *ready_take()
{
    uint64_t seed = settings().seed;
    if (seed == 0) {
        ready_count--;
        return &threads[ready[ready_first++ % MOST_THREADS]];
    }
    unsigned last = (ready_first + ready_count - 1) % MOST_THREADS;
    if (seed % 2 == 0)
        std::swap(ready[(ready_first + draw(ready_count)) % MOST_THREADS], ready[last]);
    ready_count--;
    return &threads[ready[last]];
}

// ---- what is told of threads that cannot go on --------------------------------------------------

static const char *name_of(Doing doing)
{
    switch (doing) {
    case Doing::RUN:
        return "running";
    case Doing::BARRIER:
        return "__syncthreads";
    case Doing::BARRIER_OR:
        return "__syncthreads_or";
    case Doing::WARP_BARRIER:
        return "__syncwarp";
    case Doing::VOTE:
        return "__ballot_sync";
    case Doing::SUM:
        return "__reduce_add_sync";
    case Doing::SHUFFLE:
        return "a shuffle";
    case Doing::LOAD:
        return "matrices_load";
    case Doing::MULTIPLY:
        return "multiply_add";
    case Doing::END:
        return "ended";
    }
    return "";
}

static size_t place_tell(char *to, size_t room, const Thread &t)
{
    bool somewhere = t.doing != Doing::END && t.doing != Doing::RUN;
    int length = somewhere ? snprintf(to, room, "at %s %s:%d", name_of(t.doing),
                                      file_name(t.site.file), t.site.line)
                           : snprintf(to, room, "%s", name_of(t.doing));
    return static_cast<size_t>(length);
}

// "96 threads at __syncthreads rows.cu:12; 32 threads ended".
static const char *threads_tell()
{
    static char text[2048];
    static bool told[MOST_THREADS];
    size_t length = 0;
    for (unsigned i = 0; i < count; i++)
        told[i] = false;
    for (unsigned i = 0; i < count && length < sizeof text; i++) {
        const Thread &t = threads[i];
        int alike = 0;
        for (unsigned j = i; j < count && !told[i]; j++) {
            bool same = threads[j].doing == t.doing && threads[j].site.line == t.site.line &&
                        threads[j].site.file == t.site.file;
            told[j] = told[j] || (j > i && same);
            alike += same;
        }
        if (alike == 0)
            continue;
        length += static_cast<size_t>(snprintf(text + length, sizeof text - length, "%s%d threads ",
                                               length > 0 ? "; " : "", alike));
        if (length < sizeof text)
            length += place_tell(text + length, sizeof text - length, t);
    }
    return text;
}

// ---- turns --------------------------------------------------------------------------------------

static void go(Fiber *from, Thread *to, bool ends)
{
    running = to;
    if (to)
        threadIdx = to->index;
    fiber_switch(from, to ? &to->fiber : fiber_main(), ends);
}

static Thread *next_thread()
{
    if (ready_count > 0)
        return ready_take();
    if (ended < count)
        wrong("threads wait for each other: %s", threads_tell());
    return NULL;
}

void thread_wait()
{
    Thread *self = running;
    go(&self->fiber, next_thread(), false);
}

void thread_yield()
{
    if (settings().seed < 2 || draw(YIELDS) > 0)
        return;
    thread_wake(running);
    thread_wait();
}

static void shuffle_order(unsigned *order, unsigned number)
{
    for (unsigned i = 0; i < number; i++)
        order[i] = i;
    for (unsigned i = number; i > 1; i--)
        std::swap(order[i - 1], order[draw(i)]);
}

static void wake_all()
{
    unsigned warps[MOST_THREADS / WARP], lanes[WARP], warp_count = (count + WARP - 1) / WARP;
    bool ahead = settings().seed > 1 && settings().seed % 2 == 1;
    for (unsigned w = 0; w < warp_count; w++)
        warps[w] = w;
    for (unsigned l = 0; l < WARP; l++)
        lanes[l] = l;
    if (ahead) {
        shuffle_order(warps, warp_count);
        shuffle_order(lanes, WARP);
    }
    for (unsigned w = 0; w < warp_count; w++) {
        for (unsigned l = 0; l < WARP; l++) {
            unsigned i = warps[w] * WARP + lanes[l];
            if (i < count)
                thread_wake(&threads[i]);
        }
    }
}

// ---- barriers -----------------------------------------------------------------------------------

// Lets all go on once the last one has come. Threads that ended would not hold a GPU up, but a
// barrier that some never reach is not meant.
static void barrier_check()
{
    if (waiting == 0 || waiting + ended < count)
        return;
    if (ended > 0)
        wrong("a barrier that not all threads reach: %s", threads_tell());
    any = false;
    for (unsigned i = 0; i < count; i++) {
        const Thread &t = threads[i], &first = threads[0];
        if (t.site.line != first.site.line || t.site.file != first.site.file)
            wrong("threads at different barriers: %s", threads_tell());
        any = any || t.predicate;
    }
    waiting = 0;
    barrier_round++;
    wake_all();
}

static void barrier_reach(Doing doing, Site site, bool predicate)
{
    Thread *self = running;
    self->doing = doing;
    self->site = site;
    self->predicate = predicate;
    waiting++;
    char *place = &barrier_places[set][barrier_round % 2];
    __tsan_release(place);
    barrier_check();
    thread_wait();
    __tsan_acquire(place);
}

void block_meet(Site site)
{
    if (!barrier_left_out(site))
        barrier_reach(Doing::BARRIER, site, false);
}

bool block_any(bool predicate, Site site)
{
    barrier_reach(Doing::BARRIER_OR, site, predicate);
    return any;
}

void atomic_begins(const void *place, size_t bytes)
{
    thread_yield();
    __msan_check_mem_is_initialized(place, bytes);
}

// ---- a block ------------------------------------------------------------------------------------

static void thread_entry()
{
    fiber_begins();
    Thread *self = running;
    __tsan_acquire(&begin_place);
    launched->body();
    copies_end(self);
    __tsan_release(&end_place);
    self->doing = Doing::END;
    ended++;
    barrier_check();
    go(&self->fiber, next_thread(), true);
    abort(); // an ended thread is not woken
}

unsigned fiber_set()
{
    return set;
}

void launch_ends()
{
    __tsan_acquire(&end_place);
}

void block_run(const Launch &launch)
{
    set = (set + 1) % FIBER_SETS;
    launched = &launch;
    count = launch.block.x * launch.block.y * launch.block.z;
    waiting = ended = 0;
    ready_first = ready_count = 0;
    shared_begin(launch.shared_bytes);
    __tsan_release(&begin_place);
    warps_begin();
    for (unsigned i = 0; i < count; i++) {
        Thread *t = &threads[i];
        fiber_make(&t->fiber, set * MOST_THREADS + i, thread_entry);
        t->index = {i % launch.block.x, i / launch.block.x % launch.block.y,
                    i / (launch.block.x * launch.block.y)};
        t->number = i;
        t->copies_first = t->copies_count = 0;
        t->group = 0;
    }
    wake_all();
    go(fiber_main(), next_thread(), false);
    shared_end();
}

} // namespace cuda_on_cpu
