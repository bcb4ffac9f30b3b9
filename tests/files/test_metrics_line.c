// test_metrics_line.c - lines of a journal are read fast, and as a parser of JSON reads them.

#include "tests/testing.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/metric_names.h"
#include "base/metrics.h"
#include "files/metrics_line.h"
#include "files/metrics_table.h"
#include "files/run_holder.h"

static MetricsNumber numbers[METRICS_LINE_NUMBERS];

static int read_line(const char *line)
{
    return metrics_line_read(line, strlen(line), numbers);
}

static void what_the_program_writes_is_read_to_the_bit(void **state)
{
    (void)state;
    static const double values[] = {
        0,  1, -1, 0.1, 1.0 / 3, 1e-310, 1.7e308, -2.5e-7, 123456, 1e14, 4.9406564584124654e-324,
        NAN};
    enum { COUNT = sizeof values / sizeof *values };
    Metrics metrics = {0};
    Bytes line = {0};
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "timing_s/n%d", i);
        metrics_set(&metrics, name, values[i]);
    }
    metrics_print_json(&metrics, &line);
    assert_int_equal(metrics_line_read(line.data, line.length, numbers), COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(numbers[i].length, strlen(metrics.list[i].name));
        assert_memory_equal(numbers[i].name, metrics.list[i].name, numbers[i].length);
        char digits[32]; // as many as a journal has of what a clock measures
        snprintf(digits, sizeof digits, "%.4g", values[i]);
        bool whole = values[i] == floor(values[i]) && fabs(values[i]) < 1e15;
        double written = whole ? values[i] : strtod(digits, NULL);
        assert_true(isnan(values[i]) ? isnan(numbers[i].value) : numbers[i].value == written);
    }
    metrics_free(&metrics);
    bytes_free(&line);
}

static void whatever_else_a_line_may_be_is_left_to_others(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "{",
                                         "{}",
                                         "[1]",
                                         "{\"a\":1",
                                         "{\"a\":1}x",
                                         "{\"a\":1,}",
                                         "{\"a\": 1}",
                                         "{\"a\":1 }",
                                         "{\"a\":\"1\"}",
                                         "{\"a\":{\"b\":1}}",
                                         "{\"a\":true}",
                                         "{\"a\":nul}",
                                         "{\"a\":nan}",
                                         "{\"a\":01}",
                                         "{\"a\":-}",
                                         "{\"a\":.5}",
                                         "{\"a\":1.}",
                                         "{\"a\":1e}",
                                         "{\"a\":+1}",
                                         "{\"a\":1e999}",
                                         "{\"a\":1234567890123456}",
                                         "{\"a\\u0041\":1}",
                                         "{\"\xc3\xa9\":1}",
                                         "{\"a\tb\":1}",
                                         "{a:1}",
                                         "{\"a\"1}",
                                         "{\"a\":0x1}",
                                         "{\"a\":1,,\"b\":2}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (read_line(others[i]) != -1)
            fail_msg("'%s' was read", others[i]);
    assert_int_equal(read_line("{\"a\":-0.5e-3,\"\":2,\"c\":null}"), 3);
    assert_true(numbers[0].value == -0.0005 && !numbers[0].whole);
    assert_true(numbers[1].value == 2 && numbers[1].whole && numbers[1].length == 0);
    assert_true(isnan(numbers[2].value) && !numbers[2].whole);
}

static void too_many_numbers_are_left_to_others(void **state)
{
    (void)state;
    Bytes line = {0};
    bytes_append_text(&line, "{\"step\":1");
    for (int i = 1; i < METRICS_LINE_NUMBERS; i++)
        bytes_print(&line, ",\"n%d\":%d", i, i);
    bytes_append_text(&line, "}");
    assert_int_equal(read_line(line.data), METRICS_LINE_NUMBERS);
    line.data[line.length - 1] = ',';
    bytes_append_text(&line, "\"last\":7}");
    assert_int_equal(read_line(line.data), -1);
    MetricsTable table = {0};
    assert_int_equal(metrics_table_add(&table, line.data, line.length), 0);
    assert_int_equal(table.count, METRICS_LINE_NUMBERS);
    assert_true(*metrics_table_find(&table, "last") == 7);
    metrics_table_free(&table);
    bytes_free(&line);
}

