// products.c - the three products with a weight matrix, over one blocked loop.
//
// A product is c [rows, columns] (+)= a b, its columns cut into panels. Threads share a grid of
// rows by panels of c. Within a share the chains are cut into depth blocks so that a panel's block
// stays in a near cache, and rows into blocks that stay in the second-level one; at a cut the sums
// rest in c as fp32, which changes no bit. What varies between the three is where a's elements lie
// and how b's panels come about: product_nt reads them in place, the others build them block by
// block. Where the machine's dot products of bf16 are used, k counts pairs (products_pairs.c).

#include <omp.h>

#include "base/fail.h"
#include "kernels/cpu/products.h"

enum {
    PANEL_BLOCK = 1024 / PANEL, // panels built at a time
    COPY_DEPTH = 32,            // k copied at a time where each lies apart
    COPY_COLUMNS = 192,         // of b from which on copying a's block pays
    FEW_ROWS = 2 * TILE_ROWS,   // that read each panel once: nothing is cut or copied
    PARALLEL_WORK = 100000,     // multiply-adds below which one thread is faster
};

// Tiles of AMX take as long with fewer rows: whole ones, and what is left. Others are even.
static bool takes_whole_tiles(const Product *product)
{
    return product->paired && PAIRS_BY_AMX;
}

// `rows` and `count` panels from `panel` on, both counted inside the part. Tile `turn` of `turns`
// of these panels fetches its share of the panels that come next.
static void part_tile(const Product *product, const Part *part, Range rows, int64_t panel,
                      int count, int64_t turn, int64_t turns)
{
    ElementType type = part->b.type;
    int64_t column = (part->panels.first + panel) * PANEL, left = product->c.width - column;
    int64_t bytes = (int64_t)type_bytes(type), share = PANEL * bytes / turns;
    const char *b = element_at(part->b.data, type, panel * part->b.panel);
    Tile tile = {
        .a = part->a + rows.first * (part->tiled ? part->depth : part->a_row),
        .a_stride = part->tiled ? rows.count : part->a_row,
        .by_columns = part->tiled,
        .b = b,
        .b_panel = part->b.panel,
        .c = row_of(product->c, part->rows.first + rows.first) + column,
        .c_row = product->c.stride,
        .depth = part->depth,
        .from_c = part->from_c,
        .ahead = b + count * part->b.panel * bytes + turn * part->depth * share,
        .ahead_panel = part->b.panel * bytes,
        .ahead_step = share,
    };
    if (product->paired)
        CPU(pairs_tile)((int)rows.count, count, left, &tile);
    else
        tile_any((int)rows.count, count, left, type, &tile);
}

static void part_compute(const Product *product, const Part *part)
{
    int64_t tiles = part->tiles.parts;
    int together =
        tiles == 1 && !takes_whole_tiles(product) ? tile_panels((int)part->rows.count) : 1;
    int64_t whole = product->c.width / PANEL - part->panels.first; // panels not cut off
    for (int64_t panel = 0, count; panel < part->panels.count; panel += count) {
        count = panel + together <= least(whole, part->panels.count) ? together : 1;
        for (int64_t tile = 0; tile < tiles; tile++)
            part_tile(product, part, tile_range(part, tile), panel, (int)count, tile, tiles);
    }
}

// Up to sixteen k, from `first` on, of rows [rows) of `a`: to[k][row]. Writes up to sixteen floats
// past the end of each k: the next one's place, or the end of the scratch (ROWS_SCRATCH).
static void tile_turn(const Product *product, Range rows, int64_t first, int64_t count, float *to)
{
    float turned[BLOCK * BLOCK];
    const float *from = product->a + rows.first * product->a_row + first;
    if (count == BLOCK && rows.first + BLOCK <= product->c.rows) {
        block_transpose(turned, BLOCK, from, product->a_row);
    } else {
        float block[BLOCK * BLOCK] = {0};
        for (int64_t i = 0; i < rows.count; i++)
            lanes_store(block + i * BLOCK, lanes_load_tail(from + i * product->a_row, count));
        block_transpose(turned, BLOCK, block, BLOCK);
    }
    for (int64_t k = 0; k < count; k++)
        lanes_store(to + k * rows.count, lanes_load(turned + k * BLOCK));
}

