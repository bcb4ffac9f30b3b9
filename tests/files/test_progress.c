// test_progress.c - a run's note of how often it began where.

#include "tests/testing.h"

#include <unistd.h>

#include "base/fail.h"
#include "files/progress.h"
#include "tests/files/scratch.h"

static void starts_that_get_nowhere_are_counted(void **state)
{
    (void)state;
    const char *place = scratch_path("");
    unlink(scratch_path("progress"));
    assert_int_equal(progress_begin(place, 0, 9), 1);
    assert_int_equal(progress_begin(place, 0, 9), 2);
    assert_int_equal(progress_begin(place, 0, 9), 3);
    assert_int_equal(progress_begin(place, 7, 9), 1);
    assert_int_equal(progress_begin(place, 7, 12), 2);
    assert_int_equal(progress_begin(place, 5, 9), 1); // the newest checkpoint proved bad
    assert_int_equal(progress_begin(scratch_path("no/such/place"), 0, 9), -1);
    assert_failed(EXIT_CANNOT_CREATE, "no/such/place/progress");
}

static void what_was_noted_is_read_back(void **state)
{
    (void)state;
    const char *place = scratch_path("");
    progress_begin(place, 4, 9);
    progress_begin(place, 4, 9);
    Progress progress = progress_read(place);
    assert_int_equal(progress.step, 4);
    assert_int_equal(progress.total, 9);
    assert_int_equal(progress.starts, 2);
}

static void a_damaged_note_counts_as_none(void **state)
{
    (void)state;
    const char *place = scratch_path("");
    static const char *const damaged[] = {"",
                                          "step=5",
                                          "step=5 of=9 starts=x\n",
                                          "step=5 of=9 starts=-1\n",
                                          "step=5 starts=1\n",
                                          "step=5 of=9 starts=1\nand more\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        scratch_write_text("progress", damaged[i]);
        assert_int_equal(progress_read(place).starts, 0);
        assert_int_equal(progress_begin(place, 5, 9), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_that_get_nowhere_are_counted),
        cmocka_unit_test(what_was_noted_is_read_back),
        cmocka_unit_test(a_damaged_note_counts_as_none),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
