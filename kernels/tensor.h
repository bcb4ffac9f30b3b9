// tensor.h - views of device memory: what the kernels are given.
//
// A Tensor is row-major fp32; `stride` counts elements between rows. A Matrix is a weight matrix in
// the device's own packed form, fp32 or bf16, that only the kernels read.

#ifndef L2A_KERNELS_TENSOR_H
#define L2A_KERNELS_TENSOR_H

#include <stddef.h>
#include <stdint.h>

typedef enum { TYPE_F32, TYPE_BF16 } ElementType;

static inline size_t type_bytes(ElementType type)
{
    return type == TYPE_BF16 ? sizeof(uint16_t) : sizeof(float);
}

// Contiguous elements of either type, plain (not packed).
typedef struct {
    const void *data; // borrowed
    ElementType type;
} Elements;

static inline Elements elements_f32(const float *data)
{
    return (Elements){.data = data, .type = TYPE_F32};
}

// Those from element `first` on.
static inline Elements elements_from(Elements elements, int64_t first)
{
    elements.data = (const char *)elements.data + first * (int64_t)type_bytes(elements.type);
    return elements;
}

// The two moments of AdamW, plain elements of one type.
typedef struct {
    void *m, *v; // borrowed
    ElementType type;
} Moments;

// Those from element `first` on.
static inline Moments moments_from(Moments moments, int64_t first)
{
    moments.m = (char *)moments.m + first * (int64_t)type_bytes(moments.type);
    moments.v = (char *)moments.v + first * (int64_t)type_bytes(moments.type);
    return moments;
}

typedef struct {
    float *data; // borrowed
    int64_t rows, width, stride;
} Tensor;

static inline Tensor tensor_of(float *data, int64_t rows, int64_t width)
{
    return (Tensor){.data = data, .rows = rows, .width = width, .stride = width};
}

// Rows [first, first + rows) of a tensor.
static inline Tensor tensor_rows(Tensor tensor, int64_t first, int64_t rows)
{
    tensor.data += first * tensor.stride;
    tensor.rows = rows;
    return tensor;
}

// W [rows, width] as Hugging Face stores it (out features, in features).
typedef struct {
    void *packed; // borrowed, matrix_bytes(rows, width, type) bytes, 64-byte aligned
    int64_t rows, width;
    ElementType type;
} Matrix;

// The cached keys and values of one layer: `slots` positions, a multiple of 16, in the device's own
// form. A sequence occupies consecutive slots that begin at a multiple of 16.
typedef struct {
    void *keys, *values; // borrowed, cache_bytes(...) bytes each
    int64_t slots;
    int32_t heads, head_width; // key/value heads
    ElementType type;
} Cache;

// Consecutive rows of queries that belong to one sequence. Row first_row + i, 0 <= i < rows, sees
// the keys in slots [shared, shared + shared_length) and then [own, own + own_length + i], in this
// order. A trunk: shared_length = 0, own = its first slot, own_length = 0. A branch: shared = the
// trunk's first slot, shared_length = attach, own = the branch's first slot. Decoding: rows = 1 and
// own_length = the tokens of the branch so far. Spans are ordered and tile the rows.
typedef struct {
    int64_t first_row, rows;
    int64_t shared, shared_length;
    int64_t own, own_length;
} Span;

// One scored target: the log-probability of `token` under logits row `row`.
typedef struct {
    int32_t row, token;
} Target;

#endif
