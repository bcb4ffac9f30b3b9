// version.h - which program this is; set by the build.

#ifndef L2A_BASE_VERSION_H
#define L2A_BASE_VERSION_H

#include "base/memory.h"

extern const char *const version_text;    // "0.1.0"
extern const char *const version_summary; // what it is for, in a few words
extern const char *const version_git;     // commit, or "unknown"
extern const char *const version_compiler;
extern const char *const version_flags; // "Release: -O3 ...", but for warnings

// A line of --version --verbose, and of a log's head.
void version_print_line(const char *name, const char *text, Bytes *out);

// The line of a library: the version that runs (NULL: there is none), and the one that the program
// was compiled with where that is another.
void version_print_library(const char *name, const char *compiled, const char *running, Bytes *out);

#endif
