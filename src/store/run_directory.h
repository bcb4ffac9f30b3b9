// run_directory.h - the directory of a run: its lock, its checkpoints, which of them are kept.

#ifndef L2A_STORE_RUN_DIRECTORY_H
#define L2A_STORE_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "parallel/group.h"
#include "store/checkpoint.h"

typedef struct RunDirectory RunDirectory;

// Which checkpoints survive: the newest `keep_last` (0 keeps all), every one whose step is a
// multiple of `keep_every` (0: none), and, if `keep_best`, the one that BEST points to.
typedef struct {
    int64_t keep_last, keep_every;
    bool keep_best;
} KeepPolicy;

// Makes the directory and locks it for this job; a second job is refused with EXIT_CANNOT_CREATE
// and the holder's host, process and job. NULL on every rank on failure. Collective over group.
RunDirectory *run_directory_open(const Group *group, const char *path);
void run_directory_close(RunDirectory *run); // gives the lock back, saves nothing; NULL is fine

// "PATH/step-000120.h5". To be released.
char *run_directory_checkpoint_path(const RunDirectory *run, int64_t step);

// Takes what is wanted out of an open checkpoint: 0 or what fail returns. Collective.
typedef int CheckpointTake(void *context, Checkpoint *checkpoint);

// Lets `take` read the newest checkpoint, and verifies what it has left unread; one that is damaged
// or cannot be read is named in a warning by rank 0, and the one before it is taken. 0 with its
// step, or -1 there when the run has none; -1 when `take` refuses a checkpoint that is not damaged,
// or there are some but none is good. Collective.
int run_directory_resume(RunDirectory *run, CheckpointTake *take, void *context, int64_t *step);

// A checkpoint to be kept in the run.
typedef struct {
    int64_t step;
    bool is_best;
    KeepPolicy policy;
    CheckpointContent content; // as checkpoint_save_begin takes it
} RunSave;

// Begins to write a checkpoint beside the run, as checkpoint_save_begin does. Once it is there,
// read back and found right, LATEST (and BEST, if `is_best`) points to it, and only then older ones
// that the policy does not keep are removed; this one never is, and one of a later step is left
// alone. Then metrics.h5 is made anew. One save at a time. Collective.
int run_directory_save(RunDirectory *run, const RunSave *save);

// Whether a save was begun and not ended.
bool run_directory_saves(const RunDirectory *run);

// As checkpoint_save_progress and checkpoint_save_end, of the save that was begun. Collective.
bool run_directory_save_progress(RunDirectory *run);
int run_directory_save_end(RunDirectory *run, double *seconds);

#endif
