// cuda_bf16.h - bf16 as CUDA's header has it: conversions round to nearest even, NaN becomes
// 0x7fff.

#ifndef L2A_CUDA_ON_CPU_CUDA_BF16_H
#define L2A_CUDA_ON_CPU_CUDA_BF16_H

#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
    uint16_t bits;
};

struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

inline __nv_bfloat16 __float2bfloat16_rn(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return {0x7fff};
    return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

inline float __bfloat162float(__nv_bfloat16 value)
{
    uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 value)
{
    return value.bits;
}

#endif
