// main.c - read what is asked, split the job, run the task.

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/activity.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/version.h"
#include "files/directory.h"
#include "input/options.h"
#include "input/readable.h"
#include "input/settings.h"
#include "kernels/kernels.h"
#include "parallel/deadline.h"
#include "parallel/group.h"
#include "parallel/slurm.h"
#include "tasks/libraries.h"
#include "tasks/tasks.h"

static void print_and_free(Bytes *text)
{
    if (text->length > 0)
        fputs(text->data, stdout);
    bytes_free(text);
}

// What the program is made of and finds here, a line each.
static void print_build(Bytes *out)
{
    Bytes sets = {0}, compiler = {0};
    kernels_cpu_print_sets(&sets);
    bytes_print(&compiler, "%s, %s", version_compiler, version_flags);
    version_print_line("commit", version_git, out);
    version_print_line("compiler", compiler.data, out);
    version_print_line("processor", sets.data, out);
    libraries_print(true, true, out);
    bytes_free(&sets);
    bytes_free(&compiler);
}

// Answers that need no input file. Returns whether it was one.
static bool answer(const Options *options, int *code)
{
    Bytes text = {0};
    *code = EXIT_DONE;
    switch (options->action) {
    case ACTION_RUN:
        return false;
    case ACTION_HELP:
        options_print_help(&text);
        break;
    case ACTION_VERSION:
        bytes_print(&text, "learn2ask %s\n", version_text);
        if (options->verbose)
            print_build(&text);
        break;
    case ACTION_DEFAULTS:
        settings_print_defaults(&text);
        break;
    case ACTION_EXPLAIN:
        if (settings_explain(options->explain, &text) != 0) {
            fprintf(stderr, "error: %s\n", fail_message());
            *code = (int)fail_code();
        }
        break;
    case ACTION_SCHEMA:
        settings_print_schema(&text);
        break;
    case ACTION_MARKDOWN:
        settings_print_markdown(&text);
        break;
    }
    print_and_free(&text);
    return true;
}

static int run_task(Task task, const Settings *settings)
{
    static int (*const tasks[TASK_COUNT])(const Settings *) = {
        [TASK_CHECK] = task_check,       [TASK_JOB] = task_job,
        [TASK_PREPARE] = task_prepare,   [TASK_TRAIN] = task_train,
        [TASK_EVALUATE] = task_evaluate, [TASK_CALIBRATE] = task_calibrate,
        [TASK_CHAT] = task_chat,
    };
    return tasks[task](settings);
}

// Of a model that is named itself, to be talked to: those of its run, where it has some, or the
// defaults.
static int read_settings_of_model(const Options *options, Settings *settings, Bytes *faults)
{
    struct stat status;
    bool is_file = stat(options->input, &status) == 0 && !S_ISDIR(status.st_mode);
    char *directory = is_file ? directory_of(options->input) : duplicate(options->input);
    Bytes ini = {0}, path = {0};
    bytes_print(&ini, "%s/run.ini", directory);
    bytes_print(&path, "model.path=%s", options->input);
    const char **overrides = allocate((size_t)options->override_count + 2, sizeof *overrides);
    overrides[0] = path.data;
    overrides[1] = "model.random=no";
    for (int64_t i = 0; i < options->override_count; i++)
        overrides[i + 2] = options->overrides[i];
    int64_t count = options->override_count + 2;
    int read = access(ini.data, F_OK) == 0
                   ? settings_read(settings, ini.data, overrides, count, faults)
                   : settings_read_text(settings, "", 0, "defaults", overrides, count, faults);
    release(overrides);
    release(directory);
    bytes_free(&ini);
    bytes_free(&path);
    return read;
}

static bool names_model(const Options *options)
{
    size_t length = strlen(options->input);
    return options->task == TASK_CHAT &&
           (length < 4 || strcmp(options->input + length - 4, ".ini") != 0);
}

static int read_settings(const Options *options, Settings *settings, Bytes *faults, Bytes *warnings)
{
    int status = names_model(options) ? read_settings_of_model(options, settings, faults)
                                      : settings_read(settings, options->input, options->overrides,
                                                      options->override_count, faults);
    if (status != 0)
        return -1;
    if (settings_check(settings, options->task, faults, warnings) == 0)
        return 0;
    settings_free(settings);
    return -1;
}

// Every rank reads the input itself; only one speaks of its faults.
static int read_and_run(const Options *options, bool speaks)
{
    Settings settings;
    Bytes faults = {0}, warnings = {0};
    int code;
    if (read_settings(options, &settings, &faults, &warnings) != 0) {
        code = (int)fail_code();
        if (speaks)
            fprintf(stderr, "%s", faults.length > 0 ? faults.data : fail_message());
    } else {
        if (warnings.length > 0 && speaks)
            fputs(warnings.data, stderr);
        readable_apply(settings.run.readable_by);
        deadline_set(settings.parallel.deadline);
        code = options->probe ? task_check_probed(&settings) : run_task(options->task, &settings);
        if (code != EXIT_DONE && code != EXIT_AGAIN && speaks)
            fprintf(stderr, "error: %s\n", fail_message());
        settings_free(&settings);
    }
    bytes_free(&faults);
    bytes_free(&warnings);
    return code;
}

// The ranks know each other: else each would take itself for the whole job, and write to its files.
static int check_ranks(int status)
{
    if (status != 0 && slurm_speaks())
        fprintf(stderr, "error: %s\n", fail_message());
    return status == 0 ? EXIT_DONE : (int)fail_code();
}

// mpirun gives its ranks terminals of its own, whatever their output ends in. To be asked before
// MPI starts, which introduces a process of its own in the same way.
static bool writes_to_terminal(void)
{
    return isatty(STDOUT_FILENO) && !getenv("PMIX_RANK") && !getenv("PMI_RANK");
}

static int run_ranks(const Options *options, int *argc, char ***argv)
{
    int code = check_ranks(slurm_check_launch());
    if (code != EXIT_DONE)
        return code;
    activity_set_screen(writes_to_terminal() ? stdout : NULL);
    group_start(argc, argv);
    Group world = group_world();
    code = check_ranks(slurm_check_ranks(world.size));
    if (code == EXIT_DONE)
        code = read_and_run(options, world.rank == 0);
    group_free(&world);
    group_stop();
    return code;
}

int main(int argc, char **argv)
{
    Options options;
    int code;
    mallopt(M_ARENA_MAX, 1);  // threads keep no heaps that `check` could not count
    signal(SIGXFSZ, SIG_IGN); // a write past `ulimit -f` fails and is told instead
    json_set_alloc_funcs(memory_take, release);
    if (options_read(&options, argc, argv) != 0) {
        fprintf(stderr, "error: %s\n", fail_message());
        return (int)fail_code();
    }
    if (!answer(&options, &code)) {
        // These must work on a login node, where MPI may not start.
        if (options.task == TASK_CHECK || options.task == TASK_JOB)
            code = read_and_run(&options, true);
        else
            code = run_ranks(&options, &argc, &argv);
    }
    options_free(&options);
    return code;
}
