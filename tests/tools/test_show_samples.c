// test_show_samples.c - the responses of some steps are found in a file of many, and chosen from.

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/files/scratch.h"
#include "tools/show_choice.h"

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

static void the_last_step_with_responses_is_found(void **state)
{
    (void)state;
    int64_t step;
    write_samples(); // step 40 has none
    assert_int_equal(show_samples_last(scratch_path(""), &step), 0);
    assert_int_equal(step, 39);
    assert_int_equal(show_samples_last_of(scratch_path(""), "1_1", &step), 0);
    assert_int_equal(step, 37); // step % 3 == 1
    assert_int_equal(show_samples_last_of(scratch_path(""), "1", &step), 0);
    assert_int_equal(step, 0);
    scratch_write_text("samples.jsonl", "{\"step\": 1, \"cid\": \"1_1\"}\n"
                                        "{\"step\": 2, \"cid\": \"2_2\", \"response\": \"1_1\"}\n");
    assert_int_equal(show_samples_last_of(scratch_path(""), "1_1", &step), 0);
    assert_int_equal(step, 1);
    scratch_write_text("samples.jsonl", "");
    assert_int_equal(show_samples_last(scratch_path(""), &step), 0);
    assert_int_equal(step, 0);
    // The last whole line stands before an unfinished one longer than a piece of the file.
    Bytes text = {0};
    bytes_append_text(&text, "{\"step\": 8, \"cid\": \"\\u0061\"}\n{\"step\": 9, \"cid\": \"");
    for (int i = 0; i < 200000; i++)
        bytes_append_text(&text, "x");
    scratch_write("samples.jsonl", text.data, text.length);
    assert_int_equal(show_samples_last(scratch_path(""), &step), 0);
    assert_int_equal(step, 8);
    bytes_free(&text);
}

static void an_evaluations_output_is_read_whole(void **state)
{
    (void)state;
    ShowSamples samples;
    write_data();
    assert_int_equal(show_samples_open(&samples, scratch_path("data.jsonl")), 0);
    scratch_write_text("out.jsonl", "{\"model\": \"a\", \"cid\": \"1_1\", \"response\": \"x\"}\n"
                                    "{\"cid\": \"2_1\", \"response\": \"y\", \"repeat\": 3}\n");
    assert_int_equal(show_samples_read_output(&samples, scratch_path("out.jsonl")), 0);
    assert_int_equal(samples.count, 2);
    assert_int_equal(samples.list[0].step, 0);
    assert_string_equal(samples.list[0].model, "a");
    assert_non_null(samples.list[0].sample);
    assert_string_equal(samples.list[1].model, "");
    assert_int_equal(samples.list[1].repeat, 3);
    scratch_write_text("out.jsonl", "{\"cid\": \"1_1\", \"response\": \"x\"}\n{\"cid\": 7}\n");
    assert_int_equal(show_samples_read_output(&samples, scratch_path("out.jsonl")), -1);
    assert_failed(EXIT_BAD_DATA, "out.jsonl:2: is no response of an evaluation");
    show_samples_close(&samples);
}

static ShowSample graded(const char *cid, double decision, double reward)
{
    return (ShowSample){.cid = cid,
                        .truth = cid[0] == 's' ? TRUTH_STOP : TRUTH_CONTINUE,
                        .graded = !isnan(reward),
                        .decision = decision,
                        .reward = reward};
}

static void assert_chosen(const ShowSamples *samples, ShowChoice choice, const char *expected)
{
    int64_t count, *indices = show_choice_make(samples, &choice, &count);
    Bytes found = {0};
    bytes_append(&found, "", 0);
    for (int64_t i = 0; i < count; i++)
        bytes_print(&found, "%lld", (long long)indices[i]);
    assert_string_equal(found.data, expected);
    release(indices);
    bytes_free(&found);
}

static void those_that_are_asked_for_are_chosen_in_their_order(void **state)
{
    (void)state;
    ShowSample list[] = {graded("c1", 1, 2), graded("c1", 0, 0), graded("s1", 1, NAN),
                         graded("s2", 1, 4), graded("c2", 0, 0), graded("c2", 1, 2)};
    ShowSamples samples = {.list = list, .count = 6};
    ShowChoice worst = {.most = 99, .ordered = true},
               best = {.most = 4, .ordered = true, .best = true};
    assert_chosen(&samples, worst, "140532");
    assert_chosen(&samples, best, "3051");
    assert_chosen(&samples, (ShowChoice){.most = 99}, "012345");
    worst.decision = "wrong";
    assert_chosen(&samples, worst, "14");
    worst.decision = "right";
    assert_chosen(&samples, worst, "053"); // what has no grade is neither
    worst.truth = "stop";
    assert_chosen(&samples, worst, "3");
    worst.decision = NULL;
    assert_chosen(&samples, worst, "32");
    assert_chosen(&samples, (ShowChoice){.most = 99, .cid = "c2"}, "45");
    assert_chosen(&samples, (ShowChoice){.most = 99, .cid = "c"}, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_responses_of_any_steps_are_found),
        cmocka_unit_test(a_response_knows_its_conversation_where_the_data_have_it),
        cmocka_unit_test(what_is_no_response_is_told_with_its_place),
        cmocka_unit_test(the_last_step_with_responses_is_found),
        cmocka_unit_test(an_evaluations_output_is_read_whole),
        cmocka_unit_test(those_that_are_asked_for_are_chosen_in_their_order),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
