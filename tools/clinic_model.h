// clinic_model.h - the directory of a small Llama without weights: shape, tokenizer, chat template.

#ifndef L2A_TOOLS_CLINIC_MODEL_H
#define L2A_TOOLS_CLINIC_MODEL_H

#include "tools/clinic_bpe.h"

// The special tokens, in the order of their ids.
enum { CLINIC_END_OF_TEXT, CLINIC_IM_START, CLINIC_IM_END, CLINIC_SPECIALS };
extern const char *const clinic_specials[CLINIC_SPECIALS];

// Writes config.json, generation_config.json, tokenizer.json and tokenizer_config.json into
// `directory`, which it makes.
int clinic_model_write(const char *directory, const Bpe *bpe);

#endif
