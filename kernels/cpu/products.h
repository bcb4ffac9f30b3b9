// products.h - a product under way, and what the two forms of its factors have to offer.
//
// products.c has the loops and factors in fp32; products_pairs.c copies and builds factors as pairs
// of bf16 (pairs.h), and multiplies them.

#ifndef L2A_KERNELS_CPU_PRODUCTS_H
#define L2A_KERNELS_CPU_PRODUCTS_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/packed.h"

#if defined(L2A_ISA_amx_bf16)
enum { PAIRS_BY_AMX = true, PAIR_ROWS = 32 }; // of a tile of pairs (microkernel_amx.h)
#else
enum { PAIRS_BY_AMX = false, PAIR_ROWS = TILE_ROWS };
#endif

typedef struct Product Product;

// Element (panel p, row k, column j) is data[p * panel + k * PANEL + j].
typedef struct {
    const void *data;
    int64_t panel;
    ElementType type;
} Panels;

struct Product {
    Tensor c;
    const float *a;        // a[i * a_row + k * a_step]
    int64_t a_row, a_step; //
    int64_t length;        // number of k
    int64_t depth;         // the same, or of pairs of them
    bool paired;           // a and b are computed as pairs (pairs.h); a is always copied
    bool accumulate;
    Matrix w; // where b comes from: one of the two
    Tensor x;
    Panels (*panels)(const Product *product, Range panels, Range depth, float *scratch);
    bool builds; // whether `panels` writes to its scratch
};

// One block of the loops: a part of c with what it is computed from.
typedef struct {
    Range rows, panels;
    int64_t depth;
    Shares tiles; // of the rows, counted from 0; the last one may be cut off
    const float *a;
    int64_t a_row;
    bool tiled; // a holds tile after tile, each [depth][its rows]
    Panels b;
    bool from_c;
} Part;

static inline Range tile_range(const Part *part, int64_t tile)
{
    Range rows = shares_at(&part->tiles, tile);
    rows.count = least(rows.count, part->rows.count - rows.first);
    return rows;
}

// Where the set has no products of pairs, none of these is called.

// Before and after a thread's tiles of pairs: AMX's registers need shapes.
void CPU(pairs_begin)(void);
void CPU(pairs_end)(void);

// Copies of a's block in scratch as pairs; `depth` counts them.
void CPU(pairs_copy_rows)(const Product *product, Part *part, Range depth, float *scratch);

// b's panels in scratch: of W's rows, or of x's.
Panels CPU(pairs_of_matrix)(const Product *product, Range panels, Range depth, float *scratch);
Panels CPU(pairs_of_tensor)(const Product *product, Range panels, Range depth, float *scratch);

// A tile of `rows` rows and `count` panels, of which c has so many columns.
void CPU(pairs_tile)(int rows, int count, int64_t columns, const Tile *tile);

#endif
