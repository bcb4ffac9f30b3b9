// test_settings_words.c - settings as words of a command line, given to a real shell.

#include "tests/input/settings_testing.h"

#include <stdio.h>

// What a shell makes of `words`, a line each.
static void shell_split(const char *words, char *lines, size_t size)
{
    char command[512];
    snprintf(command, sizeof command, "printf '%%s\\n' %s", words);
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    lines[fread(lines, 1, size - 1, shell)] = 0;
    assert_int_equal(pclose(shell), 0);
}

static void a_shell_takes_printed_words_for_what_they_were(void **state)
{
    (void)state;
    static const char text[] = "[train]\nepochs = 3\n";
    static const char *const overrides[] = {"run.directory=it's `x`; {seed} & (*) \\",
                                            "train.steps=7", "data.train=a  b"};
    Settings settings;
    Bytes faults = {0}, words = {0};
    char lines[512];
    assert_int_equal(
        settings_read_text(&settings, text, strlen(text), "my run.ini", overrides, 3, &faults), 0);
    settings_print_words(&settings, &words);
    shell_split(words.data, lines, sizeof lines);
    assert_string_equal(lines, "my run.ini\n--set\nrun.directory=it's `x`; 1 & (*) \\\n"
                               "--set\ndata.train=a  b\n--set\ntrain.steps=7\n");
    settings_free(&settings);
    bytes_free(&faults);
    bytes_free(&words);
}

static void only_words_that_need_it_are_quoted(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } list[] = {{"runs/a-1_b.ini", "runs/a-1_b.ini"},
                {"", "''"},
                {"a b", "'a b'"},
                {"~", "'~'"},
                {"'", "''\\'''"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        Bytes word = {0};
        settings_print_word(list[i].text, &word);
        assert_string_equal(word.data, list[i].word);
        bytes_free(&word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shell_takes_printed_words_for_what_they_were),
        cmocka_unit_test(only_words_that_need_it_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