// Rows of `a` in scratch, tile by tile, and in a tile k by k.
static void part_copy_rows(const Product *product, Part *part, Range depth, float *scratch)
{
    for (int64_t t = 0; t < part->tiles.parts; t++) {
        Range rows = tile_range(part, t);
        float *to = scratch + rows.first * depth.count;
        rows.first += part->rows.first;
        for (int64_t k = 0; k < depth.count; k += BLOCK)
            tile_turn(product, rows, depth.first + k, least(BLOCK, depth.count - k),
                      to + k * rows.count);
    }
    part->a = scratch;
    part->tiled = true;
}

// Rows [rows) of a's block, k in [depth): k by k.
static void tile_copy_columns(const Product *product, Range rows, Range depth, float *to)
{
    const float *from = product->a + depth.first * product->a_step + rows.first;
    if (rows.count == TILE_ROWS) { // a length known here is a few moves
        for (int64_t k = 0; k < depth.count; k++)
            memcpy(to + k * TILE_ROWS, from + k * product->a_step, TILE_ROWS * sizeof *to);
    } else {
        for (int64_t k = 0; k < depth.count; k++)
            for (int64_t i = 0; i < rows.count; i++)
                to[k * rows.count + i] = from[k * product->a_step + i];
    }
}

// Where rows of `a` are columns in memory: tile by tile, and in a tile k by k. A few k of all tiles
// at a time, since each k may lie in a page of its own.
static void part_copy_columns(const Product *product, Part *part, Range depth, float *scratch)
{
    for (int64_t k = 0; k < depth.count; k += COPY_DEPTH) {
        Range few = range_piece(depth, depth.first + k, COPY_DEPTH);
        for (int64_t t = 0; t < part->tiles.parts; t++) {
            Range rows = tile_range(part, t);
            float *to = scratch + rows.first * depth.count + k * rows.count;
            rows.first += part->rows.first;
            tile_copy_columns(product, rows, few, to);
        }
    }
    part->a = scratch;
    part->tiled = true;
}

// ---- the loops ----------------------------------------------------------------------------------

// A block of pairs: more than tile_turn needs.
enum { ROWS_SCRATCH = ROW_BLOCK * (DEPTH_BLOCK + BLOCK) };

// Floats for a's block: a whole chain of few rows, or a block of both.
static int64_t rows_scratch(const Product *product, int64_t rows, bool cut)
{
    return cut || !product->paired ? ROWS_SCRATCH
                                   : rounded_up(rows, PAIR_ROWS) * (product->depth + 2 * BLOCK);
}

static Range rows_block(const Product *product, Range rows, int64_t block)
{
    if (takes_whole_tiles(product))
        return range_piece(rows, rows.first + block * ROW_BLOCK, ROW_BLOCK);
    return range_share(rows, pieces_of(rows.count, ROW_BLOCK), block);
}

static Shares tiles_of(const Product *product, int64_t rows)
{
    if (takes_whole_tiles(product))
        return (Shares){.parts = pieces_of(rows, PAIR_ROWS), .share = PAIR_ROWS};
    return shares_of((Range){0, rows}, pieces_of(rows, TILE_ROWS));
}

static void depth_compute(const Product *product, Range rows, Range panels, Range depth,
                          float *scratch, float *built)
{
    Part part = {
        .panels = panels,
        .depth = depth.count,
        .b = product->panels(product, panels, depth, built),
        .from_c = product->accumulate || depth.first > 0,
    };
    int64_t blocks = pieces_of(rows.count, ROW_BLOCK);
    for (int64_t block = 0; block < blocks; block++) {
        part.rows = rows_block(product, rows, block);
        part.tiles = tiles_of(product, part.rows.count);
        part.a = product->a + part.rows.first * product->a_row + depth.first * product->a_step;
        part.a_row = product->a_row;
        if (product->paired)
            CPU(pairs_copy_rows)(product, &part, depth, scratch);
        else if (product->a_step != 1)
            part_copy_columns(product, &part, depth, scratch);
        else if (panels.count * PANEL >= COPY_COLUMNS && part.rows.count > FEW_ROWS)
            part_copy_rows(product, &part, depth, scratch);
        part_compute(product, &part);
    }
}

