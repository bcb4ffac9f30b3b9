#include "engine/wave.h"

#include "base/fail.h"

static int64_t branch_slots(const Branch *branch, int32_t max_response_tokens)
{
    return slots_aligned(branch->forced + branch->count + max_response_tokens);
}

static int64_t slots_needed(const Part *part, int32_t max_response_tokens)
{
    int64_t slots = slots_aligned(part_trunk(part));
    for (int32_t b = part->first; b < part->first + part->count; b++)
        slots += branch_slots(&part->tree->branches[b], max_response_tokens);
    return slots;
}

static void add_live(Wave *wave, const Part *part, int32_t max_response_tokens)
{
    int64_t trunk_slot = wave->slots;
    wave->slots += slots_aligned(part_trunk(part));
    for (int32_t b = part->first; b < part->first + part->count; b++) {
        Branch *branch = &part->tree->branches[b];
        grow((void **)&wave->live, &wave->live_capacity, (size_t)wave->live_count + 1,
             sizeof *wave->live);
        wave->live[wave->live_count++] = (Live){.tree = part->tree,
                                                .branch = branch,
                                                .trunk_slot = trunk_slot,
                                                .slot = wave->slots,
                                                .first = branch->count};
        wave->slots += branch_slots(branch, max_response_tokens);
    }
}

bool wave_fill(Wave *wave, Tree *trees, int64_t count, int64_t *tree, int32_t *branch,
               int64_t slots, int32_t max_response_tokens)
{
    wave_clear(wave);
    while (*tree < count) {
        Part part = {.tree = &trees[*tree], .first = *branch};
        while (part.first + part.count < trees[*tree].branch_count) {
            part.count++;
            if (wave->slots + slots_needed(&part, max_response_tokens) > slots) {
                part.count--;
                break;
            }
        }
        bool whole = part.first + part.count == trees[*tree].branch_count;
        // A tree is only cut when it has the caches to itself.
        if (part.count == 0 || (!whole && wave->part_count > 0))
            break;
        grow((void **)&wave->parts, &wave->part_capacity, (size_t)wave->part_count + 1,
             sizeof *wave->parts);
        wave->parts[wave->part_count++] = part;
        add_live(wave, &part, max_response_tokens);
        *branch = whole ? 0 : part.first + part.count;
        *tree += whole;
    }
    CHECK(wave->part_count > 0 || *tree >= count, "a branch does not fit into %lld slots",
          (long long)slots);
    return wave->part_count > 0;
}

void wave_clear(Wave *wave)
{
    for (int64_t i = 0; i < wave->live_count; i++)
        seen_free(&wave->live[i].seen);
    wave->part_count = wave->live_count = wave->slots = 0;
}

void wave_free(Wave *wave)
{
    wave_clear(wave);
    release(wave->parts);
    release(wave->live);
    *wave = (Wave){0};
}
