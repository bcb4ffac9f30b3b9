#define _GNU_SOURCE // pipe2
#include "benchmarks/peer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"

// Seconds around a turn: threads that have just ended their work spin for a while before they
// sleep, and would take the other's cores.
static const double PAUSE = 0.02;

extern char **environ;

char **peer_process_words(int *argc, char **argv)
{
    for (int i = 1; i + 1 < *argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        *argc = i;
        argv[i] = NULL;
        return argv + i + 1;
    }
    return NULL;
}

static void read_line(PeerProcess *peer, char *line, size_t size)
{
    if (!fgets(line, (int)size, peer->tells))
        die(EXIT_UNAVAILABLE, "the peer %s ended early; what it said is above", peer->name);
    line[strcspn(line, "\n")] = 0;
}

void peer_process_start(PeerProcess *peer, char *const *words)
{
    int in[2], out[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    signal(SIGPIPE, SIG_IGN); // of a peer that has ended: it is told as such
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    int error = posix_spawnp(&peer->process, words[0], &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        die(EXIT_UNAVAILABLE, "%s: cannot be started: %s", words[0], strerror(error));
    close(in[0]);
    close(out[1]);
    peer->asks = fdopen(in[1], "w");
    peer->tells = fdopen(out[0], "r");
    CHECK(peer->asks && peer->tells, "no stream: %s", strerror(errno));
    snprintf(peer->name, sizeof peer->name, "%s", words[0]);
    read_line(peer, peer->name, sizeof peer->name);
}

void peer_process_stop(PeerProcess *peer)
{
    if (!peer->process)
        return;
    fclose(peer->asks);
    fclose(peer->tells);
    waitpid(peer->process, NULL, 0);
}

bool peer_process_turn(PeerProcess *peer, const char *task, double amount, Series *series)
{
    char line[256];
    double seconds;
    clock_sleep(PAUSE);
    fprintf(peer->asks, "%s\n", task);
    fflush(peer->asks);
    read_line(peer, line, sizeof line);
    clock_sleep(PAUSE);
    if (strcmp(line, "none") == 0)
        return false;
    if (sscanf(line, "%lf", &seconds) != 1 || !(seconds > 0))
        die(EXIT_BAD_DATA, "%s: asked for '%s' it said '%s'", peer->name, task, line);
    series_add(series, seconds, amount);
    return true;
}
