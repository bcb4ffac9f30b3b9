// peer_process.h - a peer in a process of its own that takes turns with us.
//
// It writes a line with its name and version when it is ready; then it reads a line, what to do,
// does it, and answers with the seconds that it took, or "none" of what it does not do, until its
// input ends. What it writes to standard error is shown.

#ifndef L2A_BENCHMARKS_PEER_PROCESS_H
#define L2A_BENCHMARKS_PEER_PROCESS_H

#include <stdio.h>
#include <sys/types.h>

#include "benchmarks/figures.h"

typedef struct {
    pid_t process;
    FILE *tells, *asks; // its output and input: owned
    char name[128];
} PeerProcess;

// Cuts "-- PEER..." off the arguments: the command's words, NULL where there are none.
char **peer_process_words(int *argc, char **argv);

// Starts `words` (NULL-terminated, the first one sought in PATH) and waits until it is ready. Dies
// where it does not get there.
void peer_process_start(PeerProcess *peer, char *const *words);
void peer_process_stop(PeerProcess *peer); // also one that was never started

// One turn of `task`, kept in `series` with our amount of it. False where the peer does no such
// thing. Dies where it ends.
bool peer_process_turn(PeerProcess *peer, const char *task, double amount, Series *series);

#endif
