#include "input/options.h"

#include <string.h>

#include "base/fail.h"
#include "base/version.h"
#include "input/suggest.h"

const OptionsTask options_tasks[TASK_COUNT] = {
    [TASK_CHECK] = {"check", "read everything, run nothing: settings, data, model, memory, time"},
    [TASK_JOB] = {"job", "print a Slurm job script that trains in as many turns as it takes"},
    [TASK_PREPARE] = {"prepare", "cut sessions into rounds and write training samples"},
    [TASK_TRAIN] = {"train", "train a model, or go on where the run was stopped"},
    [TASK_CALIBRATE] = {"calibrate", "choose the prompt that agrees best with labelled examples"},
    [TASK_CHAT] =
        {"chat",
         "talk to a model in the terminal: its directory or checkpoint instead of INPUT.ini"},
    [TASK_EVALUATE] = {"evaluate", "sample responses, grade them and print the table of scores"},
};

typedef struct {
    const char *name;
    Action action;
    const char *value; // what its argument is called; NULL: it has none
    const char *help;
} Option;

// ACTION_RUN: the option belongs to a run, or to another action.
static const Option table[] = {
    {"--set", ACTION_RUN, "SECTION.KEY=VALUE", "replace one setting of the file; may be repeated"},
    {"--probe", ACTION_RUN, NULL,
     "with check: also how long it may take, measured for some seconds"},
    {"--explain", ACTION_EXPLAIN, "SETTING", "say what a setting, or a section, is for"},
    {"--defaults", ACTION_DEFAULTS, NULL, "print every setting with its default"},
    {"--schema", ACTION_SCHEMA, NULL, "print a JSON Schema of the input file"},
    {"--settings-markdown", ACTION_MARKDOWN, NULL, "print the settings chapter of README.md"},
    {"--version", ACTION_VERSION, NULL, "print the version"},
    {"--verbose", ACTION_RUN, NULL, "with --version: compiler, processor and libraries, too"},
    {"--help", ACTION_HELP, NULL, "print this text"},
};
enum { OPTION_COUNT = sizeof table / sizeof table[0] };

// The option that `argument` names, alone or as "--name=value" (then `*value` is set).
static const Option *find_option(const char *argument, const char **value)
{
    size_t length = strcspn(argument, "=");
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (strlen(table[i].name) != length || strncmp(table[i].name, argument, length) != 0)
            continue;
        *value = argument[length] == '=' ? argument + length + 1 : NULL;
        return &table[i];
    }
    if (strcmp(argument, "-h") == 0)
        return find_option("--help", value);
    return NULL;
}

static int fail_unknown_option(const char *argument)
{
    const char *names[OPTION_COUNT + 1] = {0};
    for (int i = 0; i < OPTION_COUNT; i++)
        names[i] = table[i].name;
    const char *near = suggest_nearest(argument, names);
    return fail(EXIT_USAGE, "no option is called '%s'%s%s%s", argument,
                near ? "; did you mean '" : ": see learn2ask --help", near ? near : "",
                near ? "'?" : "");
}

static int fail_unknown_task(const char *argument)
{
    const char *names[TASK_COUNT + 1] = {0};
    for (int i = 0; i < TASK_COUNT; i++)
        names[i] = options_tasks[i].name;
    const char *near = suggest_nearest(argument, names);
    if (near)
        return fail(EXIT_USAGE, "no task is called '%s'; did you mean '%s'?", argument, near);
    Bytes all = {0};
    for (int i = 0; i < TASK_COUNT; i++)
        bytes_print(&all, "%s%s", i ? ", " : "", options_tasks[i].name);
    fail(EXIT_USAGE, "no task is called '%s'; there are %s", argument, all.data);
    bytes_free(&all);
    return -1;
}

static int take_task(Options *options, const char *argument)
{
    for (int i = 0; i < TASK_COUNT; i++)
        if (strcmp(options_tasks[i].name, argument) == 0) {
            options->task = (Task)i;
            return 0;
        }
    return fail_unknown_task(argument);
}

