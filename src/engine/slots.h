// slots.h - which cached positions are free: ranges, taken first fit and given back.

#ifndef L2A_ENGINE_SLOTS_H
#define L2A_ENGINE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t first, count;
} SlotRange;

// Zero-initialise, then slots_reset.
typedef struct {
    SlotRange *free; // owned, ascending, no two touch
    int64_t count;
    size_t capacity;
} Slots;

void slots_reset(Slots *slots, int64_t all);     // [0, all) is free
int64_t slots_take(Slots *slots, int64_t count); // the first of them; -1: there is no such range
void slots_give(Slots *slots, int64_t first, int64_t count);
void slots_free(Slots *slots);

#endif
