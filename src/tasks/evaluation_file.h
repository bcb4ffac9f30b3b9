// evaluation_file.h - the result of an evaluation as a small JSON file, kept with the run.

#ifndef L2A_TASKS_EVALUATION_FILE_H
#define L2A_TASKS_EVALUATION_FILE_H

#include "tasks/evaluation.h"

// Replaced whole by rename.
int evaluation_file_write(const char *path, const EvaluationResult *result);

// EXIT_NO_INPUT where there is none, EXIT_BAD_DATA where a number is missing or of another kind.
int evaluation_file_read(const char *path, EvaluationResult *result);

#endif
