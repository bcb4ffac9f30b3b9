// test_show_series.c - means, windows and bins of a journal's columns, and the pictures of them.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "tests/tools/made_run.h"
#include "tools/show_chart.h"
#include "tools/show_scores.h"
#include "tools/show_series.h"

// Two steps of a warm-up, an evaluation by itself, three steps of the stage behind it.
static MetricsTable two_stages(void)
{
    MetricsTable table = {0};
    Bytes text = {0};
    made_run_step(&text, 1, 0, ",\"x\":1");
    made_run_step(&text, 2, 0, ",\"x\":3");
    bytes_append_text(&text, "{\"step\":2,\"val\":0.5}\n");
    made_run_step(&text, 3, 1, ",\"x\":5");
    made_run_step(&text, 4, 1, ",\"x\":null");
    made_run_step(&text, 5, 1, ",\"x\":8");
    for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        assert_int_equal(metrics_table_add(&table, line, (size_t)(end - line)), 0);
    }
    metrics_table_level(&table);
    bytes_free(&text);
    return table;
}

static void stages_steps_and_windows_are_found(void **state)
{
    (void)state;
    MetricsTable table = two_stages(), none = {0};
    assert_int_equal(show_series_stage_begin(&table), 3);
    assert_int_equal(show_series_first(&table, 0), 0);
    assert_int_equal(show_series_first(&table, 2), 3);
    assert_int_equal(show_series_last(&table, 0), 5);
    assert_int_equal(show_series_window(&table, 0, 3), 3);
    assert_int_equal(show_series_window(&table, 0, 4), 1); // the evaluation's row is no step
    assert_int_equal(show_series_window(&table, 3, 99), 3);
    assert_false(show_series_is_step(&table, 2));
    assert_true(show_series_is_step(&table, 3));
    assert_true(show_series_mean(&table, "x", 3) == 6.5);
    assert_true(show_series_sum(&table, "x", 0) == 17);
    assert_true(show_series_at(&table, "val", 2) == 0.5);
    assert_true(isnan(show_series_at(&table, "x", 4)));
    assert_true(isnan(show_series_at(&table, "y", 4)) && isnan(show_series_mean(&table, "y", 0)));
    assert_int_equal(show_series_stage_begin(&none), 0);
    assert_int_equal(show_series_first(&none, 0), -1);
    assert_int_equal(show_series_last(&none, 0), -1);
    assert_int_equal(show_series_window(&none, 0, 5), 0);
    metrics_table_free(&table);
}

static void a_mean_of_the_newest_passes_over_gaps(void **state)
{
    (void)state;
    const double values[] = {NAN, 2, 4, NAN, 9};
    const double expected[] = {NAN, 2, 3, NAN, 6.5};
    double smooth[5];
    show_series_smooth(values, 5, 2, smooth);
    for (int i = 0; i < 5; i++)
        assert_true(isnan(expected[i]) ? isnan(smooth[i]) : smooth[i] == expected[i]);
    show_series_smooth(NULL, 5, 2, smooth);
    assert_true(isnan(smooth[0]) && isnan(smooth[4]));
}

static void bins_share_the_steps(void **state)
{
    (void)state;
    const int64_t steps[] = {0, 1, 2, 3, 9, 12};
    const double values[] = {1, 3, NAN, 5, 7, 100};
    double bins[5];
    show_series_bins(steps, values, 6, 0, 9, 5, bins);
    assert_true(bins[0] == 2 && bins[1] == 5 && isnan(bins[2]) && isnan(bins[3]) && bins[4] == 7);
    double low, high;
    assert_true(show_series_range(values, 6, &low, &high) && low == 1 && high == 100);
    assert_false(show_series_range(values + 2, 1, &low, &high));
    assert_false(show_series_range(NULL, 3, &low, &high));
}

static void sparklines_have_a_block_a_step(void **state)
{
    (void)state;
    const int64_t steps[] = {1, 2, 3, 4};
    const double values[] = {0, 1, NAN, 0.5};
    ChartCurve curve = {steps, values, 4, 1, 4, 0, 1};
    Bytes out = {0};
    show_chart_spark(&curve, 20, &out);
    assert_string_equal(out.data, "▁█ ▄");
    bytes_clear(&out);
    show_chart_spark(&curve, 2, &out);
    assert_string_equal(out.data, "▄▄");
    bytes_clear(&out);
    show_chart_spark(&curve, 0, &out);
    assert_string_equal(out.data, "");
    bytes_free(&out);
}

static void charts_show_both_ends_of_both_axes(void **state)
{
    (void)state;
    const int64_t steps[] = {10, 11, 12, 13};
    const double values[] = {0, 1, 2, 3};
    Bytes out = {0};
    show_chart_draw(&(ChartCurve){steps, values, 4, 10, 13, 0, 3}, 20, 3, &out);
    assert_string_equal(out.data, "       3 ┤      ⢀⡠⠔⠊\n"
                                  "         │   ⡠⠔⠊⠁\n"
                                  "       0 ┤⡠⠔⠉\n"
                                  "          10      13\n");
    bytes_free(&out);
}

// Whatever a journal says, a picture of it is drawn.
static void odd_numbers_make_no_odd_picture(void **state)
{
    (void)state;
    const int64_t steps[] = {INT64_MIN, 0, INT64_MAX};
    const double values[] = {-1.7e308, 0, 1.7e308}, equal[] = {1, 1, 1};
    Bytes out = {0};
    show_chart_draw(&(ChartCurve){steps, values, 3, INT64_MIN, INT64_MAX, -1.7e308, 1.7e308}, 30, 4,
                    &out);
    show_chart_spark(&(ChartCurve){steps, values, 3, INT64_MIN, INT64_MAX, -1.7e308, 1.7e308}, 9,
                     &out);
    show_chart_draw(&(ChartCurve){steps, equal, 3, 0, 0, 1, 1}, 1, 1, &out);
    show_chart_draw(&(ChartCurve){0}, 30, 2, &out);
    assert_true(out.length > 0);
    bytes_free(&out);
}

static void scores_differ_only_outside_both_intervals(void **state)
{
    (void)state;
    ScoreValue first = {0.5, 0.4, 0.6, 10};
    assert_int_equal(show_scores_compare(first, (ScoreValue){0.7, 0.61, 0.8, 10}), SCORES_HIGHER);
    assert_int_equal(show_scores_compare(first, (ScoreValue){0.7, 0.45, 0.8, 10}), SCORES_ALIKE);
    assert_int_equal(show_scores_compare(first, (ScoreValue){0.59, 0.55, 0.8, 10}), SCORES_ALIKE);
    assert_int_equal(show_scores_compare(first, (ScoreValue){0.3, 0.2, 0.45, 10}), SCORES_LOWER);
    assert_int_equal(show_scores_compare(first, (ScoreValue){0.7, 0.6, 0.8, 0}), SCORES_ALIKE);
    assert_int_equal(show_scores_compare((ScoreValue){0}, (ScoreValue){1, 1, 1, 9}), SCORES_ALIKE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_steps_and_windows_are_found),
        cmocka_unit_test(a_mean_of_the_newest_passes_over_gaps),
        cmocka_unit_test(bins_share_the_steps),
        cmocka_unit_test(sparklines_have_a_block_a_step),
        cmocka_unit_test(charts_show_both_ends_of_both_axes),
        cmocka_unit_test(odd_numbers_make_no_odd_picture),
        cmocka_unit_test(scores_differ_only_outside_both_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