// A thread's share of c. The chains of few rows are not cut.
static void share_compute(const Product *product, Range rows, Range panels)
{
    bool cut = rows.count > FEW_ROWS || product->builds;
    int64_t blocks = cut ? pieces_of(product->depth, DEPTH_BLOCK) : 1;
    int64_t size = rounded_up(pieces_of(product->depth, blocks), PANEL);
    int64_t wide = product->builds ? pieces_of(panels.count, pieces_of(panels.count, PANEL_BLOCK))
                                   : panels.count;
    int64_t rest = rows_scratch(product, rows.count, cut);
    int64_t floats = rest + (product->builds ? DEPTH_BLOCK * PANEL_BLOCK * PANEL : 0);
    float *scratch = scratch_cpu((size_t)floats * sizeof *scratch);
    if (product->paired)
        CPU(pairs_begin)();
    for (int64_t p = 0; p < panels.count; p += wide) {
        for (int64_t k = 0; k < product->depth; k += size)
            depth_compute(product, rows, range_piece(panels, panels.first + p, wide),
                          range_piece((Range){0, product->depth}, k, size), scratch,
                          scratch + rest);
    }
    if (product->paired)
        CPU(pairs_end)();
}

// How many shares of the rows a grid of `threads` has: the fewest tiles for the busiest thread. Of
// equals the fewest, since every share of the rows reads all of b; but beside AMX copying a is
// dear, which every share of the panels does: then the most, unless b's panels are turned as well.
static int64_t grid_rows(const Product *product, int64_t rows, int64_t panels, int64_t threads)
{
    bool turns = product->builds && product->a_step == 1;
    bool most_shares = takes_whole_tiles(product) && !turns;
    int64_t tile_rows = product->paired ? PAIR_ROWS : TILE_ROWS;
    int64_t best = 1, best_work = INT64_MAX;
    for (int64_t parts = 1; parts <= threads; parts++) {
        if (threads % parts)
            continue;
        int64_t work =
            pieces_of(pieces_of(rows, parts), tile_rows) * pieces_of(panels, threads / parts);
        if (work < best_work || (work == best_work && most_shares)) {
            best_work = work;
            best = parts;
        }
    }
    return best;
}

static void product_compute(const Product *product)
{
    Range rows = {0, product->c.rows}, panels = {0, pieces_of(product->c.width, PANEL)};
    if (product->depth == 0 && product->accumulate)
        return; // an empty chain: a rank without rows in this micro-batch
    int64_t work = rows.count * product->c.width * product->depth;
    int64_t threads = work < PARALLEL_WORK ? 1 : omp_get_max_threads();
    if (threads == 1) {
        if (rows.count > 0 && panels.count > 0)
            share_compute(product, rows, panels);
        return;
    }
    int64_t row_parts = grid_rows(product, rows.count, panels.count, threads);
#pragma omp parallel num_threads((int)threads)
    for (int64_t t = omp_get_thread_num(); t < threads; t += omp_get_num_threads()) {
        Range mine = range_share(rows, row_parts, t % row_parts);
        Range wide = range_share(panels, threads / row_parts, t / row_parts);
        if (mine.count > 0 && wide.count > 0)
            share_compute(product, mine, wide);
    }
}

static Panels panels_in_place(const Product *product, Range panels, Range depth, float *scratch)
{
    (void)scratch;
    Matrix w = product->w;
    ElementType type = stored_type(w.type);
    int64_t panel = stored_width(w.type, w.width) * PANEL;
    return (Panels){element_at(w.packed, type, panels.first * panel + depth.first * PANEL), panel,
                    type};
}

void CPU(product_nt)(Queue *queue, Tensor out, Tensor x, Matrix w)
{
    (void)queue;
    CHECK(out.rows == x.rows && out.width == w.rows && x.width == w.width,
          "[%ld, %ld] = [%ld, %ld] times the transpose of [%ld, %ld]", (long)out.rows,
          (long)out.width, (long)x.rows, (long)x.width, (long)w.rows, (long)w.width);
    product_compute(&(Product){.c = out,
                               .a = x.data,
                               .a_row = x.stride,
                               .a_step = 1,
                               .length = x.width,
                               .depth = stored_width(w.type, x.width),
                               .paired = stored_type(w.type) == TYPE_PAIRS,
                               .w = w,
                               .panels = panels_in_place});
}

