// normalise.h - canonical composition (NFC) of valid UTF-8, touching only what can change.

#ifndef L2A_TEXT_NORMALISE_H
#define L2A_TEXT_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

// A stretch of text that was replaced: source [source_start, source_end) became
// target [target_start, target_end).
typedef struct {
    size_t source_start, source_end, target_start, target_end;
} Edit;

typedef struct {
    Edit *items; // owned, [count], ascending
    size_t count, capacity;
} Edits;

// Puts the composed text into `out` (cleared first) and the places that differ into `edits`
// (cleared first; may be NULL). False, and nothing written, when the text is composed already: the
// common case, which costs one scan. `classes` as unicode_classes_make gives them.
bool normalise_nfc(const uint8_t *classes, const char *text, size_t length, Bytes *out,
                   Edits *edits);

// The offset in the source of an offset in the target; inside an edit, the edit's end.
size_t normalise_source(const Edits *edits, size_t target);

#endif
