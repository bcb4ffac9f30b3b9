// test_show_arguments.c - the command line of l2a-show is read by its table, and faults are named.

#include "tests/testing.h"

#include <string.h>

#include "base/fail.h"
#include "tools/show_arguments.h"

static const char *const kinds[] = {"round", "square", NULL};
static const ShowOption one_options[] = {
    {"--watch", NULL, "", SHOW_FLAG, offsetof(ShowArguments, watch), 0, NULL},
    {0},
};
static const ShowOption two_options[] = {
    {"--step", "N", "", SHOW_NUMBER, offsetof(ShowArguments, step), 1, NULL},
    {"--truth", "WORD", "", SHOW_WORD, offsetof(ShowArguments, truth), 0, kinds},
    {"--cid", "CID", "", SHOW_WORD, offsetof(ShowArguments, cid), 0, NULL},
    {"--metric", "NAME", "", SHOW_METRIC, offsetof(ShowArguments, metrics), 0, NULL},
    {0},
};
static const ShowCommand commands[] = {
    {"summary", "RUN", "", 1, 1, NULL, one_options},
    {"samples", "RUN...", "", 1, 2, NULL, two_options},
    {0},
};

enum { WORDS = 12 };

static int read_words(ShowArguments *arguments, char *const *words)
{
    char *argv[WORDS + 1] = {"l2a-show"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = words[argc - 1];
    return show_arguments_read(arguments, commands, argc, argv);
}

static void words_go_where_the_table_says(void **state)
{
    (void)state;
    ShowArguments arguments;
    assert_int_equal(read_words(&arguments, (char *[]){"runs/a", "--watch", NULL}), 0);
    assert_ptr_equal(arguments.command, &commands[0]);
    assert_int_equal(arguments.operand_count, 1);
    assert_string_equal(arguments.operands[0], "runs/a");
    assert_true(arguments.watch);
    assert_true(arguments.step == -1 && arguments.worst == -1 && arguments.best == -1);
    show_arguments_free(&arguments);

    char *words[] = {"samples", "--step=7", "a",        "--cid", "--odd", "b",
                     "--truth", "square",   "--metric", "x",     NULL};
    assert_int_equal(read_words(&arguments, words), 0);
    assert_ptr_equal(arguments.command, &commands[1]);
    assert_int_equal(arguments.operand_count, 2);
    assert_string_equal(arguments.operands[1], "b");
    assert_int_equal(arguments.step, 7);
    assert_string_equal(arguments.cid, "--odd");
    assert_string_equal(arguments.truth, "square");
    assert_int_equal(arguments.metric_count, 1);
    show_arguments_free(&arguments);

    assert_int_equal(read_words(&arguments, (char *[]){"samples", "-h", NULL}), 0);
    assert_true(arguments.help);
    show_arguments_free(&arguments);
    assert_int_equal(read_words(&arguments, (char *[]){"--version", NULL}), 0);
    assert_true(arguments.version);
    show_arguments_free(&arguments);
}

static void assert_refused(char *const *words, const char *part)
{
    ShowArguments arguments;
    assert_int_equal(read_words(&arguments, words), -1);
    assert_int_equal(fail_code(), EXIT_USAGE);
    if (!strstr(fail_message(), part))
        fail_msg("'%s' does not say '%s'", fail_message(), part);
}

static void faults_are_named_with_the_nearest_word(void **state)
{
    (void)state;
    assert_refused((char *[]){NULL}, "which run? l2a-show RUN");
    assert_refused((char *[]){"samples", NULL}, "which run? l2a-show samples RUN...");
    assert_refused((char *[]){"sampels", "runs/a", NULL},
                   "no command is called 'sampels'; did you mean 'samples'?");
    assert_refused((char *[]){"everything", "runs/a", NULL}, "see l2a-show --help");
    assert_refused((char *[]){"samples", "a", "b", "c", NULL}, "'c' is one word too many");
    assert_refused((char *[]){"a", "--wach", NULL}, "did you mean '--watch'?");
    assert_refused((char *[]){"a", "--xyz", NULL}, "no option is called '--xyz': see");
    assert_refused((char *[]){"a", "--step", "3", NULL},
                   "--step is no option of 'summary', but of 'samples'");
    assert_refused((char *[]){"a", "--watch=yes", NULL}, "--watch takes no value");
    assert_refused((char *[]){"samples", "a", "--step", NULL}, "--step needs a value: --step N");
    assert_refused((char *[]){"samples", "a", "--step", "0", NULL}, "a whole number from 1 on");
    assert_refused((char *[]){"samples", "a", "--step", "7x", NULL}, "not '7x'");
    assert_refused((char *[]){"samples", "a", "--step=99999999999999999999", NULL},
                   "a whole number from 1 on");
    assert_refused((char *[]){"samples", "a", "--truth", "flat", NULL},
                   "--truth is round or square, not 'flat'");
    assert_refused((char *[]){"samples", "a", "--metric=1", "--metric=2", "--metric=3",
                              "--metric=4", "--metric=5", NULL},
                   "at most 4 times --metric");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_go_where_the_table_says),
        cmocka_unit_test(faults_are_named_with_the_nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
