#include "engine/slots.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

static void insert(Slots *slots, int64_t at, SlotRange range)
{
    grow((void **)&slots->free, &slots->capacity, (size_t)slots->count + 1, sizeof *slots->free);
    memmove(slots->free + at + 1, slots->free + at,
            (size_t)(slots->count - at) * sizeof *slots->free);
    slots->free[at] = range;
    slots->count++;
}

static void erase(Slots *slots, int64_t at)
{
    slots->count--;
    memmove(slots->free + at, slots->free + at + 1,
            (size_t)(slots->count - at) * sizeof *slots->free);
}

void slots_reset(Slots *slots, int64_t all)
{
    slots->count = 0;
    insert(slots, 0, (SlotRange){0, all});
}

int64_t slots_take(Slots *slots, int64_t count)
{
    for (int64_t i = 0; i < slots->count; i++) {
        SlotRange *range = &slots->free[i];
        if (range->count < count)
            continue;
        int64_t first = range->first;
        range->first += count;
        range->count -= count;
        if (range->count == 0)
            erase(slots, i);
        return first;
    }
    return -1;
}

void slots_give(Slots *slots, int64_t first, int64_t count)
{
    int64_t at = 0;
    if (count == 0)
        return;
    while (at < slots->count && slots->free[at].first < first)
        at++;
    CHECK(at == slots->count || first + count <= slots->free[at].first, "slots given twice");
    insert(slots, at, (SlotRange){first, count});
    if (at + 1 < slots->count && first + count == slots->free[at + 1].first) {
        slots->free[at].count += slots->free[at + 1].count;
        erase(slots, at + 1);
    }
    if (at > 0 && slots->free[at - 1].first + slots->free[at - 1].count == first) {
        slots->free[at - 1].count += slots->free[at].count;
        erase(slots, at);
    }
}

void slots_free(Slots *slots)
{
    release(slots->free);
    *slots = (Slots){0};
}
