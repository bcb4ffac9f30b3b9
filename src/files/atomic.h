// atomic.h - files that are there whole or not at all.
//
// A file is written under a temporary name in its own directory ("NAME.tmp-PID-N"), flushed,
// renamed, and the directory flushed. After any error, and after a kill, the old file is what it
// was; after an error the temporary is removed as well.

#ifndef L2A_FILES_ATOMIC_H
#define L2A_FILES_ATOMIC_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *path;      // owned; the final name
    char *temporary; // owned
    int descriptor;
    int64_t offset; // where atomic_append goes on
} AtomicFile;

// Creates the temporary. NULL with EXIT_CANNOT_CREATE.
AtomicFile *atomic_open(const char *path);

// Appends bytes. EXIT_CANNOT_WRITE.
int atomic_append(AtomicFile *file, const void *data, size_t bytes);

// Flushes, renames, flushes the directory; frees `file` in every case.
int atomic_commit(AtomicFile *file);

// Removes the temporary and frees `file`; NULL is fine. Keeps the recorded failure.
void atomic_abandon(AtomicFile *file);

// A whole small file in one call.
int atomic_write_file(const char *path, const void *data, size_t bytes);

// Renames a finished, flushed temporary (a file or a directory) and flushes the directory.
int atomic_rename(const char *temporary, const char *path);

// A name beside `path` that this process did not use before. To be released.
char *atomic_temporary_name(const char *path);

#endif
