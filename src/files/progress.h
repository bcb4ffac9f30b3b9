// progress.h - whether a run that is started again and again gets anywhere: RUN/progress.
//
// "step=120 of=1632 starts=2": the last two starts have both begun at step 120, so the first of
// them, whatever became of it, left nothing behind. Written when a start begins, for one that is
// killed writes nothing at its end.

#ifndef L2A_FILES_PROGRESS_H
#define L2A_FILES_PROGRESS_H

#include <stdint.h>

typedef struct {
    int64_t step;   // that the last start went on from
    int64_t total;  // steps of the whole run, as its settings then were
    int64_t starts; // in a row that began there
} Progress;

// Records a start that goes on from `step` of `total`. How many in a row have now begun there, or
// -1 (EXIT_CANNOT_CREATE, EXIT_CANNOT_WRITE). A file that is damaged counts as none.
int64_t progress_begin(const char *directory, int64_t step, int64_t total);

// All zero where there is no such file, or a damaged one.
Progress progress_read(const char *directory);

#endif
