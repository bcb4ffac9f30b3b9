// The table, strict values, names that are nearly right, overrides, files, and the round trip.

#define _GNU_SOURCE // mkdtemp
#include "tests/input/settings_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input/ini_scan.h"
#include "input/settings_change.h"
#include "input/settings_table.h"
#include "input/suggest.h"

static void an_empty_file_gives_the_published_defaults(void **state)
{
    (void)state;
    Settings s;
    expect_settings(&s, "");
    assert_true(s.optimizer.learning_rate == 5e-7);
    assert_int_equal(s.rollout.group_size, 5);
    assert_int_equal(s.train.batch_contexts, 64);
    assert_int_equal(s.train.epochs, 4);
    assert_true(s.algorithm.clip_low == 0.2 && s.algorithm.clip_high == 0.2);
    assert_true(s.algorithm.clip_dual == 3 && s.algorithm.kl_coefficient == 0.001);
    assert_int_equal(s.algorithm.kl_estimator, KL_K2);
    assert_int_equal(s.algorithm.aggregation, AGGREGATE_TOKEN_MEAN);
    assert_true(s.optimizer.beta1 == 0.9 && s.optimizer.beta2 == 0.999);
    assert_true(s.optimizer.epsilon == 1e-8 && s.optimizer.weight_decay == 0.01);
    assert_true(s.optimizer.max_gradient_norm == 1);
    assert_int_equal(s.data.max_prompt_tokens, 2048);
    assert_int_equal(s.rollout.max_response_tokens, 1024);
    assert_int_equal(s.evaluate.samples, 3);
    assert_true(s.evaluate.temperature == 1 && s.evaluate.top_p == 0.95);
    assert_true(s.evaluate.repetition_penalty == 1.2);
    assert_int_equal(s.evaluate.max_response_tokens, 512);
    assert_int_equal(s.checkpoint.every, 50);
    assert_int_equal(s.checkpoint.keep_last, 2);
    assert_int_equal(s.parallel.micro_batch_tokens, 4096);
    assert_true(s.data.keep_sessions);
    assert_string_equal(s.run.directory, "");
    settings_free(&s);
}

// Two rows on one field, or a field without a row, would leave a gap or an overlap.
static void every_field_has_one_row_of_its_size(void **state)
{
    (void)state;
    static unsigned char used[offsetof(Settings, source)];
    size_t total = 0;
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        static const size_t sizes[] = {
            [SETTING_TEXT] = sizeof(char *),     [SETTING_PATH] = sizeof(char *),
            [SETTING_INTEGER] = sizeof(int64_t), [SETTING_REAL] = sizeof(double),
            [SETTING_FLAG] = sizeof(bool),       [SETTING_CHOICE] = sizeof(Placement)};
        for (size_t byte = 0; byte < sizes[row->type]; byte++)
            if (used[row->offset + byte]++)
                fail_msg("%s.%s shares its field", row->section, row->key);
        total += sizes[row->type];
        assert_true(strlen(row->help) > 10);
        assert_ptr_equal(settings_find(row->section, row->key), row);
    }
    // A field that no row fills is at least 4 bytes of a struct; padding stays under 8 in a row.
    size_t gap = 0;
    for (size_t byte = 0; byte < sizeof used; byte++) {
        gap = used[byte] ? 0 : gap + 1;
        assert_true(gap < 8);
    }
    assert_true(total > 400);
}

static void sections_of_the_table_stand_together_and_are_described(void **state)
{
    (void)state;
    const SettingSection *section = settings_sections;
    for (int64_t i = 0; i < settings_count; i++) {
        if (strcmp(settings_table[i].section, section->name) != 0)
            section++;
        assert_non_null(section->name);
        assert_string_equal(settings_table[i].section, section->name);
    }
    assert_null(section[1].name);
}

