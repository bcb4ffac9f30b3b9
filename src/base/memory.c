#define _DEFAULT_SOURCE // madvise

#include "base/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fail.h"

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 2 * HUGE_PAGE, SHARED_FROM = 64 << 20 };

static void fail_memory(size_t bytes)
{
    fail(EXIT_NO_MEMORY,
         "out of memory: cannot allocate %zu bytes (learn2ask check tells what a rank needs)",
         bytes);
}

// By all threads: the system clears pages as they are touched, and puts each near the processor
// that does.
static void *clear_much(char *memory, size_t bytes)
{
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < bytes; first += HUGE_PAGE)
        memset(memory + first, 0, bytes - first < HUGE_PAGE ? bytes - first : HUGE_PAGE);
    return memory;
}

void *allocate_or_fail(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT) {
        fail(EXIT_NO_MEMORY, "cannot allocate %zu elements of %zu bytes", count, size);
        return NULL;
    }
    // The very size, not aligned_alloc's multiple of the alignment: sanitizers then see the first
    // byte behind it.
    void *memory;
    bool huge = bytes >= HUGE_FROM;
    if (posix_memalign(&memory, huge ? HUGE_PAGE : ALIGNMENT, bytes ? bytes : 1) != 0) {
        fail_memory(bytes);
        return NULL;
    }
    // Few entries of the TLB, few faults, few segments of a disk's request; a refusal does no harm.
    if (huge)
        madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return bytes >= SHARED_FROM ? clear_much(memory, bytes) : memset(memory, 0, bytes);
}

void *allocate(size_t count, size_t size)
{
    void *memory = allocate_or_fail(count, size);
    if (!memory)
        die_failed();
    return memory;
}

void *memory_take(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory) {
        fail_memory(bytes);
        die_failed();
    }
    return memory;
}

int grow_or_fail(void **array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return 0;
    size_t wanted = *capacity ? *capacity + *capacity / 2 : 16;
    wanted = wanted < needed ? needed : wanted;
    void *larger = allocate_or_fail(wanted, size);
    if (!larger)
        return -1;
    if (*array)
        memcpy(larger, *array, *capacity * size);
    release(*array);
    *array = larger;
    *capacity = wanted;
    return 0;
}

void grow(void **array, size_t *capacity, size_t needed, size_t size)
{
    if (grow_or_fail(array, capacity, needed, size) != 0)
        die_failed();
}

void release(void *memory)
{
    free(memory);
}

// getrusage would tell of the program that started this one, too.
size_t memory_peak(void)
{
    char line[256];
    long long kibibytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lld kB", &kibibytes) == 1)
            break;
    if (file)
        fclose(file);
    return (size_t)kibibytes * 1024;
}

char *duplicate(const char *text)
{
    size_t length = strlen(text);
    char *copy = allocate(length + 1, 1);
    memcpy(copy, text, length);
    return copy;
}

int bytes_reserve(Bytes *bytes, size_t more)
{
    return grow_or_fail((void **)&bytes->data, &bytes->capacity, bytes->length + more + 1, 1);
}

void bytes_append(Bytes *bytes, const void *data, size_t length)
{
    grow((void **)&bytes->data, &bytes->capacity, bytes->length + length + 1, 1);
    if (length > 0)
        memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    bytes->data[bytes->length] = 0;
}

void bytes_append_text(Bytes *bytes, const char *text)
{
    bytes_append(bytes, text, strlen(text));
}

void bytes_print(Bytes *bytes, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(length >= 0, "bad format '%s'", format);
    grow((void **)&bytes->data, &bytes->capacity, bytes->length + (size_t)length + 1, 1);
    vsnprintf(bytes->data + bytes->length, (size_t)length + 1, format, again);
    va_end(again);
    bytes->length += (size_t)length;
}

void bytes_clear(Bytes *bytes)
{
    bytes->length = 0;
    if (bytes->data)
        bytes->data[0] = 0;
}

void bytes_free(Bytes *bytes)
{
    release(bytes->data);
    *bytes = (Bytes){0};
}
