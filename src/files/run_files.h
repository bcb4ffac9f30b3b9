// run_files.h - the names of a run's files: step-NNNNNN.h5, LATEST, BEST, and its journals.
//
// LATEST and BEST hold the file name of a checkpoint and a newline, and are replaced by rename.

#ifndef L2A_FILES_RUN_FILES_H
#define L2A_FILES_RUN_FILES_H

#include <stdbool.h>
#include <stdint.h>

// "DIRECTORY/step-000120.h5". To be released.
char *run_files_path(const char *directory, int64_t step);

// Steps of the checkpoints there, newest first, in `*steps` (to be released). Returns their number,
// or -1: EXIT_NO_INPUT.
int64_t run_files_list(const char *directory, int64_t **steps);

// The step that `name` ("LATEST", "BEST") points to, or -1 when there is no such file or it is not
// ours (no failure is recorded).
int64_t run_files_pointer(const char *directory, const char *name);

// Points `name` to a step. EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE.
int run_files_point(const char *directory, const char *name, int64_t step);

// Flushes the run's journals, those that are there, to disk. EXIT_CANNOT_WRITE.
int run_files_flush(const char *directory);

// Makes metrics.h5 from the journal, where there is one. Fails as metrics_file_rebuild does.
int run_files_make_series(const char *directory);

// Removes temporaries (files/atomic.h) of checkpoints, pointers, metrics.h5 and progress that a
// killed job left. Only for the holder of the run's lock. EXIT_NO_INPUT.
int run_files_clean(const char *directory);

// The checkpoint that `path` means: itself when it is a file; in a directory BEST if `best`, else
// LATEST, else the newest. NULL with EXIT_NO_INPUT. To be released.
char *run_files_resolve(const char *path, bool best);

#endif
