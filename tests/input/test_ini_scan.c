// Every trap of iniparser 4.1 that was found: refused with the line and a remedy, or read rightly.

#include "tests/input/settings_testing.h"

#include <stdio.h>
#include <stdlib.h>

#include "input/ini_scan.h"
#include "input/utf8.h"

static void a_value_ends_at_a_comment_only_behind_a_blank(void **state)
{
    (void)state;
    expect_fault("[data]\ntrain = /a/b;c#d\n",
                 "error: run.ini:2: ';' inside a value: put the value in double quotes, or a blank "
                 "before ';'");
    expect_fault("[data]\ntrain = a#b\n", "run.ini:2: '#' inside a value");
    Settings settings;
    expect_settings(&settings, "[data]\ntrain = /a/b ; c # d\n[run]\nseed = 4 # four\n");
    assert_string_equal(settings.data.train, "/a/b");
    assert_int_equal(settings.run.seed, 4);
    settings_free(&settings);
}

static void quotes_keep_blanks_and_comment_signs(void **state)
{
    (void)state;
    Settings settings;
    expect_settings(&settings, "[data]\ntrain = \" a;b # c \"  ; comment\nsystem_prompt=\"\"\n"
                               "[run]\ndirectory = it's here\n");
    assert_string_equal(settings.data.train, " a;b # c ");
    assert_string_equal(settings.data.system_prompt, "");
    assert_string_equal(settings.run.directory, "it's here");
    settings_free(&settings);
}

static void a_quote_inside_quotes_is_refused(void **state)
{
    (void)state;
    const char *message = "run.ini:2: a quote inside quotes cannot be written";
    expect_fault("[data]\ntrain = \"a\\\"b\"\n", message);
    expect_fault("[data]\ntrain = \"it's \"\"q\"\" x\"\n", message);
    expect_fault("[data]\ntrain = \"a\"b\n", "run.ini:2: 'b' follows the closing quote");
    expect_fault("[data]\ntrain = a\"b\"\n", "run.ini:2: a quote inside a value");
    expect_fault("[data]\ntrain = 'a b'\n", "run.ini:2: single quotes do not quote");
}

static void an_unterminated_quote_is_refused(void **state)
{
    (void)state;
    expect_fault("[data]\ntrain = \"unterminated\n", "run.ini:2: the closing quote is missing");
    expect_fault("[data]\ntrain = \"\n", "run.ini:2: the closing quote is missing");
}

static void a_colon_in_a_name_is_refused(void **state)
{
    (void)state;
    // iniparser_getdouble of "train:lr" ends the program after this section.
    expect_fault("[train:lr]\n", "run.ini:1: section 'train:lr': ':' is not allowed");
    expect_fault("[sec:tion]\nx = 1\n", "run.ini:1: section 'sec:tion'");
    expect_fault("[train]\ncolon:key = 1\n", "run.ini:2: key 'colon:key': ':' is not allowed");
}

static void names_are_lower_case_letters_digits_and_underscores(void **state)
{
    (void)state;
    expect_fault("[train]\nÉpochs = 1\n", "run.ini:2: key 'Épochs': 'É' is not allowed");
    expect_fault("[train]\nEpochs = 1\n", "run.ini:2: key 'Epochs': names are written in lower");
    expect_fault("[Train]\n", "run.ini:1: section 'Train': names are written in lower case");
    expect_fault("[train]\nmy key = 1\n", "run.ini:2: key 'my key': ' ' is not allowed");
    expect_fault("[train]\n = 1\n", "run.ini:2: the key has no name");
    expect_fault("[]\n", "run.ini:1: the section has no name");
}

static void sections_have_a_line_of_their_own(void **state)
{
    (void)state;
    expect_fault("[train\nsteps = 1\n", "run.ini:1: ']' is missing");
    expect_fault("[train] ; comment\n", "run.ini:1: nothing may follow [section]");
    expect_fault("[train] steps = 1\n", "run.ini:1: nothing may follow [section]");
    expect_fault("steps = 1\n[train]\n", "run.ini:1: 'steps' stands before the first [section]");
}

static void a_line_without_an_equal_sign_is_refused(void **state)
{
    (void)state;
    expect_fault("[train]\nsteps: 1\n",
                 "run.ini:2: expected 'key = value' or '[section]', found 'steps: 1'");
    expect_fault("[train]\nsteps\n", "run.ini:2: expected 'key = value'");
}

static void long_and_joined_lines_are_refused(void **state)
{
    (void)state;
    char text[INI_LINE_LIMIT + 64] = "[data]\ntrain = ";
    size_t head = strlen(text);
    memset(text + head, 'x', INI_LINE_LIMIT);
    expect_fault(text, "run.ini:2: the line holds 1008 bytes, at most 1000 are read");
    memset(text + head, ' ', INI_LINE_LIMIT); // blanks fill iniparser's buffer as well
    expect_fault(text, "run.ini:2: the line holds 1008 bytes");
    expect_fault("[data]\ntrain = a\\\nb\n", "run.ini:2: a backslash at the end does not join");
    expect_fault("[data]\n# note \\ \ntrain = b\n", "run.ini:2: a backslash at the end");
    Settings settings;
    memset(text + head, ' ', INI_LINE_LIMIT);
    text[head] = 'x';
    text[strlen("[data]\n") + INI_LINE_LIMIT] = 0;
    expect_settings(&settings, text);
    assert_string_equal(settings.data.train, "x");
    settings_free(&settings);
}

