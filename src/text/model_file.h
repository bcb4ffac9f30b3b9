// model_file.h - the JSON files of a model's directory, read with messages that name file and key.

#ifndef L2A_TEXT_MODEL_FILE_H
#define L2A_TEXT_MODEL_FILE_H

#include <stdbool.h>

#include <jansson.h>

#include "base/memory.h"

enum { MODEL_FILE_LIMIT = 100000000 }; // bytes

// Reads `directory`/`name`, a JSON object, as json_file_read does. A missing file gives NULL in
// `*object`, and is a failure (EXIT_NO_INPUT) only if `required`.
int model_file_read(const char *directory, const char *name, bool required, json_t **object);

// The whole of the regular file `directory`/`name` appended to `out`; 1 if it is there, 0 if not,
// -1 on failure.
int model_file_read_text(const char *directory, const char *name, Bytes *out);

// The value of "type" in `component`; "" when it is no object or has none.
const char *model_file_type(const json_t *component);

#endif
