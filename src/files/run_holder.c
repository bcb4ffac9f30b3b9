#include "files/run_holder.h"

#include <stdio.h>
#include <unistd.h>

#include "base/regular.h"

void run_holder_print(const RunHolder *holder, Bytes *line)
{
    bytes_print(line, "host=%s pid=%ld job=%s\n", holder->host, holder->pid, holder->job);
}

bool run_holder_parse(const char *text, RunHolder *holder)
{
    *holder = (RunHolder){0};
    return sscanf(text, "host=%127s pid=%18ld job=%95s", holder->host, &holder->pid, holder->job) ==
           3;
}

bool run_holder_read(const char *directory, RunHolder *holder)
{
    Bytes path = {0}, text = {0};
    bytes_print(&path, "%s/lock", directory);
    bool named = access(path.data, F_OK) == 0 &&
                 regular_read(path.data, RUN_HOLDER_BYTES, &text) == 0 && text.length > 0 &&
                 run_holder_parse(text.data, holder);
    bytes_free(&path);
    bytes_free(&text);
    return named;
}
