// test_jsonl.c - JSON lines are read strictly, reported in full, and written back value for value.

#include "tests/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "input/jsonl.h"

#include "tests/dialogue/dialogue_testing.h"

static int count_lines(const char *path, bool skip_bad, JsonlReport *report, int64_t *good)
{
    JsonlReader *reader;
    json_t *object;
    *good = 0;
    if (jsonl_open(&reader, path))
        return -1;
    while (jsonl_next(reader, &object) == 1) {
        ++*good;
        json_decref(object);
    }
    int status = jsonl_close(reader, skip_bad, report);
    unlink(path);
    return status;
}

static void crlf_blank_lines_and_a_missing_last_newline_are_accepted(void **state)
{
    (void)state;
    JsonlReport report;
    int64_t good;
    assert_int_equal(
        count_lines(file_with("{\"a\": 1}\r\n\r\n  \n{\"a\": 2}"), false, &report, &good), 0);
    assert_int_equal(good, 2);
    assert_int_equal(report.lines, 4);
    assert_int_equal(report.blank, 2);
    assert_int_equal(report.bad, 0);
}

static void an_empty_file_has_no_lines(void **state)
{
    (void)state;
    JsonlReport report;
    int64_t good;
    assert_int_equal(count_lines(file_with(""), false, &report, &good), 0);
    assert_int_equal(report.lines, 0);
}

static void every_kind_of_bad_line_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *line, *reason;
        size_t length;
    } cases[] = {
        {"{\"a\": 1", "not JSON", 0},
        {"{\"a\": 1} x", "not JSON", 0},
        {"nonsense", "not JSON", 0},
        {"{\"a\": NaN}", "not JSON", 0},
        {"[1]", "not a JSON object", 0},
        {"7", "not a JSON object", 0},
        {"{\"a\": 1, \"a\": 2}", "twice", 0},
        {"{\"a\": \"\xff\"}", "invalid UTF-8", 0},
        {"{\"a\": \"\xc0\x80\"}", "invalid UTF-8", 0},
        {"{\"a\": \"\\u0000\"}", "zero character", 0},
        {"{\"a\": \"\\ud800\"}", "not JSON", 0},
        {"{\"a\": \"x\0y\"}", "not JSON", 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64] = "{}\n";
        size_t length = cases[i].length ? cases[i].length : strlen(cases[i].line);
        memcpy(text + 3, cases[i].line, length);
        int64_t good;
        assert_int_equal(count_lines(file_with_bytes(text, length + 3), false, NULL, &good), -1);
        assert_int_equal(good, 1);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
        assert_message(cases[i].reason);
        assert_message(":2: ");
        assert_message("data.skip_bad = yes");
    }
}

static void ten_bad_lines_are_listed_and_all_are_counted(void **state)
{
    (void)state;
    Bytes text = {0};
    for (int i = 0; i < 13; i++)
        bytes_append_text(&text, "{}\nbad\n");
    JsonlReport report;
    int64_t good;
    assert_int_equal(count_lines(file_with(text.data), false, &report, &good), -1);
    assert_int_equal(report.bad, 13);
    assert_message("13 of 26 lines");
    assert_message(":20: ");
    assert_null(strstr(fail_message(), ":22: "));
    assert_int_equal(count_lines(file_with(text.data), true, &report, &good), 0);
    assert_int_equal(good, 13);
    assert_int_equal(report.bad, 13);
    bytes_free(&text);
}

static void rejected_lines_count_as_bad(void **state)
{
    (void)state;
    JsonlReader *reader;
    json_t *object;
    const char *path = file_with("\n{\"a\": 1}\n");
    assert_int_equal(jsonl_open(&reader, path), 0);
    assert_int_equal(jsonl_next(reader, &object), 1);
    assert_int_equal(jsonl_line(reader), 2);
    assert_string_equal(jsonl_path(reader), path);
    jsonl_reject(reader, "no %s", "good");
    json_decref(object);
    assert_int_equal(jsonl_close(reader, false, NULL), -1);
    assert_message(":2: no good");
    unlink(path);
}

static void foreign_encodings_are_refused_with_a_remedy(void **state)
{
    (void)state;
    JsonlReader *reader;
    assert_int_equal(jsonl_open(&reader, file_with("\xEF\xBB\xBF{}\n")), -1);
    assert_message("byte order mark");
    assert_message("sed -i");
    assert_int_equal(jsonl_open(&reader, file_with_bytes("\xFF\xFE{\0}\0", 6)), -1);
    assert_message("iconv");
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    JsonlReader *reader;
    assert_int_equal(jsonl_open(&reader, "/nowhere/sessions.jsonl"), -1);
    assert_int_equal(fail_code(), EXIT_NO_INPUT);
    assert_message("cannot open /nowhere/sessions.jsonl");
    const char *fifo = file_with("");
    assert_int_equal(unlink(fifo) + mkfifo(fifo, 0600), 0);
    const char *const paths[] = {"/tmp", "/dev/zero", fifo};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(jsonl_open(&reader, paths[i]), -1);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
        assert_message("is not a regular file");
    }
    unlink(fifo);
}

static void a_line_over_the_limit_is_bad_and_the_next_is_read(void **state)
{
    (void)state;
    size_t length = (size_t)JSONL_LINE_LIMIT + 100;
    char *text = allocate(length + 1, 1);
    memset(text, ' ', length);
    strcpy(text + length - 4, "\n{}\n");
    JsonlReport report;
    int64_t good;
    assert_int_equal(count_lines(file_with_bytes(text, length), true, &report, &good), 0);
    assert_int_equal(good, 1);
    assert_int_equal(report.bad, 1);
    release(text);
}

static void values_come_back_as_they_were(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"b\": 0.1, \"a\": [1, -2.5, 1e+300, 3.0, 1e-07], \"z\": {\"y\": null, \"x\": [true, "
        "false]}}",
        "{\"text\": \"caf\u00e9 \u75db \\\"quoted\\\" \\\\ \\n\\t\\u001f /\", \"\": {}, \"e\": []}",
        "{\"large\": 9007199254740993, \"third\": 0.3333333333333333, \"least\": -0.0}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Bytes text = {0};
        json_t *value = json_loads(lines[i], 0, NULL);
        assert_non_null(value);
        jsonl_append(&text, value);
        assert_string_equal(text.data, lines[i]);
        json_decref(value);
        bytes_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crlf_blank_lines_and_a_missing_last_newline_are_accepted),
        cmocka_unit_test(an_empty_file_has_no_lines),
        cmocka_unit_test(every_kind_of_bad_line_is_named_with_its_place),
        cmocka_unit_test(ten_bad_lines_are_listed_and_all_are_counted),
        cmocka_unit_test(rejected_lines_count_as_bad),
        cmocka_unit_test(foreign_encodings_are_refused_with_a_remedy),
        cmocka_unit_test(what_is_no_regular_file_is_refused_without_waiting),
        cmocka_unit_test(a_line_over_the_limit_is_bad_and_the_next_is_read),
        cmocka_unit_test(values_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
