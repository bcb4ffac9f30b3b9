// version.h - which program this is; set by the build.

#ifndef L2A_BASE_VERSION_H
#define L2A_BASE_VERSION_H

extern const char *const version_text; // "0.1.0"
extern const char *const version_git;  // commit, or "unknown"
extern const char *const version_compiler;

#endif
