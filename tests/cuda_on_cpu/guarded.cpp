// guarded.cpp - memory between pages that cannot be touched.
//
// An access just behind the end faults. Where alignment leaves bytes between the end and the guard,
// and in front, there are marks that a write destroys; AddressSanitizer also sees reads of them.

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

enum { PAGE = 4096, MARK = 0xa5, MARKED_FRONT = 256 };

static Guarded *all; // by `next`

static void remember(Guarded *g, const char *name)
{
    g->name = name;
    g->next = all;
    all = g;
}

// One page more than the bytes need: the marks in front are never outside.
static size_t bytes_mapped(size_t most_bytes)
{
    return (most_bytes + PAGE - 1) / PAGE * PAGE + 3 * PAGE;
}

void guarded_make(Guarded *g, const char *name, size_t most_bytes)
{
    g->mapped = bytes_mapped(most_bytes);
    void *pages = mmap(NULL, g->mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        wrong("no memory of %zu bytes", most_bytes);
    g->pages = static_cast<char *>(pages);
    mprotect(g->pages, PAGE, PROT_NONE);
    mprotect(g->pages + g->mapped - PAGE, PAGE, PROT_NONE);
    remember(g, name);
}

void guarded_make_in_arena(Guarded *g, const char *name, size_t most_bytes)
{
    g->mapped = bytes_mapped(most_bytes);
    g->pages = arena_take(g->mapped);
    g->in_arena = true;
    remember(g, name);
}

// Marks reach to the guard, or take its place.
static char *marks_end(const Guarded *g)
{
    return g->pages + g->mapped - (g->in_arena ? 0 : PAGE);
}

// What can be touched, for AddressSanitizer.
static void unpoison(const Guarded *g)
{
    char *first = g->pages + PAGE;
    __asan_unpoison_memory_region(first, static_cast<size_t>(marks_end(g) - first));
}

void guarded_free(Guarded *g)
{
    guarded_check(g);
    Guarded **place = &all;
    while (*place != g)
        place = &(*place)->next;
    *place = g->next;
    unpoison(g);
    if (g->in_arena)
        arena_give(g->pages);
    else
        munmap(g->pages, g->mapped);
    *g = {};
}

void guarded_place(Guarded *g, size_t bytes, size_t alignment)
{
    char *guard = g->pages + g->mapped - PAGE;
    ArenaOpened opened;
    if (WITH_THREAD_SANITIZER && !g->in_arena) // which forgets who used the pages before
        mmap(g->pages + PAGE, g->mapped - 2 * PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    unpoison(g);
    g->memory = guard - (bytes + alignment - 1) / alignment * alignment;
    g->bytes = bytes;
    char *end = g->memory + bytes;
    memset(g->memory - MARKED_FRONT, MARK, MARKED_FRONT);
    memset(end, MARK, static_cast<size_t>(marks_end(g) - end));
    memset(g->memory, settings().pattern, bytes);
    __msan_poison(g->memory, bytes);
    __asan_poison_memory_region(g->memory - MARKED_FRONT, MARKED_FRONT);
    __asan_poison_memory_region(end, static_cast<size_t>(marks_end(g) - end));
}

static bool marked(const char *from, const char *end)
{
    for (; from < end; from++) {
        if (static_cast<unsigned char>(*from) != MARK)
            return false;
    }
    return true;
}

void guarded_check(const Guarded *g)
{
    if (WITH_ADDRESS_SANITIZER || !g->memory)
        return;
    ArenaOpened opened;
    if (!marked(g->memory - MARKED_FRONT, g->memory))
        wrong("%s of %zu bytes: memory in front of it was written", g->name, g->bytes);
    if (!marked(g->memory + g->bytes, marks_end(g)))
        wrong("%s of %zu bytes: memory behind it was written", g->name, g->bytes);
}

const char *guarded_describe(const void *address)
{
    static char text[160];
    const char *at = static_cast<const char *>(address);
    for (const Guarded *g = all; g; g = g->next) {
        if (at < g->pages || at >= g->pages + g->mapped)
            continue;
        snprintf(text, sizeof text, "%s of %zu bytes: byte %td of it", g->name, g->bytes,
                 at - g->memory);
        return text;
    }
    return "";
}

} // namespace cuda_on_cpu
