#include "engine/seen.h"

void seen_make(Seen *seen, int64_t vocabulary)
{
    *seen = (Seen){.present = allocate((size_t)(vocabulary / 64 + 1), sizeof *seen->present)};
}

void seen_add(Seen *seen, int32_t token)
{
    uint64_t bit = 1ull << (token % 64);
    if (seen->present[token / 64] & bit)
        return;
    seen->present[token / 64] |= bit;
    grow((void **)&seen->list, &seen->capacity, (size_t)seen->count + 1, sizeof *seen->list);
    seen->list[seen->count++] = token;
}

void seen_add_context(Seen *seen, const Tree *tree, const Branch *branch)
{
    for (int32_t i = 0; i < branch->attach; i++)
        seen_add(seen, tree->trunk[i]);
    for (int32_t i = 0; i < branch->forced + branch->count; i++)
        seen_add(seen, branch->tokens[i]);
}

void seen_free(Seen *seen)
{
    release(seen->present);
    release(seen->list);
    *seen = (Seen){0};
}
