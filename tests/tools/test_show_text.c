// test_show_text.c - foreign text is made harmless, lines are broken, numbers are short.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "tools/show_text.h"

static void assert_line(const char *text, const char *expected)
{
    Bytes out = {0};
    show_text_line(&out, text);
    assert_string_equal(out.data, expected);
    bytes_free(&out);
}

static void what_a_terminal_would_obey_is_taken_away(void **state)
{
    (void)state;
    assert_line("", "");
    assert_line("it hurts \xc3\xa9 \xe4\xbd\xa0", "it hurts \xc3\xa9 \xe4\xbd\xa0");
    assert_line("\033]0;title\007", "?]0;title?");
    assert_line("\xc2\x9b"
                "31m",
                "??31m"); // a control character of two bytes
    assert_line("a\tb\nc\rd\x7f", "a?b?c?d?");
    assert_line("a\x9b"
                "b\xff",
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd"); // no UTF-8
    assert_line("\xc2", "\xef\xbf\xbd");
}

static void blocks_keep_their_lines(void **state)
{
    (void)state;
    Bytes out = {0};
    show_text_block(&out, "one\r\ntwo\n\nthree\033[2J\rx", 2);
    assert_string_equal(out.data, "one\n  two\n  \n  three?[2J?x");
    bytes_free(&out);
}

static void assert_wrapped(const char *text, int indent, int columns, const char *expected)
{
    Bytes out = {0};
    show_text_wrap(&out, text, indent, columns);
    assert_string_equal(out.data, expected);
    bytes_free(&out);
}

static void lines_are_broken_between_words(void **state)
{
    (void)state;
    assert_wrapped("", 2, 10, "\n");
    assert_wrapped("one two three", 0, 100, "one two three\n");
    assert_wrapped("one two three", 0, 7, "one two\nthree\n");
    assert_wrapped("one two three", 0, 6, "one\ntwo\nthree\n");
    assert_wrapped("one two three", 2, 9, "one two\n  three\n");
    assert_wrapped("onetwothree four", 0, 4, "onet\nwoth\nree\nfour\n");
    assert_wrapped("\xc3\xa9\xc3\xa9\xc3\xa9 x", 0, 3, "\xc3\xa9\xc3\xa9\xc3\xa9\nx\n");
    assert_wrapped("abc", 5, 3, "a\n     b\n     c\n"); // no room at all
}

static void numbers_are_short(void **state)
{
    (void)state;
    const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {3, "3"},
                 {3.94140625, "3.941"},
                 {-12.345, "-12.35"},
                 {123.456, "123.5"},
                 {0.00123456, "0.00123"},
                 {1.23456e-5, "1.23e-05"},
                 {1234567, "1234567"},
                 {1e300, "1e+300"},
                 {NAN, "-"},
                 {INFINITY, "inf"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(show_text_number(cases[i].value).text, cases[i].text);
}

static void times_and_sizes_have_their_units(void **state)
{
    (void)state;
    assert_string_equal(show_text_time(0).text, "0.0 s");
    assert_string_equal(show_text_time(9.96).text, "10 s");
    assert_string_equal(show_text_time(59.6).text, "1 min 0 s");
    assert_string_equal(show_text_time(597).text, "9 min 57 s");
    assert_string_equal(show_text_time(20999).text, "5 h 49 min");
    assert_string_equal(show_text_time(200000).text, "2 d 7 h");
    assert_string_equal(show_text_time(NAN).text, "-");
    assert_string_equal(show_text_time(-1).text, "-");
    assert_string_equal(show_text_time(1e300).text, "-");
    assert_string_equal(show_text_bytes(0).text, "0 B");
    assert_string_equal(show_text_bytes(999).text, "999 B");
    assert_string_equal(show_text_bytes(1000).text, "1.00 kB");
    assert_string_equal(show_text_bytes(3210324).text, "3.21 MB");
    assert_string_equal(show_text_bytes(999999).text, "1.00 MB");
    assert_string_equal(show_text_bytes(INT64_MAX).text, "9223 PB");
}

static void colours_are_for_screens_that_know_them(void **state)
{
    (void)state;
    Bytes out = {0};
    show_text_colour(&out, &(Screen){.colours = false}, COLOUR_RED, "a");
    show_text_colour(&out, &(Screen){.colours = true}, COLOUR_RED, "b");
    show_text_colour(&out, &(Screen){.colours = true}, COLOUR_PLAIN, "c");
    assert_string_equal(out.data, "a\033[31mb\033[0mc");
    bytes_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_terminal_would_obey_is_taken_away),
        cmocka_unit_test(blocks_keep_their_lines),
        cmocka_unit_test(lines_are_broken_between_words),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(times_and_sizes_have_their_units),
        cmocka_unit_test(colours_are_for_screens_that_know_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
