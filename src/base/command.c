#define _GNU_SOURCE // pipe2, posix_spawn_file_actions_addclosefrom_np
#include "base/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/activity.h"
#include "base/clock.h"

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

static char **make_environment(const char *const *keeps)
{
    size_t count = 0, kept = 0;
    while (keeps[count])
        count++;
    char **environment = allocate(count + 1, sizeof *environment);
    for (size_t i = 0; i < count; i++) {
        const char *value = getenv(keeps[i]);
        Bytes entry = {0};
        if (!value)
            continue;
        bytes_print(&entry, "%s=%s", keeps[i], value);
        environment[kept++] = entry.data;
    }
    return environment;
}

static void free_environment(char **environment)
{
    for (char **entry = environment; *entry; entry++)
        release(*entry);
    release(environment);
}

static int spawn(const Command *command, int input, int output, pid_t *process)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); // which is ignored meanwhile
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
    char **environment = make_environment(command->keeps);
    int error = posix_spawnp(process, command->words[0], &actions, &attributes, command->words,
                             environment);
    free_environment(environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static bool start(const Command *command, Child *child)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    int error = spawn(command, in[0], out[1], &child->process);
    close(in[0]);
    close(out[1]);
    child->input = in[1];
    child->output = out[0];
    fcntl(child->input, F_SETFL, O_NONBLOCK);
    if (error) {
        close_once(&child->input);
        close_once(&child->output);
    }
    return error == 0;
}

// Writes what it takes; its end is closed when all is written, or it takes no more.
static void feed(Child *child, const Bytes *input, size_t *written)
{
    ssize_t count = write(child->input, input->data + *written, input->length - *written);
    if (count > 0)
        *written += (size_t)count;
    bool waits = count < 0 && (errno == EAGAIN || errno == EINTR);
    if (*written == input->length || (count < 0 && !waits))
        close_once(&child->input);
}

// Reads until the program closes its output, the limit is passed, or time is up: false then.
static bool converse(const Command *command, Child *child, const Bytes *input, Bytes *output)
{
    double deadline = clock_now() + command->timeout;
    size_t written = 0, before = output->length;
    char part[4096];
    while (child->output >= 0 && output->length - before <= command->max_bytes) {
        struct pollfd polled[] = {{child->output, POLLIN, 0}, {child->input, POLLOUT, 0}};
        double left = deadline - clock_now();
        activity_sign();
        if (left <= 0)
            return false;
        left = left < 1 ? left : 1;
        if (poll(polled, 2, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return false;
        if (child->input >= 0 && polled[1].revents)
            feed(child, input, &written);
        if (polled[0].revents) {
            ssize_t count = read(child->output, part, sizeof part);
            if (count > 0)
                bytes_append(output, part, (size_t)count);
            else if (count == 0 || errno != EINTR)
                close_once(&child->output);
        }
    }
    return true;
}

// Waits for the program to end as long as it still has time; what is left of its group is killed.
// False: it had not ended.
static bool finish(const Command *command, Child *child, double since, int *status)
{
    pid_t ended = 0;
    for (;;) {
        ended = waitpid(child->process, status, WNOHANG);
        if (ended != 0 || clock_now() - since > command->timeout)
            break;
        activity_sign();
        clock_sleep(1e-3);
    }
    kill(-child->process, SIGKILL);
    bool by_itself = ended != 0;
    while (ended == 0 && waitpid(child->process, status, 0) < 0 && errno == EINTR)
        continue;
    return by_itself;
}

static CommandEnd run(const Command *command, const Bytes *input, Bytes *output, int *status)
{
    Child child = {0};
    double since = clock_now();
    size_t before = output->length;
    if (!start(command, &child))
        return COMMAND_NOT_STARTED;
    bool in_time = converse(command, &child, input, output);
    bool cut = output->length - before > command->max_bytes;
    close_once(&child.input);
    close_once(&child.output);
    if (!in_time || cut)
        kill(-child.process, SIGKILL);
    bool ended = finish(command, &child, since, status);
    if (cut)
        return COMMAND_CUT;
    return in_time && ended ? COMMAND_ENDED : COMMAND_LATE;
}

CommandEnd command_run(const Command *command, const Bytes *input, Bytes *output, int *status)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before); // of a program that reads no input
    CommandEnd end = run(command, input, output, status);
    sigaction(SIGPIPE, &before, NULL);
    return end;
}
