// tokenizer.h - bytes to token ids and back, as a Hugging Face directory's tokenizer.json says.
//
// Byte-level BPE with the components that Qwen2, Qwen2.5, Qwen3, SmolLM2, Llama 3 and GPT-2 use;
// any other component is refused by its name. Ids equal those of Hugging Face `tokenizers` on any
// UTF-8 input. A byte that is not part of valid UTF-8 is encoded by its own byte token (and never
// merges with a letter), so that decoding gives back every byte; where a vocabulary has no token
// for a byte (SmolLM2 lacks some that its training text never held), the byte is dropped, as
// Hugging Face does. Nothing is ever added in front or behind (no begin-of-text token): chat.h does
// that. A Tokenizer does not change after it was opened: any number of threads may use it at once.
// Limits: files of 100,000,000 bytes, ids below 2^24, JSON nested 2,048 deep.

#ifndef L2A_TEXT_TOKENIZER_H
#define L2A_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "text/tokens.h"

typedef struct Tokenizer Tokenizer;

// Reads tokenizer.json and, where they are there, tokenizer_config.json, generation_config.json and
// config.json (for the end tokens). NULL and a recorded failure (EXIT_NO_INPUT, EXIT_BAD_DATA) when
// they cannot be used.
Tokenizer *tokenizer_open(const char *directory);
void tokenizer_close(Tokenizer *tokenizer);

// Appends the ids of plain text: the text of a control token (`<|im_start|>`: any token that is
// marked special, and any added token written `<|...|>`) is encoded as ordinary characters. Other
// added tokens (`<think>`, `<tool_call>`) are text that has a token of its own, and are recognised.
void tokenizer_encode(const Tokenizer *tokenizer, const char *bytes, size_t length, Tokens *out);

// The same, and appends to `ends` the offset in `bytes` behind each appended token's last byte.
void tokenizer_encode_spans(const Tokenizer *tokenizer, const char *bytes, size_t length,
                            Tokens *out, Tokens *ends);

// Appends the ids of text in which every added token is recognised, as Hugging Face's
// encode(add_special_tokens=False) does. Never for text of outside origin.
void tokenizer_encode_special(const Tokenizer *tokenizer, const char *bytes, size_t length,
                              Tokens *out);

// Appends the bytes of `ids` [count]; ids outside [0, size) and unused ids give nothing. The bytes
// of one token need not be valid UTF-8; those of a whole text are what was encoded (after NFC,
// where the tokenizer normalises). `skip_special` leaves out tokens that are marked special.
void tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, int64_t count,
                      bool skip_special, Bytes *out);

// Largest id + 1. A model's vocabulary may be larger (padded), never smaller.
int64_t tokenizer_size(const Tokenizer *tokenizer);

// The id of a token by its text (as decoded: `<|im_end|>`, ` the`); -1 if there is none.
int32_t tokenizer_find(const Tokenizer *tokenizer, const char *text);

// Marked special in tokenizer.json.
bool tokenizer_is_special(const Tokenizer *tokenizer, int32_t id);

// Ids that end a text: eos_token_id of generation_config.json, else of config.json, else eos_token
// of tokenizer_config.json; may be empty. Generation uses chat_end_tokens, which adds the chat's
// own.
const Tokens *tokenizer_end_tokens(const Tokenizer *tokenizer); // borrowed

#endif
