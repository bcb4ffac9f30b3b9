// toolbox_command.c - a tool that is a program: arguments on its standard input, the result on its
// standard output.

#include <stdio.h>
#include <sys/wait.h>

#include "ask/toolbox_kinds.h"
#include "base/command.h"
#include "input/jsonl.h"

// Nothing else of ours goes on to the tool: no key.
static const char *const keeps[] = {"PATH", "HOME", "LANG", NULL};

static bool refuse(Bytes *result, const char *what)
{
    bytes_clear(result);
    bytes_print(result, "error: the tool %s", what);
    return false;
}

bool tool_run_command(const Tool *tool, const json_t *arguments, Bytes *result)
{
    Command command = {.words = tool->command,
                       .keeps = keeps,
                       .timeout = tool->timeout,
                       .max_bytes = tool->max_bytes};
    Bytes input = {0};
    char reason[64];
    int status = 0;
    jsonl_append(&input, arguments);
    bytes_append_text(&input, "\n");
    CommandEnd end = command_run(&command, &input, result, &status);
    bytes_free(&input);
    if (end == COMMAND_NOT_STARTED)
        return refuse(result, "cannot be started");
    if (end == COMMAND_LATE) {
        snprintf(reason, sizeof reason, "gave no answer within %g s", tool->timeout);
        return refuse(result, reason);
    }
    if (end == COMMAND_ENDED && WIFSIGNALED(status)) {
        snprintf(reason, sizeof reason, "was ended by signal %d", WTERMSIG(status));
        return refuse(result, reason);
    }
    if (end == COMMAND_ENDED && WEXITSTATUS(status) != 0) {
        snprintf(reason, sizeof reason, "failed with status %d", WEXITSTATUS(status));
        return refuse(result, reason);
    }
    return true;
}
