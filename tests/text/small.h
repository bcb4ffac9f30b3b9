// small.h - the small tokenizer of tests/text/data, in directories of its own, for tests of text.

#ifndef L2A_TESTS_TEXT_SMALL_H
#define L2A_TESTS_TEXT_SMALL_H

#include <jansson.h>

#include "text/tokenizer.h"

// A JSON file of tests/text/data (a new reference).
json_t *small_read(const char *name);

// tokenizer.json as `variant` of golden.json says (a new reference).
json_t *small_variant(const json_t *variant);

// A new empty directory; its name is to be released.
char *small_directory(void);

// Writes a file of `directory`; `text` or, when that is NULL, `json`.
void small_write(const char *directory, const char *name, const char *text, const json_t *json);

// Removes a directory made by small_directory, with the files in it.
void small_remove(char *directory);

// Opens tokenizer.json `root` from a directory of its own, which is removed again; NULL as
// tokenizer_open.
Tokenizer *small_open(const json_t *root);

#endif