// Both ways into the table, of lines that differ in a blank only.
static void both_ways_fill_the_same_table(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"step\":1,\"a\":1,\"b\":2}",
        "{\"a\":3,\"step\":2}",
        "{\"a\":4}",
        "{\"step\":3.0,\"a\":4}",
        "{\"step\":null,\"a\":4}",
        "{\"step\":4,\"a\":5,\"a\":6}",
        "{\"step\":5,\"a\":5,\"a\":null}",
        "{\"step\":6,\"c\":null}",
        "{\"step\":7,\"/x\":1,\"x//y\":1,\".\":1,\"\":1,\"x/\":1,\"d/e\":1}",
        "{\"step\":8,\"step\":9,\"a\":1}",
        "{\"step\":-3,\"steps\":1}"};
    MetricsTable fast = {0}, slow = {0};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Bytes blank = {0};
        bytes_print(&blank, " %s", lines[i]);
        assert_true(read_line(lines[i]) > 0);
        assert_int_equal(read_line(blank.data), -1);
        assert_int_equal(metrics_table_add(&fast, lines[i], strlen(lines[i])), 0);
        assert_int_equal(metrics_table_add(&slow, blank.data, blank.length), 0);
        bytes_free(&blank);
    }
    metrics_table_level(&fast);
    metrics_table_level(&slow);
    assert_int_equal(fast.rows, slow.rows);
    assert_int_equal(fast.count, slow.count);
    assert_memory_equal(fast.steps, slow.steps, (size_t)fast.rows * sizeof *fast.steps);
    for (int64_t c = 0; c < fast.count; c++) {
        assert_string_equal(fast.columns[c].name, slow.columns[c].name);
        for (int64_t row = 0; row < fast.rows; row++) {
            double x = fast.columns[c].values[row], y = slow.columns[c].values[row];
            assert_true(isnan(x) ? isnan(y) : x == y);
        }
    }
    metrics_table_free(&fast);
    metrics_table_free(&slow);
}

static void names_have_units_and_meanings(void **state)
{
    (void)state;
    const char *unit = "as before", *description = "this too";
    metric_names_describe("nobody/knows", &unit, &description);
    assert_string_equal(unit, "as before");
    metric_names_describe("perf/time_per_step", &unit, &description);
    assert_string_equal(unit, "s");
    assert_string_equal(description, "the step, without evaluation and checkpoint");
}

static void a_holder_is_read_as_it_was_written(void **state)
{
    (void)state;
    RunHolder holder = {.host = "node17", .job = "7@farm", .pid = 4711}, read;
    Bytes line = {0};
    run_holder_print(&holder, &line);
    assert_string_equal(line.data, "host=node17 pid=4711 job=7@farm\n");
    assert_true(run_holder_parse(line.data, &read));
    assert_true(strcmp(read.host, "node17") == 0 && strcmp(read.job, "7@farm") == 0 &&
                read.pid == 4711);
    memset(holder.host, 'h', sizeof holder.host - 1);
    memset(holder.job, 'j', sizeof holder.job - 1);
    bytes_clear(&line);
    run_holder_print(&holder, &line);
    assert_true(run_holder_parse(line.data, &read) && strcmp(read.host, holder.host) == 0 &&
                strcmp(read.job, holder.job) == 0);
    assert_false(run_holder_parse("", &read));
    assert_false(run_holder_parse("host=a pid=x job=y", &read));
    bytes_clear(&line);
    bytes_append_text(&line, "host=");
    for (int i = 0; i < 1000; i++)
        bytes_append_text(&line, "h");
    bytes_append_text(&line, " pid=1 job=y");
    assert_false(run_holder_parse(line.data, &read));
    bytes_free(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_program_writes_is_read_to_the_bit),
        cmocka_unit_test(whatever_else_a_line_may_be_is_left_to_others),
        cmocka_unit_test(too_many_numbers_are_left_to_others),
        cmocka_unit_test(both_ways_fill_the_same_table),
        cmocka_unit_test(names_have_units_and_meanings),
        cmocka_unit_test(a_holder_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
