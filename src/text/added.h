// added.h - tokens that are cut out of a text before anything else looks at it.

#ifndef L2A_TEXT_ADDED_H
#define L2A_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *content; // owned
    size_t length;
    int32_t id;
    bool control; // never recognised in plain text
} AddedToken;

typedef struct {
    AddedToken *items; // owned, [count]; sorted by first byte, the longer first
    size_t count, capacity;
    uint32_t first[257]; // items that begin with byte b are [first[b], first[b + 1])
} Added;

typedef struct {
    size_t start, end;
    int32_t id;
} AddedMatch;

// Copies `content`.
void added_add(Added *added, const char *content, size_t length, int32_t id, bool control);

// Call once, after the last added_add.
void added_sort(Added *added);
void added_free(Added *added);

// The next token in `text` [length] from `from` on, the longest where several begin; false if there
// is none. Unless `controls`, the text of a control token is passed over as a whole.
bool added_next(const Added *added, const char *text, size_t length, size_t from, bool controls,
                AddedMatch *match);

#endif