static void numbers_are_decimal_whole_and_in_range(void **state)
{
    (void)state;
    const char *real = ": expected a number from 0 to 10";
    static const char *const bad[] = {"3e-6x", "1,5", "0x1p3", "nan",   "inf", "1e", ".",
                                      "-1",    "11",  "1 2",   "1e999", "--1", "+1", "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[100], line[100];
        snprintf(text, sizeof text, "[optimizer]\nlearning_rate = %s\n", bad[i]);
        snprintf(line, sizeof line, "run.ini:2: learning_rate = %s%s", bad[i], real);
        expect_fault(text, line);
    }
    expect_fault("[optimizer]\nlearning_rate =\n", "run.ini:2: learning_rate = \"\": expected");
    expect_fault("[optimizer]\nlearning_rate = 1e-400\n", "too close to 0 to be told from it");
    expect_fault("[optimizer]\nlearning_rate = 01\n", "write it without leading zeros");
    expect_fault("[train]\nsteps = 010\n", "run.ini:2: steps = 010: expected an integer from 0 to "
                                           "1000000000; write it without leading zeros");
    expect_fault("[train]\nsteps = 5000000000\n", "run.ini:2: steps = 5000000000: expected");
    expect_fault("[train]\nsteps = 99999999999999999999\n", "expected an integer");
    expect_fault("[train]\nsteps = 1.5\n", "expected an integer");
    expect_fault("[train]\nsteps = 1e3\n", "expected an integer");
    expect_fault("[rollout]\ngroup_size = 0\n", "expected an integer from 1 to 4095");
    Settings settings;
    expect_settings(&settings, "[run]\nseed = 5000000000\n[optimizer]\nlearning_rate = .5E-1\n"
                               "weight_decay = -0\n");
    assert_int_equal(settings.run.seed, 5000000000);
    assert_true(settings.optimizer.learning_rate == 0.05);
    settings_free(&settings);
}

static void flags_are_whole_words(void **state)
{
    (void)state;
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    for (int i = 0; i < 8; i++) {
        char text[100];
        snprintf(text, sizeof text, "[model]\nrandom = %s\n", words[i]);
        Settings settings;
        expect_settings(&settings, text);
        assert_int_equal(settings.model.random, i % 2);
        settings_free(&settings);
    }
    Settings settings;
    expect_settings(&settings, "[model]\nrandom = True\n");
    assert_true(settings.model.random);
    settings_free(&settings);
    expect_fault("[model]\nrandom = tomorrow\n",
                 "run.ini:2: random = tomorrow: expected yes or no");
    expect_fault("[model]\nrandom = y\n", "expected yes or no");
    expect_fault("[model]\nrandom =\n", "expected yes or no");
    expect_fault("[model]\nrandom = 2\n", "expected yes or no");
}

static void choices_are_listed_where_none_fits(void **state)
{
    (void)state;
    expect_fault("[parallel]\nplacement = splitt\n",
                 "run.ini:2: placement = splitt: expected one of shared, split; did you mean "
                 "'split'?");
    expect_fault("[algorithm]\nname = q-learning\n", "opmd, sft, dpo\n");
    expect_fault("[model]\nchat = ChatML\n", "did you mean 'chatml'?");
    Settings settings;
    expect_settings(&settings,
                    "[algorithm]\nkl_estimator = low-variance-k3\n[model]\nchat = qwen3\n"
                    "[reward]\nmode = Rs\n");
    assert_int_equal(settings.algorithm.kl_estimator, KL_LOW_VARIANCE_K3);
    assert_int_equal(settings.reward.mode, MODE_RS);
    assert_string_equal(settings.model.chat, "qwen3");
    settings_free(&settings);
}

