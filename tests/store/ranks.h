// ranks.h - what the tests of `store` share: the group of all ranks, a directory, expectations.

#ifndef L2A_TESTS_STORE_RANKS_H
#define L2A_TESTS_STORE_RANKS_H

#include <stdint.h>

#include "base/fail.h"
#include "parallel/group.h"

extern Group world;

// Starts MPI and makes a directory that all ranks know; removes it and stops MPI.
void ranks_start(int *argc, char ***argv);
void ranks_stop(void);

// "DIRECTORY/name" in one of four buffers that take turns.
const char *path_of(const char *name);

// Asserts a recorded failure of this code whose message holds `part`; that there was none.
void expect_failure(ExitCode code, const char *part);
void expect_done(int status);

// Writes a checkpoint of that version of the model. Collective over group.
void write_model(const Group *group, const char *path, uint32_t version);

// Flips a bit of a file. Collective over world.
void damage(const char *path, int64_t offset);

#endif
