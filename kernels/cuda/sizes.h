// sizes.h - how large things are on a GPU: arithmetic of the host's alone, which needs no GPU and
// no CUDA.

#ifndef L2A_KERNELS_CUDA_SIZES_H
#define L2A_KERNELS_CUDA_SIZES_H

#include "kernels/kernels.h"

enum {
    MOST_HEAD_WIDTH = 128,
    PART_KEYS = 256,                     // keys of a part, where attention cuts rows into parts
    WORKSPACE_BYTES = 32 * 1024 * 1024,  // cuBLASLt's
    CONVERTED_BYTES = 256 * 1024 * 1024, // of one operand at a time, about
};

// The width of a packed row: sixteen bytes of bf16, as tensor cores like to read.
static inline int64_t packed_width(int64_t width)
{
    return (width + 7) / 8 * 8;
}

// A head's width as the cache holds it.
static inline int64_t cached_width(int32_t head_width)
{
    return head_width <= 64 ? 64 : 128;
}

// What a block of working memory grows to when so much is asked for: sizes that grow slowly do not
// grow it every time.
static inline size_t scratch_grown(size_t bytes)
{
    return bytes + bytes / 4;
}

size_t matrix_bytes_cuda(int64_t rows, int64_t width, ElementType type);
size_t cache_bytes_cuda(int64_t slots, int32_t heads, int32_t head_width, ElementType type);

#endif
