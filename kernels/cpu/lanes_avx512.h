// lanes_avx512.h - Lanes as one 512-bit register. The list of operations is in lanes.h.

#ifndef L2A_KERNELS_CPU_LANES_AVX512_H
#define L2A_KERNELS_CPU_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512 Lanes;

static inline __mmask16 lanes_mask(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline Lanes lanes_zero(void)
{
    return _mm512_setzero_ps();
}

static inline Lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline float lanes_first(Lanes a)
{
    return _mm512_cvtss_f32(a);
}

static inline Lanes lanes_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline Lanes lanes_load_tail(const float *from, int64_t n)
{
    return _mm512_maskz_loadu_ps(lanes_mask(n), from);
}

static inline void lanes_store(float *to, Lanes a)
{
    _mm512_storeu_ps(to, a);
}

static inline void lanes_store_tail(float *to, Lanes a, int64_t n)
{
    _mm512_mask_storeu_ps(to, lanes_mask(n), a);
}

static inline Lanes lanes_widen(__m256i halves)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

static inline Lanes lanes_load_bf16(const uint16_t *from)
{
    return lanes_widen(_mm256_loadu_si256((const __m256i *)from));
}

static inline Lanes lanes_load_bf16_tail(const uint16_t *from, int64_t n)
{
    return lanes_widen(_mm256_maskz_loadu_epi16(lanes_mask(n), from));
}

static inline Lanes lanes_round_bf16(Lanes a)
{
    __m512i bits = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x00400000));
    __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    rounded = _mm512_mask_blend_epi32(nan, rounded, quiet);
    return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32((int)0xffff0000)));
}

static inline __m256i lanes_narrow(Lanes a)
{
    __m512i bits = _mm512_castps_si512(lanes_round_bf16(a));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
}

static inline void lanes_store_bf16(uint16_t *to, Lanes a)
{
    _mm256_storeu_si256((__m256i *)to, lanes_narrow(a));
}

static inline void lanes_store_bf16_tail(uint16_t *to, Lanes a, int64_t n)
{
    _mm256_mask_storeu_epi16(to, lanes_mask(n), lanes_narrow(a));
}

static inline Lanes lanes_add(Lanes a, Lanes b)
{
    return _mm512_add_ps(a, b);
}

static inline Lanes lanes_sub(Lanes a, Lanes b)
{
    return _mm512_sub_ps(a, b);
}

static inline Lanes lanes_mul(Lanes a, Lanes b)
{
    return _mm512_mul_ps(a, b);
}

static inline Lanes lanes_div(Lanes a, Lanes b)
{
    return _mm512_div_ps(a, b);
}

static inline Lanes lanes_sqrt(Lanes a)
{
    return _mm512_sqrt_ps(a);
}

static inline Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline Lanes lanes_max(Lanes a, Lanes b)
{
    return _mm512_max_ps(a, b);
}

static inline Lanes lanes_min(Lanes a, Lanes b)
{
    return _mm512_min_ps(a, b);
}

static inline Lanes lanes_negate(Lanes a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}

static inline Lanes lanes_keep(Lanes a, int64_t n, float other)
{
    return _mm512_mask_blend_ps(lanes_mask(n), _mm512_set1_ps(other), a);
}

static inline unsigned lanes_above(Lanes a, Lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

// 2^n in two factors, so that only the last product rounds.
static inline Lanes lanes_ldexp(Lanes p, Lanes t)
{
    __m512i n = _mm512_sub_epi32(_mm512_castps_si512(t), _mm512_set1_epi32(0x4b400000));
    __m512i half = _mm512_srai_epi32(n, 1), bias = _mm512_set1_epi32(127);
    __m512i first = _mm512_slli_epi32(_mm512_add_epi32(half, bias), 23);
    __m512i second = _mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(n, half), bias), 23);
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(first));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(second));
}

static inline float lanes_sum(Lanes a)
{
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float lanes_maximum(Lanes a)
{
    __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

typedef struct {
    __m512d low, high;
} LanesMass;

static inline LanesMass lanes_mass_zero(void)
{
    return (LanesMass){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline __m512d lanes_mass_half(__m256 p)
{
    const __m512d one = _mm512_set1_pd(1.0);
    return _mm512_sub_pd(_mm512_add_pd(_mm512_cvtps_pd(p), one), one);
}

static inline LanesMass lanes_mass_add(LanesMass mass, Lanes p)
{
    mass.low = _mm512_add_pd(mass.low, lanes_mass_half(_mm512_castps512_ps256(p)));
    mass.high = _mm512_add_pd(mass.high, lanes_mass_half(_mm512_extractf32x8_ps(p, 1)));
    return mass;
}

static inline double lanes_mass_sum(LanesMass mass)
{
    return _mm512_reduce_add_pd(_mm512_add_pd(mass.low, mass.high));
}

#endif
