// lanes_avx2.h - Lanes as two 256-bit registers. The list of operations is in lanes.h.

#ifndef L2A_KERNELS_CPU_LANES_AVX2_H
#define L2A_KERNELS_CPU_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

typedef struct {
    __m256 low, high;
} Lanes;

// Lanes i < n of one half as all ones, for n in [-8, 16].
static inline __m256i lanes_mask(int64_t n)
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}

static inline Lanes lanes_zero(void)
{
    return (Lanes){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

static inline Lanes lanes_set(float x)
{
    return (Lanes){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline float lanes_first(Lanes a)
{
    return _mm256_cvtss_f32(a.low);
}

static inline Lanes lanes_load(const float *from)
{
    return (Lanes){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

static inline Lanes lanes_load_tail(const float *from, int64_t n)
{
    if (n >= 16)
        return lanes_load(from);
    return (Lanes){_mm256_maskload_ps(from, lanes_mask(n)),
                   n > 8 ? _mm256_maskload_ps(from + 8, lanes_mask(n - 8)) : _mm256_setzero_ps()};
}

static inline void lanes_store(float *to, Lanes a)
{
    _mm256_storeu_ps(to, a.low);
    _mm256_storeu_ps(to + 8, a.high);
}

// Masked stores are slow on AMD: whole ones where they can be.
static inline void lanes_store_tail(float *to, Lanes a, int64_t n)
{
    if (n >= 16) {
        lanes_store(to, a);
        return;
    }
    _mm256_maskstore_ps(to, lanes_mask(n), a.low);
    if (n > 8)
        _mm256_maskstore_ps(to + 8, lanes_mask(n - 8), a.high);
}

static inline __m256 lanes_widen(__m128i halves)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

static inline Lanes lanes_load_bf16(const uint16_t *from)
{
    return (Lanes){lanes_widen(_mm_loadu_si128((const __m128i *)from)),
                   lanes_widen(_mm_loadu_si128((const __m128i *)(from + 8)))};
}

static inline Lanes lanes_load_bf16_tail(const uint16_t *from, int64_t n)
{
    if (n >= 16)
        return lanes_load_bf16(from);
    uint16_t copy[16] = {0};
    for (int64_t i = 0; i < n; i++)
        copy[i] = from[i];
    return lanes_load_bf16(copy);
}

static inline __m256 lanes_round_half(__m256 a)
{
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, quiet, nan);
    return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32((int)0xffff0000)));
}

static inline Lanes lanes_round_bf16(Lanes a)
{
    return (Lanes){lanes_round_half(a.low), lanes_round_half(a.high)};
}

static inline void lanes_store_bf16(uint16_t *to, Lanes a)
{
    __m256i low = _mm256_srli_epi32(_mm256_castps_si256(lanes_round_half(a.low)), 16);
    __m256i high = _mm256_srli_epi32(_mm256_castps_si256(lanes_round_half(a.high)), 16);
    __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
    _mm256_storeu_si256((__m256i *)to, both);
}

static inline void lanes_store_bf16_tail(uint16_t *to, Lanes a, int64_t n)
{
    uint16_t copy[16];
    lanes_store_bf16(copy, a);
    for (int64_t i = 0; i < n; i++)
        to[i] = copy[i];
}

static inline Lanes lanes_add(Lanes a, Lanes b)
{
    return (Lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

static inline Lanes lanes_sub(Lanes a, Lanes b)
{
    return (Lanes){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

static inline Lanes lanes_mul(Lanes a, Lanes b)
{
    return (Lanes){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

static inline Lanes lanes_div(Lanes a, Lanes b)
{
    return (Lanes){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

static inline Lanes lanes_sqrt(Lanes a)
{
    return (Lanes){_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)};
}

static inline Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    return (Lanes){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

static inline Lanes lanes_max(Lanes a, Lanes b)
{
    return (Lanes){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

static inline Lanes lanes_min(Lanes a, Lanes b)
{
    return (Lanes){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

static inline Lanes lanes_negate(Lanes a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (Lanes){_mm256_xor_ps(a.low, sign), _mm256_xor_ps(a.high, sign)};
}

static inline Lanes lanes_keep(Lanes a, int64_t n, float other)
{
    const __m256 rest = _mm256_set1_ps(other);
    return (Lanes){_mm256_blendv_ps(rest, a.low, _mm256_castsi256_ps(lanes_mask(n))),
                   _mm256_blendv_ps(rest, a.high, _mm256_castsi256_ps(lanes_mask(n - 8)))};
}

static inline unsigned lanes_above(Lanes a, Lanes b)
{
    int low = _mm256_movemask_ps(_mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ));
    return (unsigned)low | (unsigned)high << 8;
}

// 2^n in two factors, so that only the last product rounds.
static inline __m256 lanes_ldexp_half(__m256 p, __m256 t)
{
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000));
    __m256i half = _mm256_srai_epi32(n, 1), bias = _mm256_set1_epi32(127);
    __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias), 23);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(first));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(second));
}

static inline Lanes lanes_ldexp(Lanes p, Lanes t)
{
    return (Lanes){lanes_ldexp_half(p.low, t.low), lanes_ldexp_half(p.high, t.high)};
}

static inline float lanes_sum(Lanes a)
{
    __m256 b = _mm256_add_ps(a.low, a.high);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float lanes_maximum(Lanes a)
{
    __m256 b = _mm256_max_ps(a.low, a.high);
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

typedef struct {
    __m256d sum[4];
} LanesMass;

static inline LanesMass lanes_mass_zero(void)
{
    const __m256d zero = _mm256_setzero_pd();
    return (LanesMass){{zero, zero, zero, zero}};
}

static inline __m256d lanes_mass_quarter(__m128 p)
{
    const __m256d one = _mm256_set1_pd(1.0);
    return _mm256_sub_pd(_mm256_add_pd(_mm256_cvtps_pd(p), one), one);
}

static inline LanesMass lanes_mass_add(LanesMass mass, Lanes p)
{
    const __m128 quarters[4] = {_mm256_castps256_ps128(p.low), _mm256_extractf128_ps(p.low, 1),
                                _mm256_castps256_ps128(p.high), _mm256_extractf128_ps(p.high, 1)};
    for (int i = 0; i < 4; i++)
        mass.sum[i] = _mm256_add_pd(mass.sum[i], lanes_mass_quarter(quarters[i]));
    return mass;
}

static inline double lanes_mass_sum(LanesMass mass)
{
    double sum[4];
    _mm256_storeu_pd(sum, _mm256_add_pd(_mm256_add_pd(mass.sum[0], mass.sum[1]),
                                        _mm256_add_pd(mass.sum[2], mass.sum[3])));
    return sum[0] + sum[1] + sum[2] + sum[3];
}

#endif
