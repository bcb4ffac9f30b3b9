// inside.h - what the emulator's own files share: settings, reports, fibers, memory between guards.

#ifndef L2A_TESTS_CUDA_ON_CPU_INSIDE_H
#define L2A_TESTS_CUDA_ON_CPU_INSIDE_H

#include "tests/cuda_on_cpu/emulator.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

enum { WARP = 32, MOST_THREADS = 1024, EXIT_WRONG = 70 };

// ---- settings.cpp -------------------------------------------------------------------------------

// A call that is to fail: the `number`-th, from 1, of a rank; 0: none.
struct Failure {
    int rank, number;
    char call[64];
};

struct Settings {
    uint64_t seed;
    int pattern;      // a byte of memory that nobody has written
    const char *drop; // "kernel file:line" or NULL
    int drop_line;
    const char *barriers;  // a path or NULL
    const char *drop_wait; // "file:line" or NULL
    int drop_wait_line;
    const char *waits; // a path or NULL
    int devices;
    size_t memory_bytes; // of a device
    bool strict;
    Failure fails, nccl_fails;
    bool nccl_hangs, nccl_alone;
};

const Settings &settings();

// This process's rank, once MPI has begun; 0 without it.
extern int process_rank;

// A number below `count`, from the seed, for what a launch does.
unsigned draw(unsigned count);
// Begins the draws of a launch: they depend on the seed alone.
void draws_begin();
// The same for the order of streams.
unsigned draw_turn(unsigned count);

// ---- report.cpp ---------------------------------------------------------------------------------

// Prints what is wrong, with the kernel, block and thread that run, and ends the program.
[[noreturn]] void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The kernel that runs, NULL between launches.
extern const char *running_kernel;

// Whether a thread of the kernel that runs may pass this barrier: it is the one to be left out.
bool barrier_left_out(Site site);
// The same of a call that makes a stream wait.
bool wait_left_out(Site site);

// A source's name without its folders.
const char *file_name(const char *path);

// ---- fiber.cpp ----------------------------------------------------------------------------------

// A stack of its own. `number` says which stack; a fiber that has ended can be made again.
struct Fiber {
    void *stack_pointer;
    unsigned number;
    void *fake_stack; // AddressSanitizer's
    void *shadow;     // ThreadSanitizer's
};

// For ThreadSanitizer the threads of a block and of the next one are different: sets of fibers take
// turns.
enum { FIBER_SETS = WITH_THREAD_SANITIZER ? 2 : 1 };

void fiber_make(Fiber *fiber, unsigned number, void (*entry)());
// The fiber that the program began with.
Fiber *fiber_main();
// From the running fiber to another one; `ends`: the running one is not gone back to.
void fiber_switch(Fiber *from, Fiber *to, bool ends);
// First thing in an entry.
void fiber_begins();

// ---- guarded.cpp --------------------------------------------------------------------------------

// Memory that ends just before a page that cannot be touched, but for what its alignment needs.
struct Guarded {
    const char *name;
    char *pages; // with the guards
    size_t mapped;
    bool in_arena; // whose guards are marks
    char *memory;  // what is used now
    size_t bytes;
    Guarded *next;
};

void guarded_make(Guarded *guarded, const char *name, size_t most_bytes);
// The same in the arena.
void guarded_make_in_arena(Guarded *guarded, const char *name, size_t most_bytes);
void guarded_free(Guarded *guarded);
// Places `bytes` against the guard behind, aligned, filled with the settings' pattern.
void guarded_place(Guarded *guarded, size_t bytes, size_t alignment);
// Reports bytes around the memory that were written.
void guarded_check(const Guarded *guarded);
// Names the place that an address lies at, "" if it is none of ours.
const char *guarded_describe(const void *address);

// ---- arena.cpp ----------------------------------------------------------------------------------

// Between the two, which may be nested, memory in the arena can be touched.
void arena_open();
void arena_close();
bool arena_is_closed_at(const void *address);
// A range of whole pages.
char *arena_take(size_t bytes);
void arena_give(char *first);

// Opens the arena as long as it lives.
struct ArenaOpened {
    ArenaOpened()
    {
        arena_open();
    }
    ~ArenaOpened()
    {
        arena_close();
    }
};

// ---- shared.cpp ---------------------------------------------------------------------------------

void shared_begin(size_t dynamic_bytes);
void shared_end();

// ---- block.cpp, warp.cpp, copies.cpp ------------------------------------------------------------

// What a thread waits for, or does with its warp.
enum class Doing {
    RUN,
    BARRIER,
    BARRIER_OR,
    WARP_BARRIER,
    VOTE,
    SUM,
    SHUFFLE,
    LOAD,
    MULTIPLY,
    END
};

struct Copy {
    void *to;
    const void *from;
    int bytes, group;
};

enum { MOST_COPIES = 256 };

struct Thread {
    Fiber fiber;
    uint3 index;
    unsigned number;
    Doing doing;
    Site site;
    unsigned mask; // of the lanes that meet
    void *place;   // what this thread brings to a meeting
    bool predicate;
    Copy copies[MOST_COPIES]; // a ring
    unsigned copies_first, copies_count;
    int group; // of the next copy
};

// The thread that runs, and the others of the block.
Thread *thread_running();
Thread *thread_of(unsigned number);
unsigned threads_of_block();

// Lets a waiting thread run again.
void thread_wake(Thread *thread);
// Lets others run until this thread is woken.
void thread_wait();
// Lets others run, perhaps.
void thread_yield();

void block_run(const Launch &launch);
// The set of fibers of the block that runs.
unsigned fiber_set();
// For ThreadSanitizer: the threads of a launch come before what follows it.
void launch_ends();
void warps_begin();
void copies_end(Thread *thread);

// ---- device.cpp ---------------------------------------------------------------------------------

// Dynamic shared memory that a kernel may ask for.
size_t shared_allowed(const void *kernel);

} // namespace cuda_on_cpu

#endif
