// shard.h - which part of a global array a rank holds.
//
// Equal, contiguous shares: `local` is the same on every rank, so `padded` (= local * size) may
// exceed `global`; the tail past `global` is zero. Shares are multiples of SHARD_ALIGNMENT
// elements.

#ifndef L2A_PARALLEL_SHARD_H
#define L2A_PARALLEL_SHARD_H

#include <stdint.h>

enum { SHARD_ALIGNMENT = 2048 };

typedef struct {
    int64_t global; // elements that mean something
    int64_t padded; // elements in all shards together
    int64_t local;  // elements on this rank
    int64_t first;  // global index of this rank's first element
} Shard;

// The share of rank `rank` of `size` in an array of `global` elements.
Shard shard_of(int64_t global, int rank, int size);

// `elements` rounded up to a multiple of SHARD_ALIGNMENT.
int64_t shard_align(int64_t elements);

#endif
