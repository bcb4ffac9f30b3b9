// test_show_samples.c - the responses of some steps are found in a file of many.

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/files/scratch.h"
#include "tools/show_samples.h"

enum { STEPS = 40 };

// Step s has s % 4 responses, of lengths up to more than a piece of the file.
static int64_t count_of(int64_t step)
{
    return step % 4;
}

static void write_samples(void)
{
    Bytes text = {0};
    for (int64_t step = 1; step <= STEPS; step++) {
        for (int64_t r = 0; r < count_of(step); r++) {
            size_t length = step == 7 ? 300000 : (size_t)(step * 37 % 500);
            bytes_print(
                &text, "{\"step\": %lld, \"cid\": \"%lld_1\", \"repeat\": %lld, \"reward\": %s, ",
                (long long)step, (long long)(step % 3), (long long)r, step == 9 ? "null" : "2.5");
            bytes_append_text(&text,
                              "\"decision_truth\": \"stop\", \"graded\": true, \"response\": \"");
            for (size_t i = 0; i < length; i++)
                bytes_append_text(&text, "x");
            bytes_append_text(&text, "\"}\n");
        }
    }
    bytes_append_text(&text, "{\"step\": 41, \"cid\": \"not whole");
    scratch_write("samples.jsonl", text.data, text.length);
    bytes_free(&text);
}

static void write_data(void)
{
    scratch_write_text(
        "data.jsonl",
        "{\"cid\": \"1_1\", \"session_id\": 1, \"diagn\": \"\", \"messages\": [{\"role\": "
        "\"user\", \"content\": \"it hurts\"}], \"info_set\": [\"where\"], "
        "\"info_truth\": \"where\", \"decision_truth\": \"continue\", "
        "\"remaining_chat\": []}\n");
}

static void the_responses_of_any_steps_are_found(void **state)
{
    (void)state;
    write_samples();
    write_data();
    for (int64_t first = 0; first <= STEPS + 2; first++) {
        for (int64_t last = first; last <= STEPS + 2; last += 5) {
            ShowSamples samples;
            int64_t expected = 0, at = 0;
            assert_int_equal(show_samples_open(&samples, scratch_path("data.jsonl")), 0);
            assert_int_equal(show_samples_read(&samples, scratch_path(""), first, last), 0);
            for (int64_t step = first; step <= last && step <= STEPS; step++)
                for (int64_t r = 0; r < count_of(step); r++, expected++) {
                    assert_true(at < samples.count);
                    assert_int_equal(samples.list[at].step, step);
                    assert_int_equal(samples.list[at++].repeat, r);
                }
            assert_int_equal(samples.count, expected);
            show_samples_close(&samples);
        }
    }
}

static void a_response_knows_its_conversation_where_the_data_have_it(void **state)
{
    (void)state;
    ShowSamples samples;
    write_samples();
    write_data();
    assert_int_equal(show_samples_open(&samples, scratch_path("data.jsonl")), 0);
    assert_int_equal(show_samples_read(&samples, scratch_path(""), 9, 10), 0);
    assert_int_equal(samples.count, 3);
    assert_null(samples.list[0].sample); // cid 0_1
    assert_true(isnan(samples.list[0].reward));
    assert_string_equal(samples.list[1].sample->messages[0].content, "it hurts");
    assert_true(samples.list[1].reward == 2.5);
    assert_int_equal(samples.list[1].truth, TRUTH_STOP);
    assert_string_equal(samples.list[1].verdict, "");
    show_samples_close(&samples);

    assert_int_equal(show_samples_open(&samples, scratch_path("none.jsonl")), -1);
    assert_failed(EXIT_NO_INPUT, "none.jsonl");
    assert_int_equal(show_samples_read(&samples, scratch_path(""), 10, 10), 0);
    assert_int_equal(samples.count, 2);
    assert_null(samples.list[0].sample);
    show_samples_close(&samples);
}

static void what_is_no_response_is_told_with_its_place(void **state)
{
    (void)state;
    ShowSamples samples;
    write_data();
    scratch_write_text("samples.jsonl", "{\"step\": 1, \"cid\": \"a\"}\n{\"cid\": \"b\"}\n");
    assert_int_equal(show_samples_open(&samples, scratch_path("data.jsonl")), 0);
    assert_int_equal(show_samples_read(&samples, scratch_path(""), 1, 9), -1);
    assert_failed(EXIT_BAD_DATA, "samples.jsonl: at byte 24");
    show_samples_close(&samples);
    unlink(scratch_path("samples.jsonl"));
    assert_int_equal(show_samples_open(&samples, scratch_path("data.jsonl")), 0);
    assert_int_equal(show_samples_read(&samples, scratch_path(""), 1, 9), -1);
    assert_failed(EXIT_NO_INPUT, "samples.jsonl");
    show_samples_close(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_responses_of_any_steps_are_found),
        cmocka_unit_test(a_response_knows_its_conversation_where_the_data_have_it),
        cmocka_unit_test(what_is_no_response_is_told_with_its_place),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
