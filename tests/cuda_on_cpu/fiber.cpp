// fiber.cpp - stacks, and the switch from one to another.
//
// The switch is by hand: the C library's makes a system call each time, and a test makes millions.
// Stacks lie between guards, so that a full one faults.

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

// Saves what a function must leave as it was, and the stack, at *from; goes on where `to` was
// saved.
extern "C" void cuda_on_cpu_switch(void **from, void *to);
asm(R"(
.text
.globl cuda_on_cpu_switch
.type cuda_on_cpu_switch, @function
cuda_on_cpu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size cuda_on_cpu_switch, . - cuda_on_cpu_switch
)");

namespace cuda_on_cpu
{

enum {
    GUARD_BYTES = 4096,
    STACK_BYTES =
        256 << 10, // frames of sanitizers are large; pages that nobody touches cost nothing
    SAVED_REGISTERS = 6,
    MOST_FIBERS = FIBER_SETS * MOST_THREADS,
};

static char *stacks;
static Fiber main_fiber;

static char *stack_of(unsigned number)
{
    return stacks + number * static_cast<size_t>(STACK_BYTES + GUARD_BYTES) + GUARD_BYTES;
}

static void stacks_make()
{
    size_t bytes = MOST_FIBERS * static_cast<size_t>(STACK_BYTES + GUARD_BYTES);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        wrong("no memory for stacks");
    stacks = static_cast<char *>(memory);
    for (unsigned i = 0; i < MOST_FIBERS; i++)
        mprotect(stack_of(i) - GUARD_BYTES, GUARD_BYTES, PROT_NONE);
}

Fiber *fiber_main()
{
    return &main_fiber;
}

void fiber_make(Fiber *fiber, unsigned number, void (*entry)())
{
    if (!stacks)
        stacks_make();
    char *stack = stack_of(number);
    __asan_unpoison_memory_region(stack, STACK_BYTES); // of frames that were left without a return
    // Tops at unequal places in their pages: else all threads would fight for the same cache lines.
    void **top = reinterpret_cast<void **>(stack + STACK_BYTES - 64 - number % 32 * 64);
    *--top = NULL; // where the entry would return to
    *--top = reinterpret_cast<void *>(entry);
    for (int i = 0; i < SAVED_REGISTERS; i++)
        *--top = NULL;
    fiber->stack_pointer = top;
    fiber->number = number;
    fiber->fake_stack = NULL;
    static void *shadows[MOST_FIBERS]; // each takes milliseconds to make
    if (WITH_THREAD_SANITIZER && !shadows[number])
        shadows[number] = __tsan_create_fiber(0);
    fiber->shadow = shadows[number];
}

// Where the program's own stack lies.
static const void *main_stack(size_t *bytes)
{
    static void *lowest;
    static size_t size;
    if (!lowest) {
        pthread_attr_t attributes;
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &lowest, &size);
        pthread_attr_destroy(&attributes);
    }
    *bytes = size;
    return lowest;
}

void fiber_switch(Fiber *from, Fiber *to, bool ends)
{
    if (from == to)
        return;
    if (WITH_ADDRESS_SANITIZER) {
        size_t bytes = STACK_BYTES;
        const void *stack = to == &main_fiber ? main_stack(&bytes) : stack_of(to->number);
        __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, stack, bytes);
    }
    if (from == &main_fiber)
        main_fiber.shadow = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->shadow, 1); // 1: that does not order anything
    cuda_on_cpu_switch(&from->stack_pointer, to->stack_pointer);
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}

void fiber_begins()
{
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
}

} // namespace cuda_on_cpu
