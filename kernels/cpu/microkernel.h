// microkernel.h - the inner loop of products and attention, for each instruction set; pairs have
// another one where there is AMX (microkernel_amx.h).
//
// A tile is c[i][j] (+)= sum over k of a[i][k] b[k][j], each output one chain of fused
// multiply-adds over k (of pairs: of dot products of two), held in registers: up to TILE_ROWS rows
// by one or more panels of columns. Elements of `a` are broadcast, rows of `b` are loaded as
// vectors. A panel is a block of columns whose rows lie one behind the other: PANEL columns wide in
// weight matrices, BLOCK in caches and attention. All forms give the same bits; they differ in
// speed only.

#ifndef L2A_KERNELS_CPU_MICROKERNEL_H
#define L2A_KERNELS_CPU_MICROKERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/pairs.h"

enum { BLOCK = 16 };

typedef struct {
    const float *a;      // row i, k: a[i * a_stride + k], or by columns a[i + k * a_stride], where
    int64_t a_stride;    // the places of rows are constants: faster where there are many
    bool by_columns;     //
    const void *b;       // column j of panel p, row k: element p * b_panel + k * width + j
    int64_t b_panel;     // in elements of b's type
    float *c;            // c[i * c_row + j], panels side by side
    int64_t c_row;       //
    int64_t depth;       // number of k
    bool from_c;         // the chains start from c's values, not from 0
    const char *ahead;   // what is read next, fetched meanwhile: `ahead_step` bytes with each k
    int64_t ahead_panel; // in each of the panels, which lie ahead_panel bytes apart
    int64_t ahead_step;  //
} Tile;

// Each of the two headers has:
//
//   TILE_ROWS, PANEL
//   DEPTH_BLOCK     k of a panel's block, and
//   ROW_BLOCK       rows of a's block that fit into the caches beside it
//   void tile_panel(int rows, int panels, ElementType type, const Tile *tile)  PANEL columns each
//   void tile_block(int rows, int panels, ElementType type, const Tile *tile)  BLOCK columns each
//       rows in [1, TILE_ROWS]; panels: 1 or tile_panels(rows)
//   void bf16_store(uint16_t *to, Lanes a)  sixteen columns of a bf16 panel, in the order that
//                                           tiles read: rounded as lanes_store_bf16 rounds
//   Lanes bf16_load(const uint16_t *from)   and back
//   int bf16_place(int j)                   where column j of a bf16 panel's row stands in it
//   void block_transpose(float *to, int64_t to_row, const float *from, int64_t from_row)
//       a block of 16 x 16

// How many panels a tile of few rows takes at once, so that enough chains run side by side.
static inline int tile_panels(int rows)
{
    return rows == 1 ? 4 : rows <= 3 ? 2 : 1;
}

#if defined(L2A_ISA_plain)
#include "kernels/cpu/microkernel_plain.h"
#else
#include "kernels/cpu/microkernel_vector.h"
#endif

// A tile whose only panel (BLOCK or PANEL wide) is cut off after `columns` in c.
static inline void tile_cut(int rows, int64_t width, int64_t columns, ElementType type, Tile tile)
{
    float whole[TILE_ROWS * PANEL] = {0}, *c = tile.c;
    int64_t stride = tile.c_row;
    for (int i = 0; i < rows && tile.from_c; i++)
        memcpy(whole + i * width, c + i * stride, (size_t)columns * sizeof *c);
    tile.c = whole;
    tile.c_row = width;
    if (width == PANEL)
        tile_panel(rows, 1, type, &tile);
    else
        tile_block(rows, 1, type, &tile);
    for (int i = 0; i < rows; i++)
        memcpy(c + i * stride, whole + i * width, (size_t)columns * sizeof *c);
}

// A tile of `panels` panels (PANEL wide), of which c has so many columns; cut off, it is one.
static inline void tile_any(int rows, int panels, int64_t columns, ElementType type,
                            const Tile *tile)
{
    if (columns >= panels * PANEL)
        tile_panel(rows, panels, type, tile);
    else
        tile_cut(rows, PANEL, columns, type, *tile);
}

#endif
