// seen.h - the distinct tokens a branch has in its context and response, for the repetition
// penalty.

#ifndef L2A_ENGINE_SEEN_H
#define L2A_ENGINE_SEEN_H

#include <stdint.h>

#include "model/tree.h"

typedef struct {
    uint64_t *present; // owned, a bit a token
    int32_t *list;     // owned, in order of first appearance
    int64_t count;
    size_t capacity;
} Seen;

void seen_make(Seen *seen, int64_t vocabulary);
void seen_add(Seen *seen, int32_t token);
void seen_add_context(Seen *seen, const Tree *tree, const Branch *branch);
void seen_free(Seen *seen);

#endif
