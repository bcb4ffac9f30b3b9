// directory.h - directories: made with their parents, flushed, measured, removed.

#ifndef L2A_FILES_DIRECTORY_H
#define L2A_FILES_DIRECTORY_H

#include <stdint.h>

// Makes the directory and its parents; one that is there already is fine. EXIT_CANNOT_CREATE.
int directory_make(const char *path);

// Makes what `directory_make` makes, but only the last component, which must be new.
int directory_make_new(const char *path);

// Flushes a directory's entries to disk: after a rename in it. EXIT_CANNOT_WRITE.
int directory_sync(const char *path);

// The directory part of a path: "." when there is none. To be released.
char *directory_of(const char *path);

// Bytes an ordinary user may still write in the file system of `path`, or -1 with a failure.
int64_t directory_free_bytes(const char *path);

// Removes a directory of files and directories that we made; does not follow links.
int directory_remove_tree(const char *path);

#endif
