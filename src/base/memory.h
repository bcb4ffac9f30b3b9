// memory.h - allocation that succeeds or ends the program, and growable byte strings.
//
// All memory is zeroed and aligned to 64 bytes (a cache line, a 512-bit vector); arrays of 4 MiB
// and more to 2 MiB, in huge pages where the system has them.

#ifndef L2A_BASE_MEMORY_H
#define L2A_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

// `count` elements of `size` bytes, zeroed; never NULL (0 bytes give a valid pointer). Dies with
// EXIT_NO_MEMORY. Free with release.
void *allocate(size_t count, size_t size);

// The same, but NULL and a recorded failure when memory is not to be had: for sizes that outside
// input decides.
void *allocate_or_fail(size_t count, size_t size);

// malloc, but dies with EXIT_NO_MEMORY: what every main() gives to jansson (json_set_alloc_funcs), so
// that no value is ever left out for want of memory. Free with release.
void *memory_take(size_t bytes);

// Grows `*array` so that it holds at least `needed` elements; `*capacity` in elements. New elements
// are zero. Dies with EXIT_NO_MEMORY.
void grow(void **array, size_t *capacity, size_t needed, size_t size);

// The same, but -1 and a recorded failure, the array as it was, when memory is not to be had.
int grow_or_fail(void **array, size_t *capacity, size_t needed, size_t size);

void release(void *memory);

// The most memory this process has held resident so far, in bytes; 0: the system does not say.
size_t memory_peak(void);

// A copy of a string, to be released.
char *duplicate(const char *text);

// Growable bytes; `data[length]` is always 0 once anything was appended. Zero-initialise.
typedef struct {
    char *data; // owned
    size_t length;
    size_t capacity;
} Bytes;

// Room for `more` bytes and a closing 0, without appending them; fails as grow_or_fail.
int bytes_reserve(Bytes *bytes, size_t more);
void bytes_append(Bytes *bytes, const void *data, size_t length);
void bytes_append_text(Bytes *bytes, const char *text);
void bytes_print(Bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bytes_clear(Bytes *bytes); // length 0, capacity kept
void bytes_free(Bytes *bytes);

#endif
