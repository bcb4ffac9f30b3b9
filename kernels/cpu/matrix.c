// matrix.c - weight matrices: packing them, and embedding rows out of them.

#include <omp.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/packed.h"
#include "kernels/cpu/pairs.h"

enum { PACK_MULTIPLE = 32 }; // kernels.h: where a block of rows may begin

size_t CPU(matrix_bytes)(int64_t rows, int64_t width, ElementType type)
{
    return (size_t)(rounded_up(rows, PANEL) * stored_width(type, width)) *
           type_bytes(stored_type(type));
}

// A block of 16 x 16 of `source` in fp32, zero past `rows` and `columns`.
static void block_copy(float block[BLOCK * BLOCK], Elements source, int64_t stride, int64_t rows,
                       int64_t columns)
{
    for (int64_t i = 0; i < BLOCK; i++)
        lanes_store(block + i * BLOCK,
                    i < rows ? lanes_load_elements(elements_from(source, i * stride), columns)
                             : lanes_zero());
}

// Sixteen rows of W (the last ones may be missing) into columns [0, 16) of a panel.
static void rows_pack(void *panel, ElementType type, Elements source, int64_t rows, int64_t width)
{
    float block[BLOCK * BLOCK], turned[BLOCK * BLOCK];
    for (int64_t k = 0; k < width; k += BLOCK) {
        int64_t columns = least(BLOCK, width - k);
        if (source.type == TYPE_F32 && rows == BLOCK && columns == BLOCK) {
            block_transpose(turned, BLOCK, (const float *)source.data + k, width);
        } else {
            block_copy(block, elements_from(source, k), width, rows, columns);
            block_transpose(turned, BLOCK, block, BLOCK);
        }
        for (int64_t j = 0; j < columns; j++)
            elements_store(element_at(panel, type, (k + j) * PANEL), type,
                           lanes_load(turned + j * BLOCK));
    }
}

#if defined(L2A_ISA_avx512_bf16)

// The same in words.
static void pairs_pack(float *panel, Elements source, int64_t rows, int64_t width)
{
    float block[BLOCK * BLOCK], turned[BLOCK * BLOCK];
    int64_t words = pairs_in(width);
    for (int64_t k = 0; k < words; k += BLOCK) {
        int64_t columns = least(BLOCK, words - k), elements = least(2 * BLOCK, width - 2 * k);
        memset(block, 0, sizeof block);
        for (int64_t i = 0; i < rows; i++)
            pairs_of_row(block + i * BLOCK, elements_from(source, i * width + 2 * k), elements);
        block_transpose(turned, BLOCK, block, BLOCK);
        for (int64_t j = 0; j < columns; j++)
            lanes_store(panel + (k + j) * PANEL, lanes_load(turned + j * BLOCK));
    }
}

#else

static void pairs_pack(float *panel, Elements source, int64_t rows, int64_t width)
{
    (void)panel, (void)source, (void)rows, (void)width; // no type is stored so
}

#endif

void CPU(matrix_pack)(Queue *queue, Matrix w, int64_t first, Elements source, int64_t rows)
{
    (void)queue;
    CHECK(first >= 0 && rows >= 0 && first + rows <= w.rows, "rows %ld + %ld of %ld", (long)first,
          (long)rows, (long)w.rows);
    CHECK(first % PACK_MULTIPLE == 0 && (rows % PACK_MULTIPLE == 0 || first + rows == w.rows),
          "a block of rows %ld + %ld is not made of whole panels", (long)first, (long)rows);
    ElementType type = stored_type(w.type);
    int64_t blocks = rounded_up(rows, PANEL) / BLOCK, stored = stored_width(w.type, w.width);
#pragma omp parallel for schedule(static) if (rows * w.width >= PARALLEL_ELEMENTS)
    for (int64_t b = 0; b < blocks; b++) {
        int64_t row = first + b * BLOCK;
        int64_t present = most(0, least(BLOCK, rows - b * BLOCK));
        void *panel = element_at(w.packed, type, row / PANEL * PANEL * stored + row % PANEL);
        Elements from = elements_from(source, b * BLOCK * w.width);
        if (type == TYPE_PAIRS)
            pairs_pack(panel, from, present, w.width);
        else
            rows_pack(panel, type, from, present, w.width);
    }
}

void CPU(embedding_forward)(Queue *queue, Tensor out, Matrix w, const int32_t *tokens)
{
    (void)queue;
    CHECK(out.width == w.width, "width %ld of an embedding of %ld", (long)out.width, (long)w.width);
#pragma omp parallel for schedule(static) if (out.rows * out.width >= PARALLEL_ELEMENTS)
    for (int64_t r = 0; r < out.rows; r++) {
        int64_t token = tokens[r];
        CHECK(token >= 0 && token < w.rows, "token %ld of %ld", (long)token, (long)w.rows);
        const void *panel = element_at(w.packed, stored_type(w.type),
                                       token / PANEL * PANEL * stored_width(w.type, w.width));
        int column = (int)(token % PANEL);
        float *row = row_of(out, r);
        if (w.type == TYPE_F32) {
            for (int64_t k = 0; k < w.width; k++)
                row[k] = ((const float *)panel)[k * PANEL + column];
        } else if (stored_type(w.type) == TYPE_PAIRS) {
            for (int64_t k = 0; k < w.width; k++)
                row[k] =
                    bf16_widen(((const uint16_t *)panel)[(k / 2 * PANEL + column) * 2 + k % 2]);
        } else {
            for (int64_t k = 0; k < w.width; k++)
                row[k] = bf16_widen(((const uint16_t *)panel)[k * PANEL + bf16_place(column)]);
        }
    }
}

// Threads share the columns, so each element's additions happen in row order.
void CPU(embedding_backward)(Queue *queue, Tensor gradient, Tensor y, const int32_t *tokens)
{
    (void)queue;
    CHECK(gradient.width == y.width, "width %ld of an embedding of %ld", (long)y.width,
          (long)gradient.width);
    Range columns = {0, pieces_of(y.width, BLOCK)};
#pragma omp parallel if (y.rows * y.width >= PARALLEL_ELEMENTS)
    {
        Range mine = range_share(columns, omp_get_num_threads(), omp_get_thread_num());
        int64_t begin = mine.first * BLOCK, end = least(y.width, begin + mine.count * BLOCK);
        for (int64_t r = 0; r < y.rows; r++) {
            CHECK(tokens[r] >= 0 && tokens[r] < gradient.rows, "token %d of %ld", (int)tokens[r],
                  (long)gradient.rows);
            float *to = row_of(gradient, tokens[r]);
            const float *from = row_of(y, r);
            for (int64_t j = begin; j < end; j++)
                to[j] += from[j];
        }
    }
}
