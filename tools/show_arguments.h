// show_arguments.h - the command line: l2a-show [COMMAND] RUN... [options].
//
// Commands are rows of a table (tools/show.c), each with the options that it takes. A first word
// that names none is the RUN of the first command.

#ifndef L2A_TOOLS_SHOW_ARGUMENTS_H
#define L2A_TOOLS_SHOW_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

enum { SHOW_METRICS_MAXIMUM = 4 };

typedef struct {
    const struct ShowCommand *command;
    const char **operands; // owned; the words are borrowed from argv
    int operand_count;
    bool watch, last, json, all, names, text;
    int64_t step, worst, best, samples; // -1: not given
    const char *decision, *truth, *cid, *data, *output;
    const char *metrics[SHOW_METRICS_MAXIMUM];
    int metric_count;
    bool help, version;
} ShowArguments;

typedef enum {
    SHOW_FLAG,   // bool
    SHOW_NUMBER, // int64_t, at least `least`
    SHOW_WORD,   // const char *, one of `words` where there are some
    SHOW_METRIC, // one more of `metrics`
} ShowOptionKind;

typedef struct {
    const char *name, *value; // "--step", "N"; value NULL: a flag
    const char *help;
    ShowOptionKind kind;
    size_t offset; // in ShowArguments
    int64_t least;
    const char *const *words; // NULL-terminated
} ShowOption;

// What it says goes to `out`, and from there to standard output, also where it fails in the end.
typedef int ShowRunCommand(const ShowArguments *arguments, Bytes *out);

typedef struct ShowCommand {
    const char *name, *operands, *help;
    int least, most; // operands
    ShowRunCommand *run;
    const ShowOption *options; // ends with a NULL name
} ShowCommand;

// Reads argv by the table, which ends with a NULL name. EXIT_USAGE, with the nearest name; then
// nothing is to free.
int show_arguments_read(ShowArguments *arguments, const ShowCommand *commands, int argc,
                        char *const *argv);
void show_arguments_free(ShowArguments *arguments);

// All commands with their options.
void show_arguments_print_help(const ShowCommand *commands, Bytes *out);

#endif
