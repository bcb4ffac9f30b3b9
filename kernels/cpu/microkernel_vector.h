// microkernel_vector.h - the tile in vector registers: AVX2 (6 x 16) and AVX-512 (14 x 32).
//
// The list of operations is in microkernel.h. Register, REGISTER (its floats) and the handful of
// operations below differ between the two; the tile is written once.

#ifndef L2A_KERNELS_CPU_MICROKERNEL_VECTOR_H
#define L2A_KERNELS_CPU_MICROKERNEL_VECTOR_H

#include <immintrin.h>

#define TILE_INLINE static inline __attribute__((always_inline))

#if defined(L2A_ISA_avx512)

enum { TILE_ROWS = 14, PANEL = 32, REGISTER = 16 };
enum { DEPTH_BLOCK = 640, ROW_BLOCK = 224 }; // 80 and 560 KiB: L2 has 1 MiB or more
typedef __m512 Register;

#define TILE_ROW_CASES(CASE)                                                                       \
    CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
#define register_zero() _mm512_setzero_ps()
#define register_load(from) _mm512_loadu_ps(from)
#define register_store(to, x) _mm512_storeu_ps(to, x)
#define register_set(x) _mm512_set1_ps(x)
#define register_fma(x, y, sum) _mm512_fmadd_ps(x, y, sum)
#if defined(L2A_ISA_avx512_bf16)
#define register_dot(x, y, sum) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(y))
#else
#define register_dot(x, y, sum) (sum) // no tile has words
#endif

// `count` registers of a row of a bf16 panel, widened.
TILE_INLINE void registers_widen(const int count, const uint16_t *from, Register *to)
{
#pragma GCC unroll 2
    for (int r = 0; r < count; r++)
        to[r] = lanes_load_bf16(from + REGISTER * r);
}

static inline int bf16_place(int j)
{
    return j;
}

static inline void bf16_store(uint16_t *to, Lanes a)
{
    lanes_store_bf16(to, a);
}

static inline Lanes bf16_load(const uint16_t *from)
{
    return lanes_load_bf16(from);
}

#else

enum { TILE_ROWS = 6, PANEL = 16, REGISTER = 8 };
enum { DEPTH_BLOCK = 320, ROW_BLOCK = 120 }; // 20 and 150 KiB: in L1 and L2
typedef __m256 Register;

#define TILE_ROW_CASES(CASE) CASE(4) CASE(5) CASE(6)
#define register_zero() _mm256_setzero_ps()
#define register_load(from) _mm256_loadu_ps(from)
#define register_store(to, x) _mm256_storeu_ps(to, x)
#define register_set(x) _mm256_set1_ps(x)
#define register_fma(x, y, sum) _mm256_fmadd_ps(x, y, sum)
#define register_dot(x, y, sum) (sum)

// Columns j and j + 8 of sixteen share a 32-bit word: one shift and one mask widen them all.
static inline int bf16_place(int j)
{
    return j / 16 * 16 + j % 8 * 2 + j / 8 % 2;
}

static inline Lanes bf16_load(const uint16_t *from)
{
    __m256i words = _mm256_loadu_si256((const __m256i *)from);
    return (Lanes){_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)),
                   _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(-65536)))};
}

static inline void bf16_store(uint16_t *to, Lanes a)
{
    a = lanes_round_bf16(a);
    __m256i low = _mm256_srli_epi32(_mm256_castps_si256(a.low), 16);
    _mm256_storeu_si256((__m256i *)to, _mm256_or_si256(low, _mm256_castps_si256(a.high)));
}

TILE_INLINE void registers_widen(const int count, const uint16_t *from, Register *to)
{
    (void)count; // always 2
    Lanes wide = bf16_load(from);
    to[0] = wide.low;
    to[1] = wide.high;
}

#endif

enum { TILE_REGISTERS = 8 }; // registers in a row of c, at most

TILE_INLINE void registers_read(const int count, const ElementType type, const void *b,
                                int64_t index, Register *to)
{
    if (type == TYPE_BF16) {
        registers_widen(count, (const uint16_t *)b + index, to);
        return;
    }
#pragma GCC unroll 2
    for (int r = 0; r < count; r++)
        to[r] = register_load((const float *)b + index + REGISTER * r);
}

// One k. `registers` is a panel's width. The first five arguments are constants after inlining.
TILE_INLINE void tile_step(const int rows, const int panels, const int registers,
                           const ElementType type, const bool by_columns, const Tile *tile,
                           const float *a, int64_t b, Register sum[][TILE_REGISTERS])
{
#pragma GCC unroll 4
    for (int p = 0; p < panels; p++) {
        Register columns[2];
        registers_read(registers, type, tile->b, b + p * tile->b_panel, columns);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            Register x = register_set(a[by_columns ? i : i * tile->a_stride]);
#pragma GCC unroll 2
            for (int r = 0; r < registers; r++) {
                Register *to = &sum[i][p * registers + r];
                *to = type == TYPE_PAIRS ? register_dot(x, columns[r], *to)
                                         : register_fma(x, columns[r], *to);
            }
        }
    }
}

