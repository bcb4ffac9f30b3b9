// show_choice.h - which of many responses are shown, and in which order.

#ifndef L2A_TOOLS_SHOW_CHOICE_H
#define L2A_TOOLS_SHOW_CHOICE_H

#include "tools/show_samples.h"

typedef struct {
    const char *decision; // "wrong", "right"; NULL: any
    const char *truth;    // "continue", "stop"; NULL: any
    const char *cid;      // NULL: any
    int64_t most;         // this many at most
    bool best;            // those that earned most first, else those that earned least
    bool ordered;         // by what they earned; else as they stand in the file
} ShowChoice;

// Indices into samples->list, to be released; their number in *count. What has no grade comes
// behind all that has one; equal rewards stay in the order of the file.
int64_t *show_choice_make(const ShowSamples *samples, const ShowChoice *choice, int64_t *count);

#endif
