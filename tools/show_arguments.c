#include "tools/show_arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "input/suggest.h"

enum { NAMES_MAXIMUM = 32 };

static const ShowOption common[] = {
    {"--help", NULL, "print this text", SHOW_FLAG, offsetof(ShowArguments, help), 0, NULL},
    {"--version", NULL, "print the version", SHOW_FLAG, offsetof(ShowArguments, version), 0, NULL},
    {0},
};

static const ShowOption *find_in(const ShowOption *options, const char *word, size_t length)
{
    for (; options->name; options++)
        if (strlen(options->name) == length && strncmp(options->name, word, length) == 0)
            return options;
    return NULL;
}

static int add_names(const ShowOption *options, const char **names, int count)
{
    for (; options->name && count < NAMES_MAXIMUM; options++)
        names[count++] = options->name;
    return count;
}

static const char *owner_of(const ShowCommand *commands, const char *word, size_t length)
{
    for (; commands->name; commands++)
        if (find_in(commands->options, word, length))
            return commands->name;
    return NULL;
}

static int fail_option(const ShowCommand *commands, const ShowCommand *command, const char *word)
{
    const char *names[NAMES_MAXIMUM + 1] = {0};
    add_names(common, names, add_names(command->options, names, 0));
    const char *owner = owner_of(commands, word, strcspn(word, "="));
    const char *near = suggest_nearest(word, names);
    if (owner)
        return fail(EXIT_USAGE, "%s is no option of '%s', but of '%s'", word, command->name, owner);
    if (near)
        return fail(EXIT_USAGE, "no option is called '%s'; did you mean '%s'?", word, near);
    return fail(EXIT_USAGE, "no option is called '%s': see l2a-show --help", word);
}

static int take_number(const ShowOption *option, const char *value, int64_t *number)
{
    char *end;
    errno = 0;
    long long read = strtoll(value, &end, 10);
    if (end == value || *end || errno || read < option->least)
        return fail(EXIT_USAGE, "%s is a whole number from %lld on, not '%s'", option->name,
                    (long long)option->least, value);
    *number = read;
    return 0;
}

static int take_word(const ShowOption *option, const char *value, const char **word)
{
    Bytes all = {0};
    bool known = !option->words;
    for (int i = 0; option->words && option->words[i]; i++) {
        known = known || strcmp(option->words[i], value) == 0;
        bytes_print(&all, "%s%s", i > 0 ? " or " : "", option->words[i]);
    }
    if (!known)
        fail(EXIT_USAGE, "%s is %s, not '%s'", option->name, all.data, value);
    *word = value;
    bytes_free(&all);
    return known ? 0 : -1;
}

static int take_value(ShowArguments *arguments, const ShowOption *option, const char *value)
{
    void *place = (char *)arguments + option->offset;
    CHECK(value || option->kind == SHOW_FLAG, "%s has no value", option->name);
    switch (option->kind) {
    case SHOW_FLAG:
        *(bool *)place = true;
        return 0;
    case SHOW_NUMBER:
        return take_number(option, value, place);
    case SHOW_WORD:
        return take_word(option, value, place);
    case SHOW_METRIC:
        if (arguments->metric_count == SHOW_METRICS_MAXIMUM)
            return fail(EXIT_USAGE, "at most %d times %s", SHOW_METRICS_MAXIMUM, option->name);
        arguments->metrics[arguments->metric_count++] = value;
    }
    return 0;
}

// Takes argv[*index], and the next one where that is its value.
static int take_option(ShowArguments *arguments, const ShowCommand *commands, int argc,
                       char *const *argv, int *index)
{
    const char *word = argv[*index], *value = strchr(word, '=');
    size_t length = strcspn(word, "=");
    const ShowOption *option = find_in(arguments->command->options, word, length);
    if (!option)
        option = find_in(common, strcmp(word, "-h") == 0 ? "--help" : word,
                         strcmp(word, "-h") == 0 ? strlen("--help") : length);
    if (!option)
        return fail_option(commands, arguments->command, word);
    if (!option->value && value)
        return fail(EXIT_USAGE, "%s takes no value", option->name);
    if (option->value && !value && *index + 1 == argc)
        return fail(EXIT_USAGE, "%s needs a value: %s %s", option->name, option->name,
                    option->value);
    if (option->value)
        value = value ? value + 1 : argv[++*index];
    return take_value(arguments, option, value);
}

