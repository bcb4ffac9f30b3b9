#define _GNU_SOURCE // pipe2
#include "tests/ask/server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/testing.h"

extern char **environ;

static int read_port(int output)
{
    FILE *file = fdopen(output, "r");
    int port = 0;
    if (!file || fscanf(file, "port %d", &port) != 1)
        port = 0;
    if (file)
        fclose(file);
    return port;
}

int server_start(Server *server)
{
    int in[2], out[2];
    char *const command[] = {"python3", SERVER_SCRIPT, NULL};
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    int error = posix_spawnp(&server->process, "python3", &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    server->input = in[1];
    server->port = error ? 0 : read_port(out[0]);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d/v1", server->port);
    return server->port > 0;
}

void server_stop(Server *server)
{
    close(server->input);
    kill(server->process, SIGKILL);
    waitpid(server->process, NULL, 0);
}

json_t *server_stats(const Server *server)
{
    char command[128];
    snprintf(command, sizeof command,
             "python3 -c \"import urllib.request as u; "
             "print(u.urlopen('http://127.0.0.1:%d/stats').read()"
             ".decode())\"",
             server->port);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    json_t *stats = json_loadf(pipe, 0, NULL);
    pclose(pipe);
    assert_non_null(stats);
    return stats;
}
