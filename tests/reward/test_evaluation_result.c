#include "tests/testing.h"

#include <string.h>

#include "reward/evaluation_result.h"
#include "tests/files/scratch.h"

static const EvaluationResult known = {
    .scores = {.values = {{.value = 0.1, .low = -0.25, .high = 1, .n = 7}, {.value = 1e-300}},
               .rows = 11,
               .ungraded = 2,
               .sessions = 3},
    .failures = 5,
    .expert_loss = 2.5,
    .expert_tokens = 40,
    .response_tokens = 7.25,
    .seconds = 1.5};

static void a_result_comes_back_as_it_was(void **state)
{
    (void)state;
    EvaluationResult read;
    const char *path = scratch_path("evaluation.json");
    assert_int_equal(evaluation_result_write(path, &known), 0);
    assert_int_equal(evaluation_result_read(path, &read), 0);
    for (int s = 0; s < SCORE_COUNT; s++) {
        assert_true(read.scores.values[s].value == known.scores.values[s].value);
        assert_int_equal(read.scores.values[s].n, known.scores.values[s].n);
    }
    assert_true(read.scores.values[0].low == -0.25 && read.scores.values[0].high == 1);
    assert_int_equal(read.scores.rows, 11);
    assert_int_equal(read.scores.sessions, 3);
    assert_int_equal(read.failures, 5);
    assert_true(read.expert_loss == 2.5 && read.seconds == 1.5);
}

// The good file with the first `from` replaced by `to`.
static void expect_refusal(const char *from, const char *to)
{
    EvaluationResult read;
    size_t bytes;
    assert_int_equal(evaluation_result_write(scratch_path("good.json"), &known), 0);
    char *good = scratch_read("good.json", &bytes);
    const char *place = strstr(good, from);
    assert_non_null(place);
    Bytes changed = {0};
    bytes_print(&changed, "%.*s%s%s", (int)(place - good), good, to, place + strlen(from));
    scratch_write_text("bad.json", changed.data);
    assert_int_equal(evaluation_result_read(scratch_path("bad.json"), &read), -1);
    assert_failed(EXIT_BAD_DATA, "bad.json");
    release(good);
    bytes_free(&changed);
}

static void numbers_of_another_kind_are_refused(void **state)
{
    (void)state;
    expect_refusal("\"rows\": 11", "\"rows\": 1e300");
    expect_refusal("\"rows\": 11", "\"rows\": \"11\"");
    expect_refusal("\"rows\": 11,", "");
    expect_refusal("\"seconds\": 1.500", "\"seconds\": null");
    expect_refusal(", 7]", ", 0.5]");
    expect_refusal(", 7]", "]");
    expect_refusal("\"ave_continue_content\"", "\"other\"");
    expect_refusal("{", "[");
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    EvaluationResult read;
    assert_int_equal(evaluation_result_read(scratch_path("none.json"), &read), -1);
    assert_failed(EXIT_NO_INPUT, "none.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_comes_back_as_it_was),
        cmocka_unit_test(numbers_of_another_kind_are_refused),
        cmocka_unit_test(a_missing_file_is_told),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