TILE_INLINE void tile_compute(const int rows, const int panels, const int registers,
                              const ElementType type, const bool by_columns, const Tile *given)
{
    const Tile tile = *given;
    const int width = panels * registers;
    // One row waits for memory anyway: what the hardware fetches is faster then, and with a few
    // rows more requests would only queue up.
    const int fetched = rows > 3   ? registers * REGISTER * (type == TYPE_BF16 ? 2 : 4)
                        : rows > 1 ? 64
                                   : 0;
    Register sum[TILE_ROWS][TILE_REGISTERS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int r = 0; r < width; r++)
            sum[i][r] = tile.from_c ? register_load(tile.c + i * tile.c_row + REGISTER * r)
                                    : register_zero();
    }
    // The tile below comes next, as a rule.
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int r = 0; r < width; r += 64 / (REGISTER * (int)sizeof(float)))
            _mm_prefetch((const char *)(tile.c + (rows + i) * tile.c_row + REGISTER * r),
                         _MM_HINT_T0);
    }
    const float *a = tile.a;
    const char *ahead = tile.ahead;
    int64_t b = 0;
    for (int64_t k = 0; k < tile.depth; k++) {
        tile_step(rows, panels, registers, type, by_columns, &tile, a, b, sum);
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) {
#pragma GCC unroll 2
            for (int line = 0; line < fetched; line += 64)
                _mm_prefetch(ahead + p * tile.ahead_panel + line, _MM_HINT_T1);
        }
        a += by_columns ? tile.a_stride : 1;
        b += registers * REGISTER;
        ahead += tile.ahead_step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int r = 0; r < width; r++)
            register_store(tile.c + i * tile.c_row + REGISTER * r, sum[i][r]);
    }
}

#define TILE_CASE(n)                                                                               \
    case n:                                                                                        \
        tile_compute(n, 1, registers, type, by_columns, tile);                                     \
        break;

// The form for these rows and panels; the last arguments but one are constants after inlining.
TILE_INLINE void tile_rows(int rows, int panels, const int registers, const ElementType type,
                           const bool by_columns, const Tile *tile)
{
    switch (panels > 1 ? -rows : rows) {
    case -1:
        tile_compute(1, 4, registers, type, by_columns, tile);
        break;
    case -2:
        tile_compute(2, 2, registers, type, by_columns, tile);
        break;
    case -3:
        tile_compute(3, 2, registers, type, by_columns, tile);
        break;
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_ROW_CASES(TILE_CASE)
    default:
        __builtin_unreachable();
    }
}

TILE_INLINE void tile_choose(int rows, int panels, const int registers, const ElementType type,
                             const Tile *tile)
{
    if (tile->by_columns)
        tile_rows(rows, panels, registers, type, true, tile);
    else
        tile_rows(rows, panels, registers, type, false, tile);
}

static __attribute__((noinline, unused)) void tile_panel(int rows, int panels, ElementType type,
                                                         const Tile *tile)
{
    if (type == TYPE_F32)
        tile_choose(rows, panels, PANEL / REGISTER, TYPE_F32, tile);
#if defined(L2A_ISA_avx512_bf16)
    else if (type == TYPE_PAIRS)
        tile_choose(rows, panels, PANEL / REGISTER, TYPE_PAIRS, tile);
#endif
    else
        tile_choose(rows, panels, PANEL / REGISTER, TYPE_BF16, tile);
}

#if defined(L2A_ISA_avx512)

static __attribute__((noinline, unused)) void tile_block(int rows, int panels, ElementType type,
                                                         const Tile *tile)
{
    if (type == TYPE_F32)
        tile_choose(rows, panels, BLOCK / REGISTER, TYPE_F32, tile);
    else
        tile_choose(rows, panels, BLOCK / REGISTER, TYPE_BF16, tile);
}

#else

static inline void tile_block(int rows, int panels, ElementType type, const Tile *tile)
{
    tile_panel(rows, panels, type, tile); // PANEL = BLOCK
}

#endif

// 8 x 8 floats: pairs of rows, pairs of pairs, halves.
static inline void transpose_eight(float *to, int64_t to_row, const float *from, int64_t from_row)
{
    __m256 row[8], pair[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        row[i] = _mm256_loadu_ps(from + i * from_row);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        pair[2 * i] = _mm256_unpacklo_ps(row[2 * i], row[2 * i + 1]);
        pair[2 * i + 1] = _mm256_unpackhi_ps(row[2 * i], row[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        row[4 * i] = _mm256_shuffle_ps(pair[4 * i], pair[4 * i + 2], 0x44);
        row[4 * i + 1] = _mm256_shuffle_ps(pair[4 * i], pair[4 * i + 2], 0xee);
        row[4 * i + 2] = _mm256_shuffle_ps(pair[4 * i + 1], pair[4 * i + 3], 0x44);
        row[4 * i + 3] = _mm256_shuffle_ps(pair[4 * i + 1], pair[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(row[i], row[4 + i], 0x20));
        _mm256_storeu_ps(to + (4 + i) * to_row, _mm256_permute2f128_ps(row[i], row[4 + i], 0x31));
    }
}

static inline void block_transpose(float *to, int64_t to_row, const float *from, int64_t from_row)
{
    transpose_eight(to, to_row, from, from_row);
    transpose_eight(to + 8 * to_row, to_row, from + 8, from_row);
    transpose_eight(to + 8, to_row, from + 8 * from_row, from_row);
    transpose_eight(to + 8 * to_row + 8, to_row, from + 8 * from_row + 8, from_row);
}

#endif
