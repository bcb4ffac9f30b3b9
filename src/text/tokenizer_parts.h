// tokenizer_parts.h - what a Tokenizer is made of; for the sources of tokenizer.h only.

#ifndef L2A_TEXT_TOKENIZER_PARTS_H
#define L2A_TEXT_TOKENIZER_PARTS_H

#include <jansson.h>

#include "text/added.h"
#include "text/merge.h"
#include "text/split.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

struct Tokenizer {
    uint8_t *classes; // owned, [UNICODE_POINTS]
    bool nfc;
    Splitter splitter;
    Vocabulary vocabulary;
    Merges merges;
    Added raw;      // found in the text as it is
    Added composed; // found in the normalised text ("normalized": true)
    Tokens end_tokens;
};

// Fills a zeroed Tokenizer from the files of `directory`; -1 and a recorded failure when they
// cannot be used (the caller still closes it).
int tokenizer_load(Tokenizer *tokenizer, const char *directory);

// Reads the components around the model from tokenizer.json's `root`: normaliser, pre-tokeniser,
// post-processor, decoder. Refuses what we do not know by its name.
int tokenizer_load_components(Tokenizer *tokenizer, const json_t *root);

// Reads the ids that end a text; `config` is tokenizer_config.json or NULL.
int tokenizer_load_ends(Tokenizer *tokenizer, const char *directory, const json_t *config);

#endif
