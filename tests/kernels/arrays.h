// arrays.h - what tests of kernels share: random and strided arrays, comparison of bits, the
// instruction sets of this machine.

#ifndef L2A_TESTS_KERNELS_ARRAYS_H
#define L2A_TESTS_KERNELS_ARRAYS_H

#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/kernels.h"

enum { ISA_COUNT = 3 };
static const char *const ISA_NAMES[ISA_COUNT] = {"plain", "avx2", "avx512"};

static const float SENTINEL = 12345.678f; // fills the gaps between rows

// `count` numbers uniform in (-1, 1), the same for the same `seed`.
static inline float *random_array(int64_t count, uint64_t seed)
{
    float *array = allocate((size_t)count, sizeof *array);
    for (int64_t i = 0; i < count; i++) {
        static _Thread_local uint32_t words[4];
        if (i % 4 == 0)
            draw_words(
                (Draw){.seed = seed, .purpose = PURPOSE_GENERATE, .position = (uint32_t)(i / 4)},
                words);
        array[i] = (float)((double)words[i % 4] / 2147483648.0 - 1.0);
    }
    return array;
}

// A random tensor whose rows lie `gap` elements apart from each other; data to be released.
static inline Tensor random_tensor(int64_t rows, int64_t width, int64_t gap, uint64_t seed)
{
    Tensor tensor = {.rows = rows, .width = width, .stride = width + gap};
    tensor.data = random_array(rows * tensor.stride, seed);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = width; j < tensor.stride; j++)
            tensor.data[r * tensor.stride + j] = SENTINEL;
    }
    return tensor;
}

static inline Tensor copy_of_tensor(Tensor tensor)
{
    size_t count = (size_t)(tensor.rows * tensor.stride);
    float *data = allocate(count, sizeof *data);
    memcpy(data, tensor.data, count * sizeof *data);
    tensor.data = data;
    return tensor;
}

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Index of the first element whose bits differ, gaps included, or -1.
static inline int64_t first_difference(const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            return i;
    }
    return -1;
}

static inline int64_t tensor_difference(Tensor a, Tensor b)
{
    return first_difference(a.data, b.data, a.rows * a.stride);
}

#endif
