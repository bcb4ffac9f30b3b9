#include "text/merge.h"

#include <string.h>

#include "base/memory.h"

enum { SHORT = 48 };                 // pieces up to here are merged by plain search
static const uint32_t NO_RANK = ~0u; // the two cannot be joined

void merge_make(Merges *merges, size_t count)
{
    size_t slots = 64;
    while (slots < 2 * count)
        slots *= 2;
    *merges = (Merges){.slots = allocate(slots, sizeof *merges->slots), .mask = slots - 1};
    for (size_t i = 0; i < slots; i++)
        merges->slots[i].left = -1;
}

void merge_free(Merges *merges)
{
    release(merges->slots);
    *merges = (Merges){0};
}

static inline size_t slot_of(const Merges *merges, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u; // Fibonacci hashing: the high bits are well mixed
    return (size_t)(key >> 32) & merges->mask;
}

void merge_add(Merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t result)
{
    size_t slot = slot_of(merges, left, right);
    while (merges->slots[slot].left >= 0 &&
           (merges->slots[slot].left != left || merges->slots[slot].right != right))
        slot = (slot + 1) & merges->mask;
    merges->slots[slot] = (MergeSlot){left, right, rank, result};
}

static inline uint32_t rank_of(const Merges *merges, int32_t left, int32_t right, int32_t *result)
{
    for (size_t slot = slot_of(merges, left, right);; slot = (slot + 1) & merges->mask) {
        const MergeSlot *found = &merges->slots[slot];
        if (found->left == left && found->right == right) {
            *result = found->result;
            return found->rank;
        }
        if (found->left < 0)
            return NO_RANK;
    }
}

// Joins within `ids` [count <= SHORT]; returns how many are left. Each pass looks at every rank,
// which for so few is faster than a heap.
static size_t merge_short(const Merges *merges, int32_t *ids, size_t count)
{
    uint32_t ranks[SHORT];
    int32_t results[SHORT];
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = rank_of(merges, ids[i], ids[i + 1], &results[i]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NO_RANK)
            break;
        ids[best] = results[best];
        count--;
        size_t moved = count - best - 1;
        memmove(ids + best + 1, ids + best + 2, moved * sizeof *ids);
        memmove(ranks + best + 1, ranks + best + 2, moved * sizeof *ranks);
        memmove(results + best + 1, results + best + 2, moved * sizeof *results);
        if (best > 0)
            ranks[best - 1] = rank_of(merges, ids[best - 1], ids[best], &results[best - 1]);
        if (best + 1 < count)
            ranks[best] = rank_of(merges, ids[best], ids[best + 1], &results[best]);
    }
    return count;
}

// A piece too long for plain search: a linked list of parts, and a heap of (rank, place) whose
// stale entries are known by the rank that the place has now.
typedef struct {
    const Merges *merges;
    int32_t *ids;    // [count]
    uint32_t *ranks; // [count]: of the part and its successor
    int32_t *results;
    uint32_t *previous, *next; // [count]; the end is `count`, the start's previous too
    uint64_t *heap;            // rank << 32 | place
    size_t count, heap_count, heap_capacity;
} List;

static void heap_push(List *list, uint64_t entry)
{
    grow((void **)&list->heap, &list->heap_capacity, list->heap_count + 1, sizeof *list->heap);
    size_t at = list->heap_count++;
    for (; at > 0 && list->heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        list->heap[at] = list->heap[(at - 1) / 2];
    list->heap[at] = entry;
}

static uint64_t heap_pop(List *list)
{
    uint64_t top = list->heap[0], last = list->heap[--list->heap_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < list->heap_count) {
        if (child + 1 < list->heap_count && list->heap[child + 1] < list->heap[child])
            child++;
        if (list->heap[child] >= last)
            break;
        list->heap[at] = list->heap[child];
        at = child;
    }
    list->heap[at] = last;
    return top;
}

static void list_rank(List *list, size_t at)
{
    size_t next = list->next[at];
    list->ranks[at] = next == list->count ? NO_RANK
                                          : rank_of(list->merges, list->ids[at], list->ids[next],
                                                    &list->results[at]);
    if (list->ranks[at] != NO_RANK)
        heap_push(list, (uint64_t)list->ranks[at] << 32 | at);
}

static void list_join(List *list, size_t at)
{
    size_t gone = list->next[at], after = list->next[gone], before = list->previous[at];
    list->ids[at] = list->results[at];
    list->ranks[gone] = NO_RANK;
    list->next[at] = (uint32_t)after;
    if (after < list->count)
        list->previous[after] = (uint32_t)at;
    list_rank(list, at);
    if (before < list->count)
        list_rank(list, before);
}

static size_t merge_long(const Merges *merges, int32_t *ids, size_t count)
{
    List list = {
        .merges = merges,
        .ids = ids,
        .ranks = allocate(count, sizeof *list.ranks),
        .results = allocate(count, sizeof *list.results),
        .previous = allocate(count, sizeof *list.previous),
        .next = allocate(count, sizeof *list.next),
        .count = count,
    };
    for (size_t i = 0; i < count; i++) {
        list.previous[i] = (uint32_t)(i > 0 ? i - 1 : count);
        list.next[i] = (uint32_t)(i + 1);
    }
    for (size_t i = 0; i < count; i++)
        list_rank(&list, i);
    while (list.heap_count > 0) {
        uint64_t entry = heap_pop(&list);
        size_t at = (uint32_t)entry;
        if (list.ranks[at] == entry >> 32)
            list_join(&list, at);
    }
    size_t left = 0;
    for (size_t i = 0; i < count; i = list.next[i])
        ids[left++] = ids[i];
    release(list.ranks);
    release(list.results);
    release(list.previous);
    release(list.next);
    release(list.heap);
    return left;
}

// The ids of bytes that are not one token.
static void merge_bytes(const Merges *merges, const Vocabulary *vocabulary, const char *bytes,
                        size_t length, Tokens *out)
{
    grow((void **)&out->ids, &out->capacity, (size_t)out->count + length, sizeof *out->ids);
    int32_t *ids = out->ids + out->count;
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        ids[count] = vocabulary->byte[(uint8_t)bytes[i]];
        count += ids[count] >= 0;
    }
    count = count <= SHORT ? merge_short(merges, ids, count) : merge_long(merges, ids, count);
    out->count += (int64_t)count;
}

void merge_mark_kept(const Merges *merges, Vocabulary *vocabulary)
{
    Tokens ids = {0};
    for (int32_t id = 0; id < vocabulary->size; id++) {
        const char *bytes = vocabulary->text.data + vocabulary->tokens[id].start;
        size_t length = vocabulary->tokens[id].length;
        if (length == 0 || vocabulary_find(vocabulary, bytes, length) != id)
            continue;
        tokens_clear(&ids);
        merge_bytes(merges, vocabulary, bytes, length, &ids);
        if (merges->whole_first || (ids.count == 1 && ids.ids[0] == id))
            vocabulary->tokens[id].flags |= VOCABULARY_KEPT;
    }
    tokens_free(&ids);
}

void merge_piece(const Merges *merges, const Vocabulary *vocabulary, const char *bytes,
                 size_t length, Tokens *out)
{
    int32_t id = vocabulary_find(vocabulary, bytes, length);
    if (id >= 0 && (vocabulary->tokens[id].flags & VOCABULARY_KEPT))
        tokens_append(out, id);
    else
        merge_bytes(merges, vocabulary, bytes, length, out);
}