static void an_unknown_name_is_refused_with_the_nearest(void **state)
{
    (void)state;
    expect_fault("[optimizer]\nlerning_rate = 1\n",
                 "error: run.ini:2: no setting is called 'lerning_rate' in [optimizer]; did you "
                 "mean 'learning_rate'?\n");
    expect_fault("[train]\n\nlerning_rate = 1\n",
                 "run.ini:3: no setting is called 'lerning_rate' in [train]; did you mean "
                 "'learning_rate' in [optimizer]?");
    expect_fault("[warmup]\nlerning_rate = 1\n", "did you mean 'learning_rate'?\n");
    expect_fault("[train]\nqwertz = 1\n", "no setting is called 'qwertz' in [train]; learn2ask "
                                          "--explain train lists what is there");
    expect_fault("[optimiser]\nx = 1\n",
                 "run.ini:1: no section is called [optimiser]; did you mean [optimizer]?");
    expect_fault("[zzz]\nx = 1\n", "no section is called [zzz]; there are run, model, data");
}

static void a_name_given_twice_is_refused_with_both_lines(void **state)
{
    (void)state;
    expect_fault("[train]\nsteps = 1\n\nsteps = 2\n",
                 "run.ini:4: 'steps' was set before, in line 2");
    expect_fault("[train]\nsteps = 1\n[run]\n[train]\nepochs = 2\n",
                 "run.ini:4: section [train] was opened before, in line 1");
}

static void all_faults_are_listed_at_once(void **state)
{
    (void)state;
    Settings settings;
    Bytes faults = {0};
    int status = read_settings(
        &settings, "[train]\nstep = 1\nepochs = many\n[modle]\n[run]\nseed = 1;2\n", &faults);
    assert_int_equal(status, -1);
    static const char *const lines[] = {"run.ini:2: no setting", "run.ini:3: epochs = many",
                                        "run.ini:4: no section", "run.ini:6: ';' inside"};
    for (int i = 0; i < 4; i++)
        assert_non_null(strstr(faults.data, lines[i]));
    assert_string_equal(fail_message(), "run.ini:6: ';' inside a value: put the value in double "
                                        "quotes, or a blank before ';' if a comment begins there");
    bytes_free(&faults);
}

static void a_long_list_of_faults_is_cut_and_counted(void **state)
{
    (void)state;
    Bytes text = {0}, faults = {0};
    bytes_append_text(&text, "[train]\n");
    for (int i = 0; i < 60; i++)
        bytes_append_text(&text, "x\n");
    Settings settings;
    assert_int_equal(read_settings(&settings, text.data, &faults), -1);
    assert_non_null(strstr(faults.data, "error: 10 more are not listed\n"));
    bytes_free(&text);
    bytes_free(&faults);
}

static void overrides_replace_values_of_the_file(void **state)
{
    (void)state;
    static const char *const overrides[] = {"train.steps=5", "data.train=a b;c=d", "train.steps=7"};
    const char *text = "[train]\nsteps = 1\n";
    Settings settings;
    int status = settings_read_text(&settings, text, strlen(text), "run.ini", overrides, 3, NULL);
    assert_int_equal(status, 0);
    assert_int_equal(settings.train.steps, 7);
    assert_string_equal(settings.data.train, "a b;c=d");
    settings_free(&settings);
}

static void expect_override_fault(const char *override, const char *line)
{
    Settings settings;
    Bytes faults = {0};
    assert_int_equal(settings_read_text(&settings, "", 0, "run.ini", &override, 1, &faults), -1);
    assert_int_equal(fail_code(), EXIT_USAGE);
    if (!strstr(faults.data, line))
        fail_msg("expected:\n%s\nfound:\n%s", line, faults.data);
    bytes_free(&faults);
}

static void a_faulty_override_is_refused_by_its_name(void **state)
{
    (void)state;
    expect_override_fault("train.steps=x", "error: --set train.steps: steps = x: expected");
    expect_override_fault("train.stepps=1", "--set train.stepps: no setting is called 'stepps' in "
                                            "[train]; did you mean 'steps'?");
    expect_override_fault("trian.steps=1", "--set trian.steps: no section is called [trian]");
    expect_override_fault("steps=1", "--set: expected section.key=value, found 'steps=1'");
    expect_override_fault("train.steps", "--set: expected section.key=value");
    expect_override_fault("=", "--set: expected section.key=value");
    expect_override_fault(".=", "no section is called []");
    expect_override_fault("data.train=a\"b", "train: a double quote cannot be part of a value");
    expect_override_fault("data.train=a\nb", "train: a control character cannot be part");
    expect_override_fault("data.train=a\xAB", "train: byte 0xab is not UTF-8");
}

