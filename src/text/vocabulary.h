// vocabulary.h - the bytes of every token, and the token of some bytes.
//
// Byte-level vocabularies write each byte as one printable character (GPT-2's table); here tokens
// are held as the bytes they stand for. A token with any other character stands for its own UTF-8.

#ifndef L2A_TEXT_VOCABULARY_H
#define L2A_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

enum {
    VOCABULARY_LARGEST = 1 << 24, // ids are below this
    VOCABULARY_KEPT = 1,          // flag: merging the token's bytes gives the token itself
    VOCABULARY_SPECIAL = 2,       // flag: marked special
};

typedef struct {
    uint32_t start;  // offset in the vocabulary's text
    uint32_t length; // bytes; 0 for an unused id
    uint32_t flags;
} VocabularyToken;

typedef struct {
    int32_t id; // -1: free
    uint32_t hash;
} VocabularySlot;

typedef struct {
    int64_t size;            // largest id + 1
    VocabularyToken *tokens; // owned, [size]
    Bytes text;              // all tokens' bytes
    VocabularySlot *slots;   // owned, [mask + 1]
    size_t mask;
    int32_t byte[256]; // the token of each byte; -1 if there is none
} Vocabulary;

// Room for `count` tokens of ids below `size`.
void vocabulary_make(Vocabulary *vocabulary, int64_t size, size_t count);
void vocabulary_free(Vocabulary *vocabulary);

// The bytes that a token's text in tokenizer.json stands for, appended to `out`; false when it
// holds a character that stands for no byte (then the text itself is appended).
bool vocabulary_unwrap(const char *text, size_t length, Bytes *out);

// Gives `id` its bytes. `mergeable`: it can be found by them. False when the id is taken.
bool vocabulary_add(Vocabulary *vocabulary, int32_t id, const char *bytes, size_t length,
                    bool mergeable);

// The mergeable token with these bytes; -1 if there is none.
int32_t vocabulary_find(const Vocabulary *vocabulary, const char *bytes, size_t length);

#endif
