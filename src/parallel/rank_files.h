// rank_files.h - the files that ranks note themselves in, and the verdict on a job that hangs;
// inside `parallel` only.

#ifndef L2A_PARALLEL_RANK_FILES_H
#define L2A_PARALLEL_RANK_FILES_H

#include <stdbool.h>

#include "parallel/rank_record.h"

// Makes the directory, and removes what a former job left there. EXIT_CANNOT_CREATE.
int rank_files_make(const char *directory);

// Memory of a new file DIRECTORY/rank-NNNNNN, which has its room on disk: storing to it cannot
// fail. NULL: EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE. It stays mapped to the end of the process: a
// thread may just be giving a sign of life there.
RankRecord *rank_file_map(const char *directory, int rank);
void rank_file_remove(const char *directory, int rank);

// What another rank has noted. False: it cannot be read.
bool rank_file_read(const char *directory, int rank, RankRecord *record);

// Writes DIRECTORY/verdict, for the first who comes; false for whoever comes later.
bool rank_files_judge(const char *directory, const char *text);

#endif
