// scratch.h - a directory of its own for each test program, and small files in it.

#ifndef L2A_TESTS_FILES_SCRATCH_H
#define L2A_TESTS_FILES_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

// Makes the directory (under TMPDIR or /tmp); removes it with all it holds. cmocka group fixtures.
int scratch_make(void **state);
int scratch_remove(void **state);

// "DIRECTORY/name" in one of eight buffers that take turns.
const char *scratch_path(const char *name);

void scratch_write(const char *name, const void *data, size_t bytes);
void scratch_write_text(const char *name, const char *text);

// Bytes of a whole file; to be released.
char *scratch_read(const char *name, size_t *bytes);

// Number of entries in a directory under the scratch directory ("" for itself).
int scratch_entries(const char *name);

// Asserts that the last failure has this code and that its message holds `part`.
void assert_failed(ExitCode code, const char *part);

#endif