// `override` with as many x behind it as make the line `key = "value"` of run.ini `bytes` long.
static void append_line(const char *override, size_t bytes, Bytes *out)
{
    const char *key = strchr(override, '.') + 1, *value = strchr(key, '=') + 1;
    size_t used = (size_t)(value - key - 1) + strlen(" = \"\"") + strlen(value);
    bytes_append_text(out, override);
    for (size_t i = used; i < bytes; i++)
        bytes_append_text(out, "x");
}

// Else a run could not be gone on with.
static void no_value_is_longer_than_a_line_of_run_ini(void **state)
{
    (void)state;
    Bytes fits = {0}, longer = {0}, printed = {0};
    append_line("data.train=", INI_LINE_LIMIT, &fits);
    append_line("data.train=", INI_LINE_LIMIT + 1, &longer);
    expect_override_fault(longer.data, "train: the value is too long for a line of 1000 bytes");
    bytes_clear(&longer);
    append_line("run.directory={seed}{seed}", INI_LINE_LIMIT - 7, &longer);
    Settings settings, read;
    const char *const overrides[] = {fits.data, longer.data, "run.seed=1000000000"};
    assert_int_equal(settings_read_text(&settings, "", 0, "x.ini", overrides, 3, NULL), -1);
    assert_non_null(strstr(fail_message(), "directory: the value is too long for a line"));
    assert_int_equal(settings_read_text(&settings, "", 0, "x.ini", overrides, 2, NULL), 0);
    settings_print(&settings, &printed);
    expect_settings(&read, printed.data);
    assert_string_equal(read.data.train, settings.data.train);
    settings_free(&read);
    settings_free(&settings);
    bytes_free(&fits);
    bytes_free(&longer);
    bytes_free(&printed);
}

static void paths_are_written_out(void **state)
{
    (void)state;
    expect_fault("[data]\ntrain = ~/x\n", "run.ini:2: train = ~/x: '~' is not replaced here");
    expect_fault("[data]\ntrain = $HOME/x\n", "'$' is not replaced here: write the path out");
}

static void the_seed_stands_in_for_its_name_in_the_directory(void **state)
{
    (void)state;
    Settings settings;
    expect_settings(&settings, "[run]\ndirectory = runs/a{seed}-{seed}/b\nseed = 12\n");
    assert_string_equal(settings.run.directory, "runs/a12-12/b");
    settings_free(&settings);
    expect_fault("[run]\nseed = 1\ndirectory = runs/{job}\n",
                 "run.ini:3: run.directory = runs/{job}: of words in braces only {seed} is known");
}

static void printed_settings_read_back_exactly(void **state)
{
    (void)state;
    Settings first, second;
    expect_settings(&first, "[run]\ndirectory = \" runs/;x# {seed}\"\n[model]\nrandom = on\n"
                            "compute = bf16\n[optimizer]\nlearning_rate = 0.1\nepsilon = 1.5e-30\n"
                            "beta1 = 0.30000000000000004\nschedule = cosine\n[rollout]\n"
                            "temperature = 0.7\n[data]\ntrain = \"C:\\dir\\é\\\"\n");
    Bytes printed = {0}, again = {0};
    settings_print(&first, &printed);
    expect_settings(&second, printed.data);
    settings_print(&second, &again);
    assert_string_equal(printed.data, again.data);
    assert_string_equal(second.run.directory, " runs/;x# 1");
    assert_string_equal(second.data.train, "C:\\dir\\é\\");
    assert_true(second.optimizer.beta1 == 0.30000000000000004);
    assert_true(second.optimizer.epsilon == 1.5e-30);
    assert_int_equal(second.model.compute, COMPUTE_BF16);
    assert_non_null(strstr(printed.data, "\nlearning_rate = 0.1\n"));
    assert_non_null(strstr(printed.data, "\nmicro_batch_tokens = 4096\n"));
    assert_non_null(strstr(printed.data, "\nlearning_rate = 1e-5\n")); // of [warmup]
    settings_free(&first);
    settings_free(&second);
    bytes_free(&printed);
    bytes_free(&again);
}

