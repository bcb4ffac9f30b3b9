// merge.h - byte-pair encoding of one piece.
//
// The pair of neighbours with the lowest rank is joined first, the leftmost among equals, until no
// pair is in the table (Sennrich et al. 2016, over bytes as in GPT-2).

#ifndef L2A_TEXT_MERGE_H
#define L2A_TEXT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/tokens.h"
#include "text/vocabulary.h"

typedef struct {
    int32_t left, right; // left -1: free
    uint32_t rank;       // position in the list of merges
    int32_t result;
} MergeSlot;

typedef struct {
    MergeSlot *slots; // owned, [mask + 1]
    size_t mask;
    bool whole_first; // "ignore_merges": a piece that is a token is that token, whatever the merges
} Merges;

// Room for `count` pairs.
void merge_make(Merges *merges, size_t count);
void merge_free(Merges *merges);

// A later rank for the same pair replaces the earlier.
void merge_add(Merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t result);

// Marks the tokens that merging their own bytes gives (VOCABULARY_KEPT); call once all are there.
void merge_mark_kept(const Merges *merges, Vocabulary *vocabulary);

// Appends the ids of a piece [length > 0]. Bytes without a token are dropped.
void merge_piece(const Merges *merges, const Vocabulary *vocabulary, const char *bytes,
                 size_t length, Tokens *out);

#endif
