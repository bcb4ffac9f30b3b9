// arena.cpp - one range of addresses for all device memory, which only operations may touch.
//
// With CUDA_ON_CPU_STRICT=1 its pages cannot be touched but while operations run, as the memory of
// a real device. Opening and closing them is one system call, so blocks have marks instead of
// guards.

#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "tests/cuda_on_cpu/inside.h"

namespace cuda_on_cpu
{

enum { PAGE = 4096, ROOM = 4 }; // times the devices' memory, for gaps

struct Range {
    char *first;
    size_t bytes;
};

static Range arena;
static std::vector<Range> taken; // by address
static int opened;

static void arena_protect(int protection)
{
    if (arena.first && mprotect(arena.first, arena.bytes, protection) != 0)
        wrong("the pages of device memory cannot be protected");
}

void arena_open()
{
    if (opened++ == 0)
        arena_protect(PROT_READ | PROT_WRITE);
}

void arena_close()
{
    if (--opened == 0)
        arena_protect(PROT_NONE);
}

bool arena_is_closed_at(const void *address)
{
    const char *at = static_cast<const char *>(address);
    return opened == 0 && arena.first && at >= arena.first && at < arena.first + arena.bytes;
}

char *arena_take(size_t bytes)
{
    if (!arena.first) {
        size_t devices = static_cast<size_t>(settings().devices);
        arena.bytes = ROOM * devices * settings().memory_bytes;
        void *pages = mmap(NULL, arena.bytes, opened ? PROT_READ | PROT_WRITE : PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pages == MAP_FAILED)
            wrong("no addresses for %zu bytes of device memory", arena.bytes);
        arena.first = static_cast<char *>(pages);
    }
    char *first = arena.first; // of the gap before each range
    auto next = taken.begin();
    while (next != taken.end() && static_cast<size_t>(next->first - first) < bytes) {
        first = next->first + next->bytes;
        next++;
    }
    if (static_cast<size_t>(arena.first + arena.bytes - first) < bytes)
        wrong("device memory is in pieces: no %zu bytes in a row", bytes);
    taken.insert(next, {first, bytes});
    return first;
}

void arena_give(char *first)
{
    auto range = std::find_if(taken.begin(), taken.end(),
                              [first](const Range &other) { return other.first == first; });
    madvise(range->first, range->bytes, MADV_DONTNEED);
    taken.erase(range);
}

} // namespace cuda_on_cpu
