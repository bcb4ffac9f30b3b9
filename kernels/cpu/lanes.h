// lanes.h - sixteen fp32 lanes: the one vector type that all row kernels are written in.
//
// A Lanes is one 512-bit register, two 256-bit ones, or an array of 16 floats in plain C; every
// operation gives the same bits on all three. Operations round once (fma too); sums over the lanes
// have the fixed tree of kernels.h. Memory need not be aligned.

#ifndef L2A_KERNELS_CPU_LANES_H
#define L2A_KERNELS_CPU_LANES_H

#include <stdint.h>

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

enum { LANES = 16 };

#if defined(L2A_ISA_avx512)
#include "kernels/cpu/lanes_avx512.h"
#elif defined(L2A_ISA_avx2)
#include "kernels/cpu/lanes_avx2.h"
#else
#include "kernels/cpu/lanes_plain.h"
#endif

// Each of the three headers has, all static inline:
//
//   Lanes lanes_zero(void), lanes_set(float x)          every lane 0, x
//   Lanes lanes_load(const float *from)                 16 elements
//   Lanes lanes_load_tail(const float *from, int64_t n) n in [0, 16]; the other lanes are 0, and
//                                                       memory past the n elements is not touched
//   void lanes_store(float *to, Lanes a), lanes_store_tail(float *to, Lanes a, int64_t n)
//   Lanes lanes_load_bf16(const uint16_t *from), lanes_load_bf16_tail(from, n)    widened
//   void lanes_store_bf16(uint16_t *to, Lanes a), lanes_store_bf16_tail(to, a, n) rounded
//   Lanes lanes_round_bf16(Lanes a)   nearest bf16, ties to even, widened again; integer
//                                     arithmetic: subnormals are kept, NaN stays (quiet) NaN
//   Lanes lanes_add, _sub, _mul, _div(Lanes a, Lanes b), lanes_sqrt(Lanes a)
//   Lanes lanes_fma(Lanes a, Lanes b, Lanes c)          a b + c, rounded once
//   Lanes lanes_max(Lanes a, Lanes b), lanes_min        a > b ? a : b, a < b ? a : b: the second
//                                                       one where either is NaN
//   Lanes lanes_negate(Lanes a)                         sign bit flipped
//   Lanes lanes_keep(Lanes a, int64_t n, float other)   lanes from n on become `other`
//   unsigned lanes_above(Lanes a, Lanes b)              bit i: a_i > b_i (NaN: 0)
//   Lanes lanes_ldexp(Lanes p, Lanes t)                 p 2^n, rounded once, subnormals kept, where
//                                                       t = 1.5 2^23 + n, |p| in [0.5, 2],
//                                                       n in [-252, 254]
//   float lanes_sum(Lanes a)                            the tree of kernels.h
//   float lanes_maximum(Lanes a)                        the same tree of lanes_max
//   LanesMass lanes_mass_zero(void), lanes_mass_add(LanesMass mass, Lanes p)
//   double lanes_mass_sum(LanesMass mass)               sum of probabilities, each taken to the
//                                                       nearest multiple of 2^-52: exact below 2

// The first n elements, in fp32.
static inline Lanes lanes_load_elements(Elements from, int64_t n)
{
    return from.type == TYPE_BF16 ? lanes_load_bf16_tail(from.data, n)
                                  : lanes_load_tail(from.data, n);
}

// exp, at most about 1 unit in the last place off; exact 0 below -104 (nothing is flushed above),
// infinity from 88.73, NaN for NaN. x = n ln 2 + r with |r| <= ln(2) / 2; a minimax polynomial of
// degree 6 whose first coefficients are exactly 1, 1 (relative error 3.2e-9).
static inline Lanes lanes_exp(Lanes x)
{
    const Lanes shift = lanes_set(0x1.8p23f); // adding it rounds to an integer, ties to even
    x = lanes_max(lanes_set(-105.0f), lanes_min(lanes_set(90.0f), x)); // NaN stays
    Lanes t = lanes_fma(x, lanes_set(0x1.715476p+0f), shift);
    Lanes n = lanes_sub(t, shift);
    Lanes r = lanes_fma(n, lanes_set(-0x1.62e4p-1f), x); // exact
    r = lanes_fma(n, lanes_set(-0x1.7f7d1cp-20f), r);
    Lanes p = lanes_fma(lanes_set(0x1.6a3d14p-10f), r, lanes_set(0x1.123858p-7f));
    p = lanes_fma(p, r, lanes_set(0x1.5558bep-5f));
    p = lanes_fma(p, r, lanes_set(0x1.555494p-3f));
    p = lanes_fma(p, r, lanes_set(0x1.fffffcp-2f));
    p = lanes_fma(p, r, lanes_set(1.0f));
    p = lanes_fma(p, r, lanes_set(1.0f));
    return lanes_ldexp(p, t);
}

// One lane's worth: exp of a single number, the same bits.
static inline float lanes_exp_one(float x)
{
    return lanes_first(lanes_exp(lanes_set(x)));
}

#endif
