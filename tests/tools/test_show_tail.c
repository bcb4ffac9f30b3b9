// test_show_tail.c - a journal is followed through whatever becomes of it, and read once.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "tests/files/scratch.h"
#include "tests/tools/made_run.h"
#include "tools/show_tail.h"

static void set_journal(const char *text, size_t length)
{
    scratch_write("metrics.jsonl", text, length);
}

// A look that finds steps 1 to `last`; whether the journal was taken for another one.
static void look(ShowTail *tail, int64_t last, bool expected_anew)
{
    bool anew;
    assert_int_equal(show_tail_look(tail, &anew), 0);
    assert_int_equal(anew, expected_anew);
    assert_int_equal(tail->table.rows, last);
    for (int64_t row = 0; row < last; row++)
        assert_int_equal(tail->table.steps[row], row + 1);
    const double *values = metrics_table_find(&tail->table, "x");
    assert_true(last == 0 || values[last - 1] == (double)last);
}

// Steps 1 to `last`; `salt` makes their lines others.
static Bytes steps(int64_t last, int salt)
{
    Bytes text = {0};
    for (int64_t step = 1; step <= last; step++) {
        char more[64];
        snprintf(more, sizeof more, ",\"x\":%lld,\"salt\":%d", (long long)step, salt);
        made_run_step(&text, step, 1, more);
    }
    return text;
}

static void only_what_was_appended_is_read(void **state)
{
    (void)state;
    ShowTail tail;
    Bytes text = steps(100, 1), part = steps(40, 1);
    show_tail_open(&tail, scratch_path(""));
    look(&tail, 0, false); // it is not there yet
    set_journal(text.data, part.length);
    look(&tail, 40, false);
    look(&tail, 40, false);
    set_journal(text.data, text.length);
    look(&tail, 100, false);
    assert_int_equal(tail.bytes, text.length);
    show_tail_close(&tail);
    bytes_free(&text);
    bytes_free(&part);
}

// A byte of the last line comes at a time, as zeros first, as over NFS.
static void a_line_counts_once_it_is_whole(void **state)
{
    (void)state;
    ShowTail tail;
    Bytes text = steps(3, 1), before = steps(2, 1);
    show_tail_open(&tail, scratch_path(""));
    set_journal(before.data, before.length);
    look(&tail, 2, false);
    for (size_t length = before.length; length < text.length; length++) {
        set_journal(text.data, length);
        look(&tail, 2, false);
    }
    Bytes zeros = {0};
    bytes_append(&zeros, text.data, text.length);
    memset(zeros.data + before.length, 0, text.length - before.length - 1);
    set_journal(zeros.data, zeros.length); // the newline is seen before the line
    look(&tail, 2, false);
    set_journal(text.data, text.length);
    look(&tail, 3, false);
    show_tail_close(&tail);
    bytes_free(&zeros);
    bytes_free(&text);
    bytes_free(&before);
}

static void a_journal_that_was_cut_is_read_anew(void **state)
{
    (void)state;
    ShowTail tail;
    Bytes first = steps(9, 1), second = steps(12, 2), third = steps(5, 2), fourth = steps(9, 3);
    show_tail_open(&tail, scratch_path(""));
    set_journal(first.data, first.length);
    look(&tail, 9, false);
    set_journal(first.data, third.length); // shorter
    look(&tail, 5, true);
    look(&tail, 5, false);
    set_journal(second.data, second.length); // cut, and longer than before at the next look
    look(&tail, 12, true);
    set_journal(fourth.data, fourth.length); // of the same length up to where it was cut
    look(&tail, 9, true);
    set_journal("", 0);
    look(&tail, 0, true);
    set_journal(third.data, third.length);
    look(&tail, 5, false);
    assert_int_equal(unlink(scratch_path("metrics.jsonl")), 0);
    look(&tail, 0, true);
    show_tail_close(&tail);
    bytes_free(&first);
    bytes_free(&second);
    bytes_free(&third);
    bytes_free(&fourth);
}

static void a_line_that_stays_no_json_is_a_failure(void **state)
{
    (void)state;
    ShowTail tail;
    bool anew;
    int looks = 0;
    show_tail_open(&tail, scratch_path(""));
    scratch_write_text("metrics.jsonl", "{\"step\":1}\n{\"step\":2,oops\n{\"step\":3}\n");
    while (show_tail_look(&tail, &anew) == 0)
        looks++;
    assert_int_equal(looks, TAIL_PATIENCE);
    assert_int_equal(tail.table.rows, 1);
    assert_failed(EXIT_BAD_DATA, "metrics.jsonl: at byte 11");
    show_tail_close(&tail);
    assert_int_equal(unlink(scratch_path("metrics.jsonl")), 0);
}

// Longer than a piece that is read at once.
static void long_lines_are_taken(void **state)
{
    (void)state;
    ShowTail tail;
    Bytes text = {0};
    bytes_append_text(&text, "{\"step\":1,\"x\":1,\"text\":\"");
    for (int i = 0; i < 300000; i++)
        bytes_append_text(&text, "0123456789");
    bytes_append_text(&text, "\"}\n{\"step\":2,\"x\":2}\n");
    show_tail_open(&tail, scratch_path(""));
    set_journal(text.data, text.length);
    look(&tail, 2, false);
    look(&tail, 2, false);
    show_tail_close(&tail);
    bytes_free(&text);
    assert_int_equal(unlink(scratch_path("metrics.jsonl")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_appended_is_read),
        cmocka_unit_test(a_line_counts_once_it_is_whole),
        cmocka_unit_test(a_journal_that_was_cut_is_read_anew),
        cmocka_unit_test(a_line_that_stays_no_json_is_a_failure),
        cmocka_unit_test(long_lines_are_taken),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
