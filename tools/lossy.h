// lossy.h - any bytes as valid UTF-8, for JSON output.

#ifndef L2A_TOOLS_LOSSY_H
#define L2A_TOOLS_LOSSY_H

#include <stddef.h>

#include "base/memory.h"

// Appends `bytes` [length] with U+FFFD in place of each maximal beginning of a cut or impossible
// sequence (the Unicode standard's recommended practice, section 3.9).
void lossy_append(Bytes *out, const char *bytes, size_t length);

#endif
