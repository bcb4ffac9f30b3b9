#include "engine/wave.h"

#include <string.h>

#include "base/fail.h"

void wave_make(Wave *wave, Tree *trees, int64_t count, int64_t slots, int32_t max_response_tokens)
{
    *wave = (Wave){.trees = trees, .count = count, .max_response_tokens = max_response_tokens};
    slots_reset(&wave->slots, slots);
}

void wave_free(Wave *wave)
{
    slots_free(&wave->slots);
    release(wave->open);
    release(wave->live);
    *wave = (Wave){0};
}

static int64_t branch_slots(const Wave *wave, const Branch *branch, int32_t first)
{
    return slots_aligned(branch->forced + first + wave->max_response_tokens);
}

static bool start_branch(Wave *wave, OpenTree *open)
{
    Branch *branch = &open->tree->branches[open->next];
    int64_t slot = slots_take(&wave->slots, branch_slots(wave, branch, branch->count));
    if (slot < 0)
        return false;
    grow((void **)&wave->live, &wave->live_capacity, (size_t)wave->live_count + 1,
         sizeof *wave->live);
    wave->live[wave->live_count++] = (Live){
        .open = open, .tree = open->tree, .branch = branch, .slot = slot, .first = branch->count};
    open->next++;
    open->live++;
    return true;
}

static void close_tree(Wave *wave, int64_t at)
{
    OpenTree *open = wave->open[at];
    slots_give(&wave->slots, open->trunk_slot, slots_aligned(open->trunk));
    release(open);
    wave->open_count--;
    memmove(wave->open + at, wave->open + at + 1,
            (size_t)(wave->open_count - at) * sizeof *wave->open);
}

// Opens the next tree with its first branch; false where the two do not fit.
static bool open_tree(Wave *wave)
{
    Tree *tree = &wave->trees[wave->next_tree];
    Part all = {.tree = tree, .first = 0, .count = tree->branch_count};
    int32_t trunk = part_trunk(&all);
    int64_t slot = slots_take(&wave->slots, slots_aligned(trunk));
    if (slot < 0)
        return false;
    OpenTree *open = allocate(1, sizeof *open);
    *open = (OpenTree){.tree = tree, .trunk = trunk, .trunk_slot = slot};
    grow((void **)&wave->open, &wave->open_capacity, (size_t)wave->open_count + 1,
         sizeof *wave->open);
    wave->open[wave->open_count++] = open;
    if (start_branch(wave, open)) {
        wave->next_tree++;
        return true;
    }
    close_tree(wave, wave->open_count - 1);
    return false;
}

static void skip_bare_trees(Wave *wave)
{
    while (wave->next_tree < wave->count && wave->trees[wave->next_tree].branch_count == 0)
        wave->next_tree++;
}

// Starts one more branch: of a tree that is open, else of the next one.
static bool start_next(Wave *wave)
{
    for (int64_t i = 0; i < wave->open_count; i++)
        if (wave->open[i]->next < wave->open[i]->tree->branch_count)
            return start_branch(wave, wave->open[i]);
    skip_bare_trees(wave);
    return wave->next_tree < wave->count && open_tree(wave);
}

static bool has_more(Wave *wave)
{
    skip_bare_trees(wave);
    return wave->next_tree < wave->count || wave->open_count > 0;
}

// With nothing live, a trunk in the middle of the caches may leave too little on either side: it
// moves to the front, to be computed again.
static bool start_afresh(Wave *wave)
{
    if (wave->live_count > 0 || wave->open_count == 0)
        return false;
    OpenTree *open = wave->open[0]; // the only one: the others have nothing to start and are closed
    slots_give(&wave->slots, open->trunk_slot, slots_aligned(open->trunk));
    open->trunk_slot = slots_take(&wave->slots, slots_aligned(open->trunk));
    open->computed = false;
    return start_branch(wave, open);
}

int64_t wave_admit(Wave *wave)
{
    int64_t before = wave->live_count;
    if (before > wave->most - (wave->most + 7) / 8)
        return 0;
    while (start_next(wave) || start_afresh(wave))
        continue;
    CHECK(wave->live_count > 0 || !has_more(wave), "a branch does not fit into the caches");
    wave->most = wave->live_count;
    return wave->live_count - before;
}

void wave_end(Wave *wave, Live *live)
{
    OpenTree *open = live->open;
    slots_give(&wave->slots, live->slot, branch_slots(wave, live->branch, live->first));
    seen_free(&live->seen);
    if (--open->live > 0 || open->next < open->tree->branch_count)
        return;
    int64_t at = 0;
    while (wave->open[at] != open)
        at++;
    close_tree(wave, at);
}
