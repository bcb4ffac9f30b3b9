// cache.c - cached keys and values in the form that attention reads.

#include "base/fail.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/cpu.h"

size_t CPU(cache_bytes)(int64_t slots, int32_t heads, int32_t head_width, ElementType type)
{
    CHECK(slots % BLOCK == 0, "%ld slots are not a multiple of %d", (long)slots, BLOCK);
    return (size_t)(slots * heads * rounded_up(head_width, BLOCK)) * type_bytes(type);
}

// One number of a block's row at column `column`.
static void element_put(void *row, ElementType type, int64_t column, float x)
{
    if (type == TYPE_F32) {
        ((float *)row)[column] = x;
        return;
    }
    uint16_t rounded[BLOCK];
    lanes_store_bf16(rounded, lanes_set(x));
    ((uint16_t *)row)[bf16_place((int)column)] = rounded[0];
}

static void key_append(Cache cache, int64_t head, int64_t slot, const float *key)
{
    void *block = keys_at(cache, head, slot);
    for (int64_t d = 0; d < cache.head_width; d++)
        element_put(element_at(block, cache.type, d * BLOCK), cache.type, slot % BLOCK, key[d]);
}

static void value_append(Cache cache, int64_t head, int64_t slot, const float *value)
{
    for (int64_t d = 0; d < cache.head_width; d += BLOCK) {
        Lanes x = lanes_load_tail(value + d, least(BLOCK, cache.head_width - d));
        elements_store(values_at(cache, head, d / BLOCK, slot), cache.type, x);
    }
}

// Threads share the heads: neighbouring slots' keys lie in the same cache lines.
void CPU(cache_append)(Queue *queue, Cache cache, Tensor keys, Tensor values, const int32_t *slots)
{
    (void)queue;
    int64_t width = cache.heads * cache.head_width;
    CHECK(keys.width == width && values.width == width && keys.rows == values.rows,
          "keys [%ld, %ld], values [%ld, %ld] for %d heads of %d", (long)keys.rows,
          (long)keys.width, (long)values.rows, (long)values.width, cache.heads, cache.head_width);
#pragma omp parallel for schedule(static) if (keys.rows * width >= PARALLEL_ELEMENTS)
    for (int64_t head = 0; head < cache.heads; head++) {
        for (int64_t r = 0; r < keys.rows; r++) {
            CHECK(slots[r] >= 0 && slots[r] < cache.slots, "slot %d of %ld", (int)slots[r],
                  (long)cache.slots);
            key_append(cache, head, slots[r], row_of(keys, r) + head * cache.head_width);
            value_append(cache, head, slots[r], row_of(values, r) + head * cache.head_width);
        }
    }
}
