// test_slots.c - free ranges against a plain table of which slots are taken.

#include "tests/testing.h"

#include <stdbool.h>

#include "base/random.h"
#include "engine/slots.h"

enum { ALL = 200, STEPS = 20000 };

static bool is_free(const bool *taken, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++)
        if (i >= ALL || taken[i])
            return false;
    return true;
}

static int64_t first_fit(const bool *taken, int64_t count)
{
    for (int64_t first = 0; first + count <= ALL; first++)
        if (is_free(taken, first, count))
            return first;
    return -1;
}

static void mark(bool *taken, SlotRange range, bool value)
{
    for (int64_t i = 0; i < range.count; i++)
        taken[range.first + i] = value;
}

static void the_first_range_that_fits_is_taken(void **state)
{
    (void)state;
    bool taken[ALL] = {false};
    SlotRange held[ALL];
    int64_t count = 0, refused = 0;
    Slots slots = {0};
    slots_reset(&slots, ALL);
    for (uint32_t step = 0; step < STEPS; step++) {
        Draw draw = {.seed = 9, .purpose = PURPOSE_GENERATE, .step = step};
        if (draw_below(draw, 2) == 0 && count > 0) {
            draw.position = 1;
            int64_t which = (int64_t)draw_below(draw, (uint64_t)count);
            slots_give(&slots, held[which].first, held[which].count);
            mark(taken, held[which], false);
            held[which] = held[--count];
            continue;
        }
        draw.position = 2;
        int64_t wanted = 1 + (int64_t)draw_below(draw, 30), expected = first_fit(taken, wanted);
        assert_int_equal(slots_take(&slots, wanted), expected);
        refused += expected < 0;
        if (expected >= 0) {
            held[count] = (SlotRange){expected, wanted};
            mark(taken, held[count++], true);
        }
    }
    assert_true(refused > 0);
    while (count-- > 0)
        slots_give(&slots, held[count].first, held[count].count);
    assert_int_equal(slots.count, 1); // all ranges have grown together again
    assert_int_equal(slots.free[0].count, ALL);
    slots_free(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_range_that_fits_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