// `*index` is the option's own; it moves on over a value in the next argument.
static int take_option(Options *options, int argc, char *const *argv, int *index)
{
    const char *value, *argument = argv[*index];
    const Option *option = find_option(argument, &value);
    if (!option)
        return fail_unknown_option(argument);
    if (option->value && !value) {
        if (*index + 1 >= argc)
            return fail(EXIT_USAGE, "%s needs a value: %s %s", option->name, option->name,
                        option->value);
        value = argv[++*index];
    }
    if (!option->value && value)
        return fail(EXIT_USAGE, "%s takes no value", option->name);
    if (option->action != ACTION_RUN)
        options->action = option->action;
    if (option->action == ACTION_EXPLAIN)
        options->explain = value;
    else if (option->action == ACTION_RUN && option->value)
        options->overrides[options->override_count++] = value;
    else if (strcmp(option->name, "--probe") == 0)
        options->probe = true;
    else if (option->action == ACTION_RUN)
        options->verbose = true;
    return 0;
}

static int take_arguments(Options *options, int argc, char *const *argv)
{
    int words = 0; // that are no options
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != 0) {
            if (take_option(options, argc, argv, &i))
                return -1;
        } else if (words == 0) {
            if (take_task(options, argv[i]))
                return -1;
            words++;
        } else if (words == 1) {
            options->input = argv[i];
            words++;
        } else {
            return fail(EXIT_USAGE, "'%s' is one argument too many: learn2ask TASK INPUT.ini",
                        argv[i]);
        }
    }
    if (options->action != ACTION_RUN)
        return 0;
    if (options->probe && (words == 0 || options->task != TASK_CHECK))
        return fail(EXIT_USAGE, "--probe belongs to check: learn2ask check INPUT.ini --probe");
    if (words == 0)
        return fail(EXIT_USAGE,
                    "what is to be done? learn2ask TASK INPUT.ini, or learn2ask --help");
    if (words == 1)
        return fail(EXIT_USAGE, "which %s? learn2ask %s %s",
                    options->task == TASK_CHAT ? "model" : "input file",
                    options_tasks[options->task].name,
                    options->task == TASK_CHAT ? "MODEL" : "INPUT.ini");
    return 0;
}

int options_read(Options *options, int argc, char *const *argv)
{
    *options = (Options){0};
    options->overrides = allocate((size_t)(argc > 0 ? argc : 1), sizeof(char *));
    if (take_arguments(options, argc, argv) == 0)
        return 0;
    options_free(options);
    return -1;
}

void options_print_help(Bytes *out)
{
    bytes_print(out, "learn2ask - %s\n\n", version_summary);
    bytes_append_text(
        out, "    learn2ask TASK INPUT.ini [--set SECTION.KEY=VALUE]...\n"
             "    mpirun -n RANKS learn2ask TASK INPUT.ini ...\n\n"
             "Paths in the input file are relative to the working directory, not to the file.\n\n"
             "tasks\n");
    for (int i = 0; i < TASK_COUNT; i++)
        bytes_print(out, "    %-12s %s\n", options_tasks[i].name, options_tasks[i].help);
    bytes_append_text(out, "\noptions\n");
    for (int i = 0; i < OPTION_COUNT; i++) {
        Bytes name = {0};
        bytes_print(&name, "%s %s", table[i].name, table[i].value ? table[i].value : "");
        bytes_print(out, "    %-26s %s\n", name.data, table[i].help);
        bytes_free(&name);
    }
    bytes_append_text(
        out,
        "\nExit status: 0 done, 64 usage, 65 unusable input, 66 missing input, 69 something needed "
        "is\nnot there, 70 a bug, 71 out of memory, 73 or 74 cannot write, 75 stopped in good "
        "order: start\nthe same again, 76 no progress: look before you do, 78 wrong settings.\n");
}

void options_free(Options *options)
{
    release(options->overrides);
    *options = (Options){0};
}
