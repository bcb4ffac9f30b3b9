// options.h - the command line: learn2ask TASK INPUT.ini [--set section.key=value]...
//
// Everything that describes a run stands in the input file; the command line names the task and the
// file, overrides single settings, and asks for explanations. Nothing else is read from it.

#ifndef L2A_INPUT_OPTIONS_H
#define L2A_INPUT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "input/settings.h"

typedef enum {
    ACTION_RUN,      // `task` with `input`
    ACTION_HELP,     // options_print_help
    ACTION_VERSION,  // one line; more where `verbose`
    ACTION_DEFAULTS, // settings_print_defaults
    ACTION_EXPLAIN,  // settings_explain(explain)
    ACTION_SCHEMA,   // settings_print_schema
    ACTION_MARKDOWN  // settings_print_markdown
} Action;

typedef struct {
    Action action;
    Task task;
    const char *input;      // borrowed from argv
    const char *explain;    // borrowed from argv
    const char **overrides; // owned; the strings are borrowed from argv
    int64_t override_count;
    bool verbose, probe;
} Options;

typedef struct {
    const char *name, *help; // help: one sentence
} OptionsTask;

extern const OptionsTask options_tasks[TASK_COUNT];

// Reads `argv`. -1 with EXIT_USAGE and one message that names the remedy; then nothing is to free.
int options_read(Options *options, int argc, char *const *argv);

void options_print_help(Bytes *out);

void options_free(Options *options);

#endif
