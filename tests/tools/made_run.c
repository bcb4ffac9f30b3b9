#include "tests/tools/made_run.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "files/directory.h"
#include "files/run_holder.h"
#include "tests/files/scratch.h"

void made_run_begin(const char *run, const char *settings)
{
    CHECK(directory_make(scratch_path(run)) == 0, "%s", fail_message());
    made_run_file(run, "run.ini", settings);
}

void made_run_file(const char *run, const char *file, const char *text)
{
    Bytes name = {0};
    bytes_print(&name, "%s/%s", run, file);
    scratch_write_text(name.data, text);
    bytes_free(&name);
}

void made_run_step(Bytes *journal, int64_t step, int stage, const char *more)
{
    bytes_print(journal, "{\"step\":%lld,\"stage\":%d,\"perf/time_per_step\":2%s}\n",
                (long long)step, stage, more);
}

void made_run_lock(const char *run, const char *host, long pid)
{
    RunHolder holder = {.job = "7@farm", .pid = pid};
    Bytes line = {0};
    if (host)
        snprintf(holder.host, sizeof holder.host, "%s", host);
    else
        CHECK(gethostname(holder.host, sizeof holder.host - 1) == 0, "no host name");
    run_holder_print(&holder, &line);
    made_run_file(run, "lock", line.data);
    bytes_free(&line);
}

long made_run_no_process(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == child, "no child");
    return (long)child;
}
