// copies.cpp - copies into shared memory that a thread starts and waits for.
//
// The bytes arrive when they are waited for, and until then there is something else: who reads too
// early reads nonsense.

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

enum { COPY_BYTES = 16, NONSENSE = 0xff };

void copy_start(void *to, const void *from, int bytes)
{
    Thread *self = thread_running();
    if (reinterpret_cast<uintptr_t>(to) % COPY_BYTES ||
        reinterpret_cast<uintptr_t>(from) % COPY_BYTES)
        wrong("a copy that is not aligned to sixteen bytes");
    if (bytes < 0 || bytes > COPY_BYTES)
        wrong("a copy of %d bytes", bytes);
    if (self->copies_count == MOST_COPIES)
        wrong("more than %d copies at a time", MOST_COPIES);
    tsan_write16(to);
    memset(to, NONSENSE, COPY_BYTES);
    __msan_poison(to, COPY_BYTES);
    self->copies[(self->copies_first + self->copies_count++) % MOST_COPIES] = {to, from, bytes,
                                                                               self->group};
}

void copies_commit()
{
    thread_running()->group++;
}

void copies_wait(int left, Site site)
{
    if (barrier_left_out(site))
        return;
    Thread *self = thread_running();
    while (self->copies_count > 0) {
        Copy copy = self->copies[self->copies_first];
        if (copy.group >= self->group - left)
            return;
        tsan_write16(copy.to);
        if (copy.bytes > 0)
            tsan_read16(copy.from);
        memset(copy.to, 0, COPY_BYTES);
        memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
        self->copies_first = (self->copies_first + 1) % MOST_COPIES;
        self->copies_count--;
    }
}

void copies_end(Thread *thread)
{
    if (thread->copies_count > 0)
        wrong("a thread ends with %u copies that it did not wait for", thread->copies_count);
}

} // namespace cuda_on_cpu