static void printed_defaults_are_a_file_to_start_from(void **state)
{
    (void)state;
    Settings plain, defaults;
    Bytes text = {0}, expected = {0}, found = {0};
    settings_print_defaults(&text);
    expect_settings(&plain, "");
    expect_settings(&defaults, text.data);
    settings_print(&plain, &expected);
    settings_print(&defaults, &found);
    assert_string_equal(found.data, expected.data);
    for (const char *line = text.data; *line; line = strchr(line, '\n') + 1)
        assert_true(strchr(line, '\n') - line <= 100);
    settings_free(&plain);
    settings_free(&defaults);
    bytes_free(&text);
    bytes_free(&expected);
    bytes_free(&found);
}

static void settings_are_explained_by_name(void **state)
{
    (void)state;
    Bytes text = {0};
    assert_int_equal(settings_explain("rollout.top_p", &text), 0);
    assert_string_equal(
        text.data, "rollout.top_p = 1\n    Sample from the likeliest tokens of this "
                   "probability; 1: all.\n    a number from 1e-6 to 1\n    changes in a run that "
                   "goes on: on request\n");
    bytes_clear(&text);
    assert_int_equal(settings_explain("warmup", &text), 0);
    assert_non_null(strstr(text.data, "warmup.learning_rate = 1e-5\n"));
    assert_int_equal(settings_explain("rolout.topp", &text), -1);
    assert_int_equal(fail_code(), EXIT_USAGE);
    assert_string_equal(fail_message(), "no setting or section is called 'rolout.topp'; did you "
                                        "mean 'rollout.top_p'?");
    assert_int_equal(settings_explain("qqqqqqq", &text), -1);
    assert_non_null(strstr(fail_message(), "learn2ask --defaults lists all"));
    bytes_free(&text);
}

static void changes_are_told_by_class(void **state)
{
    (void)state;
    Settings before, now;
    Bytes found[CHANGE_COUNT] = {{0}};
    expect_settings(&before, "[run]\ndirectory = runs/a\nseed = 7\n");
    expect_settings(&now, "[run]\ndirectory = runs/b\n[optimizer]\nlearning_rate = 1e-3\n"
                          "[train]\nsteps = 30\n[parallel]\nplacement = split\n"
                          "learner_ranks = 1\nrollout_ranks = 1\n[judge]\nprompt = p\n"
                          "timeout = 3\n");
    for (SettingChange change = 0; change < CHANGE_COUNT; change++)
        settings_compare(&before, &now, change, &found[change]);
    assert_string_equal(found[CHANGE_FREE].data,
                        "run.directory from \"runs/a\" to \"runs/b\"; parallel.placement from "
                        "shared to split; parallel.learner_ranks from 0 to 1; "
                        "parallel.rollout_ranks from 0 to 1; judge.timeout from 120 to 3");
    assert_string_equal(found[CHANGE_ON_REQUEST].data,
                        "optimizer.learning_rate from 5e-7 to 0.001; train.steps from 0 to 30; "
                        "judge.prompt from \"\" to \"p\"");
    assert_string_equal(found[CHANGE_NEVER].data, "run.seed from 7 to 1");
    for (SettingChange change = 0; change < CHANGE_COUNT; change++)
        bytes_free(&found[change]);
    settings_free(&before);
    settings_free(&now);
}

// A row of the table that names no setting would be a slip; a section without one ends the program.
static void every_setting_has_a_class_of_change(void **state)
{
    (void)state;
    int64_t count[CHANGE_COUNT] = {0};
    for (int64_t i = 0; i < settings_count; i++)
        count[settings_change(&settings_table[i])]++;
    assert_true(count[CHANGE_FREE] > 50 && count[CHANGE_ON_REQUEST] > 50);
    assert_true(count[CHANGE_NEVER] >= 10);
}

