// test_score.c - the nine numbers of an evaluation.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "reward/score.h"

enum { ROWS = 20000 };

static Grade grade_of(double a, double c, double f)
{
    return (Grade){.decision = a, .content = c, .format = f, .graded = true};
}

static void check(const Scores *scores, ScoreName name, double value, int64_t n)
{
    if (scores->values[name].n != n || fabs(scores->values[name].value - value) > 1e-12)
        fail_msg("%s is %g of %lld, not %g of %lld", score_names[name], scores->values[name].value,
                 (long long)scores->values[name].n, value, (long long)n);
}

static void each_number_is_a_mean_over_its_own_set(void **state)
{
    (void)state;
    const ScoreRow rows[] = {
        {.session = 3, .truth = TRUTH_CONTINUE, .grade = grade_of(1, 1, 1)},
        {.session = 3, .truth = TRUTH_CONTINUE, .grade = grade_of(1, 0.5, 0.5)},
        {.session = 8, .truth = TRUTH_CONTINUE, .stops = true, .grade = grade_of(0, 0, 0)},
        {.session = 8, .truth = TRUTH_STOP, .stops = true, .grade = grade_of(1, 1, 1)},
        {.session = 8, .truth = TRUTH_STOP, .grade = grade_of(0, 0, 0)},
        {.session = 9, .truth = TRUTH_CONTINUE, .grade = {.decision = 1}}, // ungraded
    };
    Scores scores = score_rows(rows, 6, 100, 1);
    check(&scores, SCORE_CONTINUE_CONTENT, 0.5, 3);
    check(&scores, SCORE_CONTINUE_WIN, 1.0 / 3, 3);
    check(&scores, SCORE_CONTINUE_CONTENT_CORRECT, 0.75, 2);
    check(&scores, SCORE_CONTINUE_WIN_CORRECT, 0.5, 2);
    check(&scores, SCORE_CONTINUE_DECISION, 2.0 / 3, 3);
    check(&scores, SCORE_STOP_DECISION, 0.5, 2);
    check(&scores, SCORE_TOTAL_DECISION, 0.6, 5);
    check(&scores, SCORE_TOTAL_FORMAT, 0.5, 5);
    check(&scores, SCORE_TOTAL_REWARD, (4 + 2.5 + 0 + 4 + 0) / 5, 5);
    assert_int_equal(scores.ungraded, 1);
    assert_int_equal(scores.sessions, 2);
}

static void empty_sets_are_not_available(void **state)
{
    (void)state;
    const ScoreRow stop = {.truth = TRUTH_STOP, .stops = true, .grade = grade_of(1, 1, 1)};
    Scores scores = score_rows(&stop, 1, 50, 1);
    Bytes text = {0};
    score_print(&scores, &text);
    assert_non_null(strstr(text.data, "ave_continue_content                 n/a"));
    assert_non_null(strstr(text.data, "ave_stop_decision                  1.000"));
    assert_null(strstr(text.data, "nan"));
    Scores none = score_rows(NULL, 0, 50, 1);
    bytes_clear(&text);
    score_print(&none, &text);
    assert_null(strstr(text.data, "nan"));
    assert_int_equal(none.values[SCORE_TOTAL_REWARD].n, 0);
    bytes_free(&text);
}

// Rows whose means are the published ones: of `count` rows the first `share` get `value`.
typedef struct {
    double content, win, decision_continue, decision_stop, format;
    double total_decision, total_reward;
} Published;

static ScoreRow published_row(const Published *column, int64_t i, int64_t continues)
{
    bool go_on = i < continues;
    double place = go_on ? ((double)i + 0.5) / (double)continues
                         : ((double)(i - continues) + 0.5) / (double)(ROWS - continues);
    double decision = place < (go_on ? column->decision_continue : column->decision_stop);
    double halves = 2 * (column->content - column->win), content = decision;
    if (go_on)
        content = place < column->win ? 1 : place < column->win + halves ? 0.5 : 0;
    // Formats are spread over all rows; the total only needs their mean.
    double format = fmod((double)i * 0.6180339887498949, 1) < column->format;
    return (ScoreRow){.session = i % 97,
                      .truth = go_on ? TRUTH_CONTINUE : TRUTH_STOP,
                      .stops = go_on != (decision == 1),
                      .grade = grade_of(decision, content, format)};
}

static void the_published_table_adds_up(void **state)
{
    (void)state;
    static const Published columns[] = {
        {0.436, 0.122, 0.963, 0.024, 0.376, 0.467, 1.281},
        {0.496, 0.246, 0.909, 0.927, 0.713, 0.918, 3.078},
        {0.509, 0.224, 0.922, 0.909, 0.882, 0.915, 3.237},
    };
    static ScoreRow rows[ROWS];
    const int64_t continues = (int64_t)(0.472 * ROWS);
    for (int k = 0; k < 3; k++) {
        for (int64_t i = 0; i < ROWS; i++)
            rows[i] = published_row(&columns[k], i, continues);
        Scores scores = score_rows(rows, ROWS, 0, 1);
        assert_true(fabs(scores.values[SCORE_CONTINUE_CONTENT].value - columns[k].content) < 1e-3);
        assert_true(fabs(scores.values[SCORE_CONTINUE_WIN].value - columns[k].win) < 1e-3);
        assert_true(fabs(scores.values[SCORE_TOTAL_FORMAT].value - columns[k].format) < 1e-3);
        assert_true(fabs(scores.values[SCORE_TOTAL_DECISION].value - columns[k].total_decision) <
                    1.5e-3);
        assert_true(fabs(scores.values[SCORE_TOTAL_REWARD].value - columns[k].total_reward) < 2e-3);
    }
}

static void intervals_resample_sessions_and_depend_on_the_seed_only(void **state)
{
    (void)state;
    // 40 sessions of ten equal rows: the interval must be that of 40 draws, not of 400.
    ScoreRow rows[400];
    for (int i = 0; i < 400; i++)
        rows[i] = (ScoreRow){
            .session = i / 10, .truth = TRUTH_CONTINUE, .grade = grade_of(1, i / 10 % 2, 1)};
    Scores a = score_rows(rows, 400, 1000, 7), b = score_rows(rows, 400, 1000, 7),
           c = score_rows(rows, 400, 1000, 8);
    assert_memory_equal(&a, &b, sizeof a);
    ScoreValue value = a.values[SCORE_CONTINUE_CONTENT];
    assert_true(value.value == 0.5);
    assert_true(fabs(value.high - value.low - 2 * 1.96 * 0.5 / sqrt(40)) < 0.04);
    assert_true(memcmp(&a, &c, sizeof a) != 0);
    assert_true(a.values[SCORE_CONTINUE_DECISION].low == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_is_a_mean_over_its_own_set),
        cmocka_unit_test(empty_sets_are_not_available),
        cmocka_unit_test(the_published_table_adds_up),
        cmocka_unit_test(intervals_resample_sessions_and_depend_on_the_seed_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
