// microkernel_plain.h - the tile as a loop in C: for any machine, and the reference for the others.
//
// The list of operations is in microkernel.h.

#ifndef L2A_KERNELS_CPU_MICROKERNEL_PLAIN_H
#define L2A_KERNELS_CPU_MICROKERNEL_PLAIN_H

enum { TILE_ROWS = 6, PANEL = 16, DEPTH_BLOCK = 320, ROW_BLOCK = 120 };

static inline void tile_block(int rows, int panels, ElementType type, const Tile *tile)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < panels * BLOCK; j++) {
            float *c = tile->c + i * tile->c_row + j;
            const float *a = tile->a + i * (tile->by_columns ? 1 : tile->a_stride);
            int64_t a_step = tile->by_columns ? tile->a_stride : 1;
            int64_t b = j / BLOCK * tile->b_panel + j % BLOCK;
            float sum = tile->from_c ? *c : 0.0f;
            for (int64_t k = 0; k < tile->depth; k++, a += a_step, b += BLOCK) {
                float column = type == TYPE_F32
                                   ? ((const float *)tile->b)[b]
                                   : lanes_float((uint32_t)((const uint16_t *)tile->b)[b] << 16);
                sum = fmaf(*a, column, sum);
            }
            *c = sum;
        }
    }
}

static inline void tile_panel(int rows, int panels, ElementType type, const Tile *tile)
{
    tile_block(rows, panels, type, tile);
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

static inline void block_transpose(float *to, int64_t to_row, const float *from, int64_t from_row)
{
    for (int i = 0; i < BLOCK; i++) {
        for (int j = 0; j < BLOCK; j++)
            to[j * to_row + i] = from[i * from_row + j];
    }
}

#endif
