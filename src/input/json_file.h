// json_file.h - a JSON file of outside origin: an object or a list, read whole and strictly.

#ifndef L2A_INPUT_JSON_FILE_H
#define L2A_INPUT_JSON_FILE_H

#include <stddef.h>

#include <jansson.h>

// Reads the file into `*root` (a new reference; NULL on failure). No key may occur twice in an
// object, no text hold NUL or invalid UTF-8, nothing be nested deeper than 2048, no number be
// beyond its type, nothing follow. EXIT_NO_INPUT where there is no such file, EXIT_BAD_DATA where
// it is larger than `limit` bytes or anything else, with file and line.
int json_file_read(const char *path, size_t limit, json_t **root);

#endif
