// toolbox_command.c - a tool that is a program: started without a shell, in a process group of its
// own, with nothing of ours open but the two pipes.

#define _GNU_SOURCE // pipe2, posix_spawn_file_actions_addclosefrom_np
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ask/toolbox_kinds.h"
#include "base/clock.h"
#include "base/fail.h"
#include "input/jsonl.h"

typedef struct {
    pid_t process;
    int input, output; // our ends of its standard input and output; -1 once closed
} Child;

static void close_once(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

// PATH, HOME and LANG go on to the tool, nothing else does: no key of ours.
static char **make_environment(void)
{
    static const char *const names[] = {"PATH", "HOME", "LANG"};
    char **environment = allocate(sizeof names / sizeof *names + 1, sizeof *environment);
    size_t count = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        Bytes entry = {0};
        if (!value)
            continue;
        bytes_print(&entry, "%s=%s", names[i], value);
        environment[count++] = entry.data;
    }
    return environment;
}

static void free_environment(char **environment)
{
    for (char **entry = environment; *entry; entry++)
        release(*entry);
    release(environment);
}

static int spawn(const Tool *tool, int input, int output, pid_t *process)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGUSR1);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    char **environment = make_environment();
    int error =
        posix_spawnp(process, tool->command[0], &actions, &attributes, tool->command, environment);
    free_environment(environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static int start(const Tool *tool, Child *child)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        int error = errno;
        close(in[0]);
        close(in[1]);
        return error;
    }
    int error = spawn(tool, in[0], out[1], &child->process);
    close(in[0]);
    close(out[1]);
    child->input = in[1];
    child->output = out[0];
    fcntl(child->input, F_SETFL, O_NONBLOCK);
    if (error) {
        close_once(&child->input);
        close_once(&child->output);
    }
    return error;
}

// Writes what it takes; its end is closed when all is written, or it takes no more.
static void feed(Child *child, const Bytes *arguments, size_t *written)
{
    ssize_t count = write(child->input, arguments->data + *written, arguments->length - *written);
    if (count > 0)
        *written += (size_t)count;
    bool waits = count < 0 && (errno == EAGAIN || errno == EINTR);
    if (*written == arguments->length || (count < 0 && !waits))
        close_once(&child->input);
}

// Reads until the tool closes its output, the limit is passed, or time is up: false then.
static bool converse(const Tool *tool, Child *child, const Bytes *arguments, Bytes *result)
{
    double deadline = clock_now() + tool->timeout;
    size_t written = 0;
    char part[4096];
    while (child->output >= 0 && result->length <= tool->max_bytes) {
        struct pollfd polled[] = {{child->output, POLLIN, 0}, {child->input, POLLOUT, 0}};
        double left = deadline - clock_now();
        if (left <= 0)
            return false;
        if (poll(polled, 2, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return false;
        if (child->input >= 0 && polled[1].revents)
            feed(child, arguments, &written);
        if (polled[0].revents) {
            ssize_t count = read(child->output, part, sizeof part);
            if (count > 0)
                bytes_append(result, part, (size_t)count);
            else if (count == 0 || errno != EINTR)
                close_once(&child->output);
        }
    }
    return true;
}

// Waits for the tool to end as long as it still has time; what is left of its group is killed. -1:
// it had not ended.
static int finish(const Tool *tool, Child *child, double since)
{
    int status = 0;
    pid_t ended = 0;
    for (;;) {
        ended = waitpid(child->process, &status, WNOHANG);
        if (ended != 0 || clock_now() - since > tool->timeout)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    kill(-child->process, SIGKILL);
    while (ended == 0 && waitpid(child->process, &status, 0) < 0 && errno == EINTR)
        continue;
    return ended == 0 ? -1 : status;
}

static bool refuse(Bytes *result, const char *what)
{
    bytes_clear(result);
    bytes_print(result, "error: the tool %s", what);
    return false;
}

bool tool_run_command(const Tool *tool, const json_t *arguments, Bytes *result)
{
    Child child = {0};
    Bytes input = {0};
    char reason[64];
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    double since = clock_now();
    jsonl_append(&input, arguments);
    bytes_append_text(&input, "\n");
    sigaction(SIGPIPE, &ignore, &before);
    int error = start(tool, &child);
    bool in_time = error == 0 && converse(tool, &child, &input, result);
    bool cut = result->length > tool->max_bytes;
    close_once(&child.input);
    close_once(&child.output);
    if (error == 0 && (!in_time || cut))
        kill(-child.process, SIGKILL);
    int status = error == 0 ? finish(tool, &child, since) : 0;
    sigaction(SIGPIPE, &before, NULL);
    bytes_free(&input);
    if (error != 0)
        return refuse(result, "cannot be started");
    if (!in_time || (!cut && status == -1)) {
        snprintf(reason, sizeof reason, "gave no answer within %g s", tool->timeout);
        return refuse(result, reason);
    }
    if (!cut && WIFSIGNALED(status)) {
        snprintf(reason, sizeof reason, "was ended by signal %d", WTERMSIG(status));
        return refuse(result, reason);
    }
    if (!cut && WEXITSTATUS(status) != 0) {
        snprintf(reason, sizeof reason, "failed with status %d", WEXITSTATUS(status));
        return refuse(result, reason);
    }
    return true;
}
