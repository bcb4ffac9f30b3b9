// packed.h - the packed form of a weight matrix: panels of PANEL rows of W, transposed.
//
// Panel p holds rows [p PANEL, (p + 1) PANEL) of W [rows, width] as [width][PANEL], so that
// product_nt reads it from front to back; rows past the end are 0. The form is private to an
// instruction set.

#ifndef L2A_KERNELS_CPU_PACKED_H
#define L2A_KERNELS_CPU_PACKED_H

#include <string.h>

#include "kernels/cpu/microkernel.h"
#include "kernels/cpu/ranges.h"

// `index` elements on from `data`.
static inline void *element_at(const void *data, ElementType type, int64_t index)
{
    return (char *)data + index * (int64_t)type_bytes(type);
}

static inline float bf16_widen(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Sixteen elements of packed memory as fp32, and back.
static inline Lanes elements_load(const void *from, ElementType type)
{
    return type == TYPE_BF16 ? bf16_load(from) : lanes_load(from);
}

static inline void elements_store(void *to, ElementType type, Lanes x)
{
    if (type == TYPE_BF16)
        bf16_store(to, x);
    else
        lanes_store(to, x);
}

#endif