static void files_that_are_no_text_are_named_so(void **state)
{
    (void)state;
    expect_fault("\xef\xbb\xbf[train]\n",
                 "run.ini:1: the file begins with a byte order mark: save");
    expect_fault("\xff\xfe[", "run.ini:1: the file is UTF-16: save it as UTF-8");
    expect_fault("[data]\n\ntrain = caf\xe9\n", "run.ini:3: byte 0xe9 is not UTF-8");
    expect_fault("[data]\ntrain = a\x01\n", "run.ini:2: control character 0x01");
    expect_fault("[data]\rtrain = a\n", "run.ini:1: control character 0x0d");
    Settings settings;
    Bytes faults = {0};
    int status =
        settings_read_text(&settings, "[run]\nse\0d = 1\n", 15, "run.ini", NULL, 0, &faults);
    assert_int_equal(status, -1);
    assert_string_equal(faults.data, "error: run.ini:2: a zero byte: this is no text file\n");
    bytes_free(&faults);
}

static void a_file_of_more_than_a_mebibyte_is_refused(void **state)
{
    (void)state;
    char *text = malloc(INI_FILE_LIMIT + 2);
    memset(text, '\n', INI_FILE_LIMIT + 1);
    text[INI_FILE_LIMIT + 1] = 0;
    expect_fault(text, "error: run.ini: the file holds more than 1048576 bytes");
    text[INI_FILE_LIMIT] = 0;
    Settings settings;
    expect_settings(&settings, text);
    settings_free(&settings);
    free(text);
}

static void line_ends_of_other_systems_and_a_missing_last_one_are_read(void **state)
{
    (void)state;
    Settings settings;
    expect_settings(&settings, "[run]\r\nseed = 3\r\n\r\n[data]\r\ntrain = \"x\"");
    assert_int_equal(settings.run.seed, 3);
    assert_string_equal(settings.data.train, "x");
    settings_free(&settings);
}

static void the_scan_keeps_the_line_of_every_entry(void **state)
{
    (void)state;
    const char *text = "# head\n[a]\n\nx = 1\n  [ b ]\n\ty\t=\t\n";
    Faults faults = faults_make("error", NULL);
    IniScan scan;
    ini_scan(&scan, text, strlen(text), "x.ini", &faults);
    ini_scan_confirm(&scan, text, strlen(text), "x.ini", &faults);
    assert_int_equal(faults.count, 0);
    assert_int_equal(scan.count, 4);
    assert_int_equal(scan.entries[1].line, 4);
    assert_string_equal(scan.entries[1].value, "1");
    assert_null(scan.entries[2].key);
    assert_string_equal(scan.entries[3].section, "b");
    assert_string_equal(scan.entries[3].key, "y");
    assert_string_equal(scan.entries[3].value, "");
    assert_int_equal(scan.entries[3].line, 6);
    ini_scan_free(&scan);
    faults_finish(&faults, EXIT_BAD_SETTINGS);
}

// The comparison has teeth: handed another text than was scanned, it says so.
static void a_text_that_can_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    const char *scanned = "[a]\nx = 1\n";
    static const char *const others[] = {"[a]\nx = 2\n", "[a]\ny = 1\n", "[b]\nx = 1\n",
                                         "[a]\nx = 1\nz = 1\n", "x\n[a]\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        Faults faults = faults_make("error", NULL);
        IniScan scan;
        ini_scan(&scan, scanned, strlen(scanned), "x.ini", &faults);
        ini_scan_confirm(&scan, others[i], strlen(others[i]), "x.ini", &faults);
        assert_true(faults.count > 0);
        ini_scan_free(&scan);
        faults_finish(&faults, EXIT_BAD_SETTINGS);
    }
}

static void utf8_is_recognised_to_the_letter(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "é", "語", "😀", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
    static const char *const bad[] = {
        "\x80",     "\xc3", "\xc1\xbf",         "\xe0\x9f\xbf",    "\xed\xa0\x80",
        "\xe8\xaa", "\xff", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(utf8_valid_length(good[i], strlen(good[i])), strlen(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(utf8_valid_length(bad[i], strlen(bad[i])), 0);
    assert_int_equal(utf8_valid_length("ab\xff", 3), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_ends_at_a_comment_only_behind_a_blank),
        cmocka_unit_test(quotes_keep_blanks_and_comment_signs),
        cmocka_unit_test(a_quote_inside_quotes_is_refused),
        cmocka_unit_test(an_unterminated_quote_is_refused),
        cmocka_unit_test(a_colon_in_a_name_is_refused),
        cmocka_unit_test(names_are_lower_case_letters_digits_and_underscores),
        cmocka_unit_test(sections_have_a_line_of_their_own),
        cmocka_unit_test(a_line_without_an_equal_sign_is_refused),
        cmocka_unit_test(long_and_joined_lines_are_refused),
        cmocka_unit_test(files_that_are_no_text_are_named_so),
        cmocka_unit_test(a_file_of_more_than_a_mebibyte_is_refused),
        cmocka_unit_test(line_ends_of_other_systems_and_a_missing_last_one_are_read),
        cmocka_unit_test(the_scan_keeps_the_line_of_every_entry),
        cmocka_unit_test(a_text_that_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(utf8_is_recognised_to_the_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
