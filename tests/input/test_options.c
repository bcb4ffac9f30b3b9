// The command line: what is read from it, and the one clear message where it is wrong.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "input/options.h"

enum { WORDS = 12 };

static int read_line(Options *options, const char *line, char *buffer)
{
    char *argv[WORDS] = {"learn2ask"};
    int argc = 1;
    strcpy(buffer, line);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return options_read(options, argc, argv);
}

static void expect_usage(const char *line, const char *message)
{
    char buffer[200];
    Options options;
    assert_int_equal(read_line(&options, line, buffer), -1);
    assert_int_equal(fail_code(), EXIT_USAGE);
    assert_string_equal(fail_message(), message);
}

static void expect_action(const char *line, Action action)
{
    char buffer[200];
    Options options;
    assert_int_equal(read_line(&options, line, buffer), 0);
    assert_int_equal(options.action, action);
    options_free(&options);
}

static void a_task_its_file_and_overrides_are_read(void **state)
{
    (void)state;
    char buffer[200];
    Options options;
    const char *line = "--set train.steps=1 train a.ini --set=data.train=b=c";
    assert_int_equal(read_line(&options, line, buffer), 0);
    assert_int_equal(options.action, ACTION_RUN);
    assert_int_equal(options.task, TASK_TRAIN);
    assert_string_equal(options.input, "a.ini");
    assert_int_equal(options.override_count, 2);
    assert_string_equal(options.overrides[0], "train.steps=1");
    assert_string_equal(options.overrides[1], "data.train=b=c");
    options_free(&options);
}

static void every_task_is_known_by_its_name(void **state)
{
    (void)state;
    for (int task = 0; task < TASK_COUNT; task++) {
        char line[100], buffer[200];
        Options options;
        snprintf(line, sizeof line, "%s x.ini", options_tasks[task].name);
        assert_int_equal(read_line(&options, line, buffer), 0);
        assert_int_equal(options.task, task);
        options_free(&options);
    }
}

static void questions_need_no_task(void **state)
{
    (void)state;
    expect_action("--help", ACTION_HELP);
    expect_action("-h", ACTION_HELP);
    expect_action("train --help", ACTION_HELP);
    expect_action("--version", ACTION_VERSION);
    expect_action("--defaults", ACTION_DEFAULTS);
    expect_action("--schema", ACTION_SCHEMA);
    expect_action("--settings-markdown", ACTION_MARKDOWN);
    char buffer[200];
    Options options;
    assert_int_equal(read_line(&options, "--version --verbose", buffer), 0);
    assert_true(options.verbose);
    options_free(&options);
    assert_int_equal(read_line(&options, "--explain rollout.top_p", buffer), 0);
    assert_int_equal(options.action, ACTION_EXPLAIN);
    assert_string_equal(options.explain, "rollout.top_p");
    options_free(&options);
}

static void a_wrong_command_line_gets_one_clear_message(void **state)
{
    (void)state;
    expect_usage("", "what is to be done? learn2ask TASK INPUT.ini, or learn2ask --help");
    expect_usage("train", "which input file? learn2ask train INPUT.ini");
    expect_usage("trian a.ini", "no task is called 'trian'; did you mean 'train'?");
    expect_usage("dance a.ini",
                 "no task is called 'dance'; there are check, job, prepare, train, evaluate, "
                 "calibrate, chat");
    expect_usage("train a.ini b.ini", "'b.ini' is one argument too many: learn2ask TASK INPUT.ini");
    expect_usage("train a.ini --sett x", "no option is called '--sett'; did you mean '--set'?");
    expect_usage("train a.ini -x", "no option is called '-x': see learn2ask --help");
    expect_usage("train a.ini --set", "--set needs a value: --set SECTION.KEY=VALUE");
    expect_usage("--explain", "--explain needs a value: --explain SETTING");
    expect_usage("--help=x", "--help takes no value");
}

static void the_help_names_every_task(void **state)
{
    (void)state;
    Bytes help = {0};
    options_print_help(&help);
    for (int task = 0; task < TASK_COUNT; task++)
        assert_non_null(strstr(help.data, options_tasks[task].help));
    assert_non_null(strstr(help.data, "relative to the working directory"));
    for (const char *line = help.data; *line; line = strchr(line, '\n') + 1)
        assert_true(strchr(line, '\n') - line <= 100);
    bytes_free(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_its_file_and_overrides_are_read),
        cmocka_unit_test(every_task_is_known_by_its_name),
        cmocka_unit_test(questions_need_no_task),
        cmocka_unit_test(a_wrong_command_line_gets_one_clear_message),
        cmocka_unit_test(the_help_names_every_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
