// readme_chapters.h - the parts of README that are printed, not written.

#ifndef L2A_TESTS_README_CHAPTERS_H
#define L2A_TESTS_README_CHAPTERS_H

#include "base/memory.h"

// What Qwen2.5's models take on 1 to 64 GPUs, and with which settings they fit.
void readme_print_fits(Bytes *out);

#endif