static void markdown_names_every_setting(void **state)
{
    (void)state;
    Bytes text = {0};
    settings_print_markdown(&text);
    for (int64_t i = 0; i < settings_count; i++) {
        char cell[100];
        snprintf(cell, sizeof cell, "\n| `%s` |", settings_table[i].key);
        assert_non_null(strstr(text.data, cell));
    }
    assert_non_null(strstr(text.data, "### `[optimizer]`\n"));
    bytes_free(&text);
}

static void expect_no_file(const char *path, ExitCode code, const char *message)
{
    Settings settings;
    Bytes faults = {0};
    assert_int_equal(settings_read(&settings, path, NULL, 0, &faults), -1);
    assert_int_equal(fail_code(), code);
    if (!strstr(faults.data, message))
        fail_msg("expected '%s', found '%s'", message, faults.data);
    bytes_free(&faults);
}

static void files_are_read_and_what_is_no_file_is_named(void **state)
{
    (void)state;
    char directory[] = "test_settings.XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/run.ini", directory);
    expect_no_file(path, EXIT_NO_INPUT, "run.ini: No such file or directory");
    expect_no_file(directory, EXIT_BAD_DATA, "is not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_no_file(path, EXIT_BAD_DATA, "is not a regular file");
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("[run]\nseed = 9\n", file);
    fclose(file);
    Settings settings;
    assert_int_equal(settings_read(&settings, path, NULL, 0, NULL), 0);
    assert_int_equal(settings.run.seed, 9);
    settings_free(&settings);
    unlink(path);
    rmdir(directory);
}

static void distances_count_the_slips_of_a_hand(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("train", "train"), 0);
    assert_int_equal(suggest_distance("trian", "train"), 1);
    assert_int_equal(suggest_distance("tran", "train"), 1);
    assert_int_equal(suggest_distance("traain", "train"), 1);
    assert_int_equal(suggest_distance("Train", "train"), 0);
    assert_int_equal(suggest_distance("", "train"), 5);
    char longest[SUGGEST_WORD_BYTES + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_true(suggest_distance(longest, "a") == INT64_MAX);
    static const char *const words[] = {"check", "train", NULL};
    assert_string_equal(suggest_nearest("chekc", words), "check");
    assert_null(suggest_nearest("prepare", words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_the_published_defaults),
        cmocka_unit_test(every_field_has_one_row_of_its_size),
        cmocka_unit_test(sections_of_the_table_stand_together_and_are_described),
        cmocka_unit_test(numbers_are_decimal_whole_and_in_range),
        cmocka_unit_test(flags_are_whole_words),
        cmocka_unit_test(choices_are_listed_where_none_fits),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_nearest),
        cmocka_unit_test(a_name_given_twice_is_refused_with_both_lines),
        cmocka_unit_test(all_faults_are_listed_at_once),
        cmocka_unit_test(a_long_list_of_faults_is_cut_and_counted),
        cmocka_unit_test(overrides_replace_values_of_the_file),
        cmocka_unit_test(a_faulty_override_is_refused_by_its_name),
        cmocka_unit_test(no_value_is_longer_than_a_line_of_run_ini),
        cmocka_unit_test(paths_are_written_out),
        cmocka_unit_test(the_seed_stands_in_for_its_name_in_the_directory),
        cmocka_unit_test(printed_settings_read_back_exactly),
        cmocka_unit_test(printed_defaults_are_a_file_to_start_from),
        cmocka_unit_test(settings_are_explained_by_name),
        cmocka_unit_test(changes_are_told_by_class),
        cmocka_unit_test(every_setting_has_a_class_of_change),
        cmocka_unit_test(markdown_names_every_setting),
        cmocka_unit_test(files_are_read_and_what_is_no_file_is_named),
        cmocka_unit_test(distances_count_the_slips_of_a_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