// "no command is called 'sampels'; did you mean 'samples'?" for a word that can only be one.
static int fail_command(const ShowCommand *commands, const char *word)
{
    const char *names[NAMES_MAXIMUM + 1] = {0};
    for (int i = 0; i < NAMES_MAXIMUM && commands[i].name; i++)
        names[i] = commands[i].name;
    const char *near = suggest_nearest(word, names);
    return near ? fail(EXIT_USAGE, "no command is called '%s'; did you mean '%s'?", word, near)
                : fail(EXIT_USAGE, "no command is called '%s': see l2a-show --help", word);
}

static int check_operands(const ShowArguments *arguments, const ShowCommand *commands)
{
    const ShowCommand *command = arguments->command;
    int count = arguments->operand_count;
    if (count < command->least)
        return fail(EXIT_USAGE, "which run? l2a-show %s%s%s",
                    command == commands ? "" : command->name, command == commands ? "" : " ",
                    command->operands);
    if (count > command->most && command == commands)
        return fail_command(commands, arguments->operands[0]);
    if (count > command->most)
        return fail(EXIT_USAGE, "'%s' is one word too many: l2a-show %s %s",
                    arguments->operands[command->most], command->name, command->operands);
    return 0;
}

static int take_words(ShowArguments *arguments, const ShowCommand *commands, int argc,
                      char *const *argv)
{
    int first = 1;
    for (int i = 0; argc > 1 && commands[i].name; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            arguments->command = &commands[i];
            first = 2;
        }
    for (int i = first; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            if (take_option(arguments, commands, argc, argv, &i) != 0)
                return -1;
        } else {
            arguments->operands[arguments->operand_count++] = argv[i];
        }
    }
    if (arguments->help || arguments->version)
        return 0;
    return check_operands(arguments, commands);
}

int show_arguments_read(ShowArguments *arguments, const ShowCommand *commands, int argc,
                        char *const *argv)
{
    *arguments =
        (ShowArguments){.command = commands, .step = -1, .worst = -1, .best = -1, .samples = -1};
    arguments->operands = allocate((size_t)(argc > 0 ? argc : 1), sizeof *arguments->operands);
    if (take_words(arguments, commands, argc, argv) == 0)
        return 0;
    show_arguments_free(arguments);
    return -1;
}

void show_arguments_free(ShowArguments *arguments)
{
    release(arguments->operands);
    *arguments = (ShowArguments){0};
}

static void print_options(const ShowOption *options, Bytes *out)
{
    for (; options->name; options++) {
        Bytes left = {0};
        bytes_print(&left, "%s%s%s", options->name, options->value ? " " : "",
                    options->value ? options->value : "");
        bytes_print(out, "    %-24s %s\n", left.data, options->help);
        bytes_free(&left);
    }
}

void show_arguments_print_help(const ShowCommand *commands, Bytes *out)
{
    bytes_append_text(out, "l2a-show - runs of learn2ask, looked at while they go on or after\n\n"
                           "    l2a-show RUN [options]\n"
                           "    l2a-show COMMAND RUN... [options]\n\n"
                           "It needs neither MPI nor a GPU and changes nothing of a run.\n\n"
                           "commands\n");
    for (const ShowCommand *command = commands; command->name; command++)
        bytes_print(out, "    %s %s\n        %s%s\n", command->name, command->operands,
                    command->help,
                    command == commands ? "; the command's name may be left out" : "");
    for (const ShowCommand *command = commands; command->name; command++) {
        if (!command->options->name)
            continue;
        bytes_print(out, "\noptions of %s\n", command->name);
        print_options(command->options, out);
    }
    bytes_append_text(out, "\noptions of all\n");
    print_options(common, out);
    bytes_append_text(
        out, "\nRUN is a run's directory. Colours are for terminals, and never where NO_COLOR is "
             "set.\n\nExit status: 0 done, 64 usage, 65 unusable input, 66 missing input, 69 no "
             "gnuplot, 73 or 74\ncannot write, 78 a run.ini that this program does not know.\n");
}
