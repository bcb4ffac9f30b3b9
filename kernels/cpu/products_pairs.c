// products_pairs.c - factors as pairs of bf16, and their tiles: by vdpbf16ps, or by AMX.

#include "kernels/cpu/products.h"

#if defined(L2A_ISA_amx_bf16)
#include "kernels/cpu/microkernel_amx.h"

// Whole blocks of a tile's rows are read and written.
_Static_assert((int)PAIR_ROWS == (int)AMX_ROWS && (int)ROW_BLOCK % (int)AMX_ROWS == 0 &&
                   (int)PANEL == 2 * (int)BLOCK,
               "a block of rows is made of whole tiles");
#endif

#if defined(L2A_ISA_avx512_bf16)

// ---- rows of a ----------------------------------------------------------------------------------

// Where they are rows in memory: chains of words, 0 up to a whole step behind their end.
static void copy_rows(const Product *product, const Part *part, Range depth, float *scratch)
{
    int64_t length = least(2 * depth.count, product->length - 2 * depth.first);
    int64_t words = pairs_in(length);
    for (int64_t i = 0; i < part->rows.count; i++) {
        const float *from = product->a + (part->rows.first + i) * product->a_row + 2 * depth.first;
        float *to = scratch + i * part->a_row;
        pairs_of_row(to, elements_f32(from), length);
        memset(to + words, 0, (size_t)(rounded_up(words, BLOCK) - words) * sizeof *to);
    }
}

// Words of sixteen rows of a's block at pair `k`, where rows are columns in memory.
static Lanes column_pairs(const Product *product, Range rows, int64_t k)
{
    const float *from = product->a + 2 * k * product->a_step + rows.first;
    Lanes first = lanes_load_tail(from, rows.count), second = lanes_zero();
    if (2 * k + 1 < product->length)
        second = lanes_load_tail(from + product->a_step, rows.count);
    return pairs_of_lanes(first, second);
}

#if defined(L2A_ISA_amx_bf16)

static void copy_columns(const Product *product, const Part *part, Range depth, float *scratch)
{
    float words[BLOCK * BLOCK];
    for (int64_t i = 0; i < part->rows.count; i += BLOCK) {
        Range rows = {part->rows.first + i, least(BLOCK, part->rows.count - i)};
        for (int64_t k = 0; k < depth.count; k += BLOCK) {
            for (int64_t j = 0; j < BLOCK; j++)
                lanes_store(words + j * BLOCK,
                            k + j < depth.count ? column_pairs(product, rows, depth.first + k + j)
                                                : lanes_zero());
            block_transpose(scratch + i * part->a_row + k, part->a_row, words, BLOCK);
        }
    }
}

#else

static void copy_columns(const Product *product, const Part *part, Range depth, float *scratch)
{
    for (int64_t t = 0; t < part->tiles.parts; t++) {
        Range rows = tile_range(part, t);
        float *to = scratch + rows.first * depth.count;
        rows.first += part->rows.first;
        for (int64_t k = 0; k < depth.count; k++)
            lanes_store_tail(to + k * rows.count, column_pairs(product, rows, depth.first + k),
                             rows.count);
    }
}

#endif

void CPU(pairs_copy_rows)(const Product *product, Part *part, Range depth, float *scratch)
{
    bool columns = product->a_step != 1;
    part->a = scratch;
    part->tiled = columns && !PAIRS_BY_AMX;
    part->a_row = rounded_up(depth.count, BLOCK) + BLOCK;
    if (columns)
        copy_columns(product, part, depth, scratch);
    else
        copy_rows(product, part, depth, scratch);
}

// ---- panels of b --------------------------------------------------------------------------------

// Rows [2 k, 2 k + 16) of W, which stand side by side in its panel, become rows of b's panels.
static void turn_rows(Matrix w, int64_t k, Range panels, int64_t b_panel, float *to)
{
    int64_t row = 2 * k, words = pairs_in(w.width);
    const float *from = element_at(w.packed, TYPE_PAIRS, row / PANEL * PANEL * words + row % PANEL);
    int64_t first = panels.first * PANEL, end = least(w.width, first + panels.count * PANEL);
    for (int64_t j = first; j < end; j += 2) {
        uint64_t columns[BLOCK / 2];
        float *place = to + (j - first) / PANEL * b_panel + (j - first) % PANEL;
        _mm512_storeu_si512(columns, pairs_turned(from + j / 2 * PANEL));
        for (int i = 0; i < BLOCK / 2; i++)
            memcpy(place + i * PANEL, &columns[i], sizeof columns[i]);
    }
}

Panels CPU(pairs_of_matrix)(const Product *product, Range panels, Range depth, float *scratch)
{
    int64_t b_panel = rounded_up(depth.count, BLOCK / 2) * PANEL;
    for (int64_t k = 0; k < depth.count; k += BLOCK / 2)
        turn_rows(product->w, depth.first + k, panels, b_panel, scratch + k * PANEL);
    return (Panels){scratch, b_panel, TYPE_PAIRS};
}

Panels CPU(pairs_of_tensor)(const Product *product, Range panels, Range depth, float *scratch)
{
    Tensor x = product->x;
    int64_t b_panel = depth.count * PANEL;
    int64_t first = panels.first * PANEL, end = least(x.width, first + panels.count * PANEL);
    for (int64_t j = first; j < end; j += BLOCK) {
        float *to = scratch + (j - first) / PANEL * b_panel + (j - first) % PANEL;
        int64_t columns = least(BLOCK, end - j);
        for (int64_t k = 0; k < depth.count; k++) {
            int64_t row = 2 * (depth.first + k);
            Lanes one = lanes_load_tail(row_of(x, row) + j, columns);
            Lanes two =
                row + 1 < x.rows ? lanes_load_tail(row_of(x, row + 1) + j, columns) : lanes_zero();
            lanes_store(to + k * PANEL, pairs_of_lanes(one, two));
        }
    }
    return (Panels){scratch, b_panel, TYPE_PAIRS};
}

#else // no product is paired

void CPU(pairs_copy_rows)(const Product *product, Part *part, Range depth, float *scratch)
{
    (void)product, (void)part, (void)depth, (void)scratch;
}

Panels CPU(pairs_of_matrix)(const Product *product, Range panels, Range depth, float *scratch)
{
    (void)product, (void)panels, (void)depth;
    return (Panels){scratch, 0, TYPE_PAIRS};
}

Panels CPU(pairs_of_tensor)(const Product *product, Range panels, Range depth, float *scratch)
{
    (void)product, (void)panels, (void)depth;
    return (Panels){scratch, 0, TYPE_PAIRS};
}

#endif

// ---- tiles --------------------------------------------------------------------------------------

#if defined(L2A_ISA_amx_bf16)

void CPU(pairs_begin)(void)
{
    amx_begin();
}

void CPU(pairs_end)(void)
{
    amx_end();
}

void CPU(pairs_tile)(int rows, int count, int64_t columns, const Tile *tile)
{
    (void)count; // always one
    tile_amx(rows, least(columns, PANEL), tile);
}

#else

void CPU(pairs_begin)(void)
{
}

void CPU(pairs_end)(void)
{
}

void CPU(pairs_tile)(int rows, int count, int64_t columns, const Tile *tile)
{
    tile_any(rows, count, columns, TYPE_PAIRS, tile);
}

#endif
