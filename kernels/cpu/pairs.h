// pairs.h - bf16 factors as the machine's own dot products take them: two k of a row to a word.
//
// Only the sets avx512_bf16 and amx_bf16 compute so, and there whatever has a bf16 matrix or no
// matrix at all. Words are carried as floats, whose bits nothing reads as a number.

#ifndef L2A_KERNELS_CPU_PAIRS_H
#define L2A_KERNELS_CPU_PAIRS_H

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/ranges.h"
#include "kernels/tensor.h"

#define TYPE_PAIRS ((ElementType)2) // of tiles: the elements of a and b are words

// Words of `n` elements; of an odd number the last one has a 0.
static inline int64_t pairs_in(int64_t n)
{
    return pieces_of(n, 2);
}

// How a matrix lies: elements of this type, so many to a row.
static inline ElementType stored_type(ElementType type)
{
#if defined(L2A_ISA_avx512_bf16)
    return type == TYPE_BF16 ? TYPE_PAIRS : type;
#else
    return type;
#endif
}

static inline int64_t stored_width(ElementType type, int64_t width)
{
    return stored_type(type) == TYPE_PAIRS ? pairs_in(width) : width;
}

#if defined(L2A_ISA_avx512_bf16)

// `count` elements that lie one behind the other.
static inline void pairs_of_row(float *to, Elements from, int64_t count)
{
    uint16_t *halves = (uint16_t *)(void *)to;
    for (int64_t j = 0; j < count; j += LANES) {
        int64_t left = least(LANES, count - j);
        lanes_store_bf16_tail(halves + j, lanes_load_elements(elements_from(from, j), left),
                              2 * pairs_in(left));
    }
}

// Word i of `first` and `second` element i.
static inline Lanes pairs_of_lanes(Lanes first, Lanes second)
{
    __m512i low = _mm512_srli_epi32(_mm512_castps_si512(lanes_round_bf16(first)), 16);
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_castps_si512(lanes_round_bf16(second))));
}

// Sixteen words of a panel of W, of as many rows at one pair of columns, become eight words of each
// of the two columns, side by side: those of two rows, (a b) and (c d), become (a c) and (b d).
static inline __m512i pairs_turned(const float *from)
{
    const __m512i places =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    return _mm512_shuffle_epi8(_mm512_loadu_si512(from), places);
}

#endif

#endif
