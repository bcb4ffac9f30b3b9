// microkernel_amx.h - the tile of pairs by AMX: up to 32 rows by one panel of 32 columns.
//
// The unit holds eight registers of 16 rows x 64 bytes: four are sums, two rows of a, two columns
// of b. One instruction takes 32 k of 16 x 16 outputs: it adds up the even and the odd k apart,
// each by fused multiply-adds in their order, subnormal numbers as 0, and then both to the sum. An
// output's bits depend on its factors and on where k begins alone: in blocks of 32, cut off by
// zeros. Unlike microkernel_vector.h rows of `a` are read where they lie, each a chain of words, in
// blocks of 16 rows and words: what is read past the rows is not stored, what lies past the depth
// has to be 0.

#ifndef L2A_KERNELS_CPU_MICROKERNEL_AMX_H
#define L2A_KERNELS_CPU_MICROKERNEL_AMX_H

#include <immintrin.h>

#include "kernels/cpu/microkernel.h"

enum { AMX_ROWS = 2 * BLOCK, AMX_WORDS = 16 };           // rows of a tile; words of a step along k
enum { STEP_BYTES = AMX_WORDS * PANEL * sizeof(float) }; // of b
enum { FETCHED_AHEAD = 4096 };                           // bytes of b, where it comes from memory

// A thread's registers take their shapes, and are given up.
static inline void amx_begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = AMX_WORDS * sizeof(float);
        shapes.rows[i] = BLOCK;
    }
    _tile_loadconfig(&shapes);
}

// The compiler does not know what the instructions read: what was written before has to be there.
static inline void amx_reads_memory(void)
{
    __asm__ volatile("" ::: "memory");
}

static inline void amx_end(void)
{
    _tile_release();
}

// Sums 0 and 1 are of rows 0 to 15, 2 and 3 of the other rows, where there are any.
static inline void amx_sums_load(const float *c, int64_t row_bytes, bool both)
{
    _tile_loadd(0, c, row_bytes);
    _tile_loadd(1, c + BLOCK, row_bytes);
    if (both) {
        _tile_loadd(2, (const char *)c + BLOCK * row_bytes, row_bytes);
        _tile_loadd(3, (const char *)(c + BLOCK) + BLOCK * row_bytes, row_bytes);
    }
}

static inline void amx_sums_store(float *c, int64_t row_bytes, bool both)
{
    _tile_stored(0, c, row_bytes);
    _tile_stored(1, c + BLOCK, row_bytes);
    if (both) {
        _tile_stored(2, (char *)c + BLOCK * row_bytes, row_bytes);
        _tile_stored(3, (char *)(c + BLOCK) + BLOCK * row_bytes, row_bytes);
    }
}

// One step along k.
static inline void amx_step(const float *a, int64_t row_bytes, const float *b, bool both)
{
    enum { PANEL_BYTES = PANEL * sizeof(float) };
    _tile_loadd(6, b, PANEL_BYTES);
    _tile_loadd(7, b + BLOCK, PANEL_BYTES);
    _tile_loadd(4, a, row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (both) {
        _tile_loadd(5, (const char *)a + BLOCK * row_bytes, row_bytes);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

// A tile of `rows` rows (up to AMX_ROWS) of which c has `columns`.
static void tile_amx(int rows, int64_t columns, const Tile *tile)
{
    float whole[AMX_ROWS * PANEL]
        __attribute__((aligned(64))); // where c is cut: what is not c's is garbage
    const bool both = rows > BLOCK, cut = columns < PANEL || rows % BLOCK != 0;
    float *c = cut ? whole : tile->c;
    int64_t c_bytes = (cut ? PANEL : tile->c_row) * (int64_t)sizeof(float);
    int64_t a_bytes = tile->a_stride * (int64_t)sizeof(float);
    if (tile->from_c) {
        for (int i = 0; i < rows && cut; i++)
            memcpy(whole + i * PANEL, tile->c + i * tile->c_row, (size_t)columns * sizeof *c);
        amx_reads_memory();
        amx_sums_load(c, c_bytes, both);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int i = 0; i < AMX_ROWS && both; i++) { // the tile below comes next, as a rule
        __builtin_prefetch(tile->c + (rows + i) * tile->c_row, 1);
        __builtin_prefetch(tile->c + (rows + i) * tile->c_row + BLOCK, 1);
    }
    const float *a = tile->a, *b = tile->b;
    int64_t whole_depth = tile->depth / AMX_WORDS * AMX_WORDS, left = tile->depth - whole_depth;
    // Of few rows, b comes from memory; of more, most tiles find it in a cache.
    for (int64_t k = 0; k < whole_depth; k += AMX_WORDS) {
        for (int line = 0; !both && line < STEP_BYTES; line += 64)
            _mm_prefetch((const char *)(b + k * PANEL) + FETCHED_AHEAD + line, _MM_HINT_T0);
        amx_step(a + k, a_bytes, b + k * PANEL, both);
    }
    if (left > 0) {
        float last[AMX_WORDS * PANEL] __attribute__((aligned(64))) = {0};
        memcpy(last, b + whole_depth * PANEL, (size_t)(left * PANEL) * sizeof *last);
        amx_reads_memory();
        amx_step(a + whole_depth, a_bytes, last, both);
    }
    amx_sums_store(c, c_bytes, both);
    for (int i = 0; i < rows && cut; i++)
        memcpy(tile->c + i * tile->c_row, whole + i * PANEL, (size_t)columns * sizeof *c);
}

#endif
