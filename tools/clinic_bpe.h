// clinic_bpe.h - train a byte-level BPE vocabulary on a text, and write it as tokenizer.json.
//
// Words are GPT-2's, which for the clinic's ASCII text without apostrophes are runs of letters, of
// digits or of other signs, each with a blank before it, and runs of white space. The commonest
// neighbours merge first; ties go to the lower pair of ids, so the vocabulary depends on the text
// alone.

#ifndef L2A_TOOLS_CLINIC_BPE_H
#define L2A_TOOLS_CLINIC_BPE_H

#include <stdint.h>

#include "base/memory.h"

typedef struct Bpe Bpe;

// `specials` [special_count] become the first ids (borrowed), the 256 bytes follow, then the
// merges.
Bpe *bpe_make(const char *const *specials, int special_count);
void bpe_free(Bpe *bpe);

// Counts the words of `text`, `times` over.
void bpe_count(Bpe *bpe, const char *text, int64_t times);

// Merges until there are `size` ids or no pair occurs twice.
void bpe_train(Bpe *bpe, int size);
int bpe_size(const Bpe *bpe);

// Appends tokenizer.json.
void bpe_append_json(const Bpe *bpe, Bytes *text);

// Appends the counted words, commonest first, one "count<TAB>word" a line.
void bpe_append_words(const Bpe *bpe, Bytes *text);

#endif
