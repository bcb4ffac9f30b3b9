// combine.cpp - sums and the like of NCCL's reductions, in rank order.

#include <string.h>

#include "tests/cuda_on_cpu/nccl_inside.h"

namespace cuda_on_cpu
{

static float widened(uint16_t bits)
{
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

// To nearest even.
static uint16_t narrowed(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

template <class Type> static Type combined(Type a, Type b, ncclRedOp_t operation)
{
    if (operation == ncclSum)
        return static_cast<Type>(a + b);
    return (operation == ncclMax) == (a > b) ? a : b;
}

template <class Type>
static void numbers_combine(void *to, const void *from, size_t count, ncclRedOp_t operation)
{
    for (size_t i = 0; i < count; i++) {
        Type a, b;
        memcpy(&a, static_cast<char *>(to) + i * sizeof a, sizeof a);
        memcpy(&b, static_cast<const char *>(from) + i * sizeof b, sizeof b);
        a = combined(a, b, operation);
        memcpy(static_cast<char *>(to) + i * sizeof a, &a, sizeof a);
    }
}

static void narrow_combine(void *to, const void *from, size_t count, ncclRedOp_t operation)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t a, b;
        memcpy(&a, static_cast<char *>(to) + i * sizeof a, sizeof a);
        memcpy(&b, static_cast<const char *>(from) + i * sizeof b, sizeof b);
        a = narrowed(combined(widened(a), widened(b), operation));
        memcpy(static_cast<char *>(to) + i * sizeof a, &a, sizeof a);
    }
}

void combine(void *to, const void *from, const Call &call, bool first)
{
    if (first) {
        memcpy(to, from, call.count * type_bytes(call.type));
        return;
    }
    switch (call.type) {
    case ncclUint8:
        return numbers_combine<uint8_t>(to, from, call.count, call.operation);
    case ncclInt32:
        return numbers_combine<int32_t>(to, from, call.count, call.operation);
    case ncclInt64:
        return numbers_combine<int64_t>(to, from, call.count, call.operation);
    case ncclFloat32:
        return numbers_combine<float>(to, from, call.count, call.operation);
    case ncclBfloat16:
        return narrow_combine(to, from, call.count, call.operation);
    }
}

} // namespace cuda_on_cpu
