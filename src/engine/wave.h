// wave.h - the branches that decode together, and where they lie in the caches.

#ifndef L2A_ENGINE_WAVE_H
#define L2A_ENGINE_WAVE_H

#include "engine/engine.h"
#include "engine/seen.h"

// A branch on its way.
typedef struct {
    Tree *tree;     // borrowed
    Branch *branch; // borrowed
    int64_t trunk_slot, slot;
    int32_t first; // tokens of the branch before this completion
    Seen seen;     // filled when there is a penalty
} Live;

typedef struct {
    Part *parts; // owned
    int64_t part_count;
    size_t part_capacity;
    Live *live; // owned: branches in the order of parts; ended ones are taken out
    int64_t live_count;
    size_t live_capacity;
    int64_t slots; // taken
} Wave;

// Takes parts off the front of (trees, *tree, *branch) until the caches are full; false when there
// is nothing left.
bool wave_fill(Wave *wave, Tree *trees, int64_t count, int64_t *tree, int32_t *branch,
               int64_t slots, int32_t max_response_tokens);
void wave_clear(Wave *wave);
void wave_free(Wave *wave);

#endif
