// lanes_plain.h - Lanes as sixteen floats in plain C: the reference, for machines without FMA.
//
// The list of operations is in lanes.h.

#ifndef L2A_KERNELS_CPU_LANES_PLAIN_H
#define L2A_KERNELS_CPU_LANES_PLAIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float lane[16];
} Lanes;

static inline uint32_t lanes_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float lanes_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline Lanes lanes_set(float x)
{
    Lanes a;
    for (int i = 0; i < 16; i++)
        a.lane[i] = x;
    return a;
}

static inline Lanes lanes_zero(void)
{
    return lanes_set(0.0f);
}

static inline float lanes_first(Lanes a)
{
    return a.lane[0];
}

static inline Lanes lanes_load_tail(const float *from, int64_t n)
{
    Lanes a = lanes_zero();
    for (int64_t i = 0; i < n; i++)
        a.lane[i] = from[i];
    return a;
}

static inline Lanes lanes_load(const float *from)
{
    return lanes_load_tail(from, 16);
}

static inline void lanes_store_tail(float *to, Lanes a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = a.lane[i];
}

static inline void lanes_store(float *to, Lanes a)
{
    lanes_store_tail(to, a, 16);
}

static inline Lanes lanes_load_bf16_tail(const uint16_t *from, int64_t n)
{
    Lanes a = lanes_zero();
    for (int64_t i = 0; i < n; i++)
        a.lane[i] = lanes_float((uint32_t)from[i] << 16);
    return a;
}

static inline Lanes lanes_load_bf16(const uint16_t *from)
{
    return lanes_load_bf16_tail(from, 16);
}

static inline uint16_t lanes_narrow(float x)
{
    uint32_t bits = lanes_bits(x);
    if (x != x)
        return (uint16_t)((bits | 0x00400000u) >> 16);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline Lanes lanes_round_bf16(Lanes a)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] = lanes_float((uint32_t)lanes_narrow(a.lane[i]) << 16);
    return a;
}

static inline void lanes_store_bf16_tail(uint16_t *to, Lanes a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = lanes_narrow(a.lane[i]);
}

static inline void lanes_store_bf16(uint16_t *to, Lanes a)
{
    lanes_store_bf16_tail(to, a, 16);
}

static inline Lanes lanes_add(Lanes a, Lanes b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline Lanes lanes_sub(Lanes a, Lanes b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] -= b.lane[i];
    return a;
}

static inline Lanes lanes_mul(Lanes a, Lanes b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline Lanes lanes_div(Lanes a, Lanes b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] /= b.lane[i];
    return a;
}

static inline Lanes lanes_sqrt(Lanes a)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] = sqrtf(a.lane[i]);
    return a;
}

static inline Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return a;
}

static inline Lanes lanes_max(Lanes a, Lanes b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
}

static inline Lanes lanes_min(Lanes a, Lanes b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
}

static inline Lanes lanes_negate(Lanes a)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] = -a.lane[i];
    return a;
}

static inline Lanes lanes_keep(Lanes a, int64_t n, float other)
{
    for (int64_t i = n; i < 16; i++)
        a.lane[i] = other;
    return a;
}

static inline unsigned lanes_above(Lanes a, Lanes b)
{
    unsigned above = 0;
    for (int i = 0; i < 16; i++)
        above |= (unsigned)(a.lane[i] > b.lane[i]) << i;
    return above;
}

// 2^n in two factors, so that only the last product rounds.
static inline Lanes lanes_ldexp(Lanes p, Lanes t)
{
    for (int i = 0; i < 16; i++) {
        int32_t n = (int32_t)(lanes_bits(t.lane[i]) - 0x4b400000u), half = n >> 1;
        float first = lanes_float((uint32_t)(half + 127) << 23);
        float second = lanes_float((uint32_t)(n - half + 127) << 23);
        p.lane[i] = p.lane[i] * first * second;
    }
    return p;
}

static inline float lanes_sum(Lanes a)
{
    for (int step = 8; step >= 1; step /= 2) {
        for (int i = 0; i < step; i++)
            a.lane[i] += a.lane[i + step];
    }
    return a.lane[0];
}

static inline float lanes_maximum(Lanes a)
{
    for (int step = 8; step >= 1; step /= 2) {
        for (int i = 0; i < step; i++)
            a.lane[i] = a.lane[i] > a.lane[i + step] ? a.lane[i] : a.lane[i + step];
    }
    return a.lane[0];
}

typedef struct {
    double sum;
} LanesMass;

static inline LanesMass lanes_mass_zero(void)
{
    return (LanesMass){0.0};
}

static inline LanesMass lanes_mass_add(LanesMass mass, Lanes p)
{
    for (int i = 0; i < 16; i++)
        mass.sum += (1.0 + (double)p.lane[i]) - 1.0;
    return mass;
}

static inline double lanes_mass_sum(LanesMass mass)
{
    return mass.sum;
}

#endif
