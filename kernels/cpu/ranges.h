// ranges.h - contiguous shares of work: for threads, cache blocks and tiles.

#ifndef L2A_KERNELS_CPU_RANGES_H
#define L2A_KERNELS_CPU_RANGES_H

#include <stdint.h>

typedef struct {
    int64_t first, count;
} Range;

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Smallest count of pieces of `size` that hold `total`.
static inline int64_t pieces_of(int64_t total, int64_t size)
{
    return (total + size - 1) / size;
}

static inline int64_t rounded_up(int64_t n, int64_t multiple)
{
    return pieces_of(n, multiple) * multiple;
}

// Share `index` of `parts` shares of a range that differ by one at most.
static inline Range range_share(Range whole, int64_t parts, int64_t index)
{
    int64_t share = whole.count / parts, larger = whole.count % parts;
    return (Range){.first = whole.first + index * share + least(index, larger),
                   .count = share + (index < larger)};
}

// The same for many shares, without a division each.
typedef struct {
    int64_t first, share, larger, parts;
} Shares;

static inline Shares shares_of(Range whole, int64_t parts)
{
    return (Shares){whole.first, whole.count / parts, whole.count % parts, parts};
}

static inline Range shares_at(const Shares *shares, int64_t index)
{
    return (Range){.first = shares->first + index * shares->share + least(index, shares->larger),
                   .count = shares->share + (index < shares->larger)};
}

// The next piece of a range from `first` on, `size` long at most.
static inline Range range_piece(Range whole, int64_t first, int64_t size)
{
    return (Range){.first = first, .count = least(size, whole.first + whole.count - first)};
}

#endif
