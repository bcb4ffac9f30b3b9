// wave.h - the branches that decode together, and where they lie in the caches.
//
// A tree's trunk stays in the caches from the start of its first branch to the end of its last, so
// it is computed once, however many of its branches fit beside it. As branches end, others take
// their place.

#ifndef L2A_ENGINE_WAVE_H
#define L2A_ENGINE_WAVE_H

#include "engine/engine.h"
#include "engine/seen.h"
#include "engine/slots.h"

// A tree whose trunk is in the caches.
typedef struct {
    Tree *tree;         // borrowed
    int32_t trunk;      // tokens that its branches see
    int64_t trunk_slot; // of the first
    bool computed;      // they are in the caches: set by who computes them
    int32_t next;       // branch to be started next
    int32_t live;       // branches on their way
} OpenTree;

// A branch on its way.
typedef struct {
    OpenTree *open; // borrowed
    Tree *tree;     // borrowed
    Branch *branch; // borrowed
    int64_t slot;
    int32_t first; // tokens of the branch before this completion
    Seen seen;     // filled when there is a penalty
} Live;

typedef struct {
    Tree *trees; // borrowed
    int64_t count, next_tree;
    int32_t max_response_tokens;
    Slots slots;
    OpenTree **open; // owned, and what they point to; in the order of opening
    int64_t open_count;
    size_t open_capacity;
    Live *live; // owned: in the order of starting; ended ones are taken out
    int64_t live_count;
    size_t live_capacity;
    int64_t most; // live at once since branches were last admitted
} Wave;

void wave_make(Wave *wave, Tree *trees, int64_t count, int64_t slots, int32_t max_response_tokens);
void wave_free(Wave *wave);

// Starts as many branches as now fit, behind the live ones; returns how many. Waits (0) until an
// eighth of them has ended, so that those that follow start together. Dies where nothing is live
// and the next branch does not fit beside its trunk.
int64_t wave_admit(Wave *wave);

// Ends a branch, whose slots are free then. The caller takes it out of `live`.
void wave_end(Wave *wave, Live *live);

#endif