// Rows [k, k + 16) of W, which stand side by side in W's panel, become rows of b's panels.
static void rows_build(Matrix w, int64_t k, Range panels, int64_t b_panel, float *to)
{
    float block[BLOCK * BLOCK] = {0};
    int64_t source = k / PANEL * PANEL * w.width + k % PANEL;
    int64_t first = panels.first * PANEL, end = least(w.width, first + panels.count * PANEL);
    for (int64_t j = first; j < end; j += BLOCK) {
        float *place = to + (j - first) / PANEL * b_panel + (j - first) % PANEL;
        const void *from = element_at(w.packed, w.type, source + j * PANEL);
        int64_t columns = least(BLOCK, end - j);
        if (w.type == TYPE_F32 && columns == BLOCK) {
            block_transpose(place, PANEL, from, PANEL);
            continue;
        }
        for (int64_t i = 0; i < columns; i++)
            lanes_store(block + i * BLOCK,
                        elements_load(element_at(from, w.type, i * PANEL), w.type));
        block_transpose(place, PANEL, block, BLOCK);
    }
}

static Panels panels_transposed(const Product *product, Range panels, Range depth, float *scratch)
{
    if (product->paired)
        return CPU(pairs_of_matrix)(product, panels, depth, scratch);
    int64_t b_panel = rounded_up(depth.count, BLOCK) * PANEL;
    for (int64_t k = 0; k < depth.count; k += BLOCK)
        rows_build(product->w, depth.first + k, panels, b_panel, scratch + k * PANEL);
    return (Panels){scratch, b_panel, TYPE_F32};
}

void CPU(product_nn)(Queue *queue, Tensor out, Tensor y, Matrix w, bool accumulate)
{
    (void)queue;
    CHECK(out.rows == y.rows && y.width == w.rows && out.width == w.width,
          "[%ld, %ld] = [%ld, %ld] times [%ld, %ld]", (long)out.rows, (long)out.width, (long)y.rows,
          (long)y.width, (long)w.rows, (long)w.width);
    product_compute(&(Product){.c = out,
                               .a = y.data,
                               .a_row = y.stride,
                               .a_step = 1,
                               .length = y.width,
                               .depth = stored_width(w.type, y.width),
                               .paired = stored_type(w.type) == TYPE_PAIRS,
                               .accumulate = accumulate,
                               .w = w,
                               .panels = panels_transposed,
                               .builds = true});
}

static Panels panels_copied(const Product *product, Range panels, Range depth, float *scratch)
{
    if (product->paired)
        return CPU(pairs_of_tensor)(product, panels, depth, scratch);
    Tensor x = product->x;
    int64_t b_panel = depth.count * PANEL, first = panels.first * PANEL;
    int64_t end = least(x.width, first + panels.count * PANEL);
    for (int64_t j = first; j < end; j += BLOCK) {
        float *to = scratch + (j - first) / PANEL * b_panel + (j - first) % PANEL;
        const float *from = row_of(x, depth.first) + j;
        if (end - j >= BLOCK) {
            for (int64_t k = 0; k < depth.count; k++)
                lanes_store(to + k * PANEL, lanes_load(from + k * x.stride));
        } else {
            for (int64_t k = 0; k < depth.count; k++)
                lanes_store(to + k * PANEL, lanes_load_tail(from + k * x.stride, end - j));
        }
    }
    return (Panels){scratch, b_panel, TYPE_F32};
}

void CPU(product_tn)(Queue *queue, Tensor out, Tensor y, Tensor x)
{
    (void)queue;
    CHECK(out.rows == y.width && out.width == x.width && x.rows == y.rows,
          "[%ld, %ld] += the transpose of [%ld, %ld] times [%ld, %ld]", (long)out.rows,
          (long)out.width, (long)y.rows, (long)y.width, (long)x.rows, (long)x.width);
    product_compute(&(Product){.c = out,
                               .a = y.data,
                               .a_row = 1,
                               .a_step = y.stride,
                               .length = y.rows,
                               .depth = stored_width(TYPE_BF16, y.rows),
                               .paired = stored_type(TYPE_BF16) == TYPE_PAIRS,
                               .accumulate = true,
                               .x = x,
                               .panels = panels_copied,
                               .builds = true});
}
