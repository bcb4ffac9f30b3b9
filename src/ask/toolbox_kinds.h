// toolbox_kinds.h - what the three kinds of tools have in common; private to the toolbox.

#ifndef L2A_ASK_TOOLBOX_KINDS_H
#define L2A_ASK_TOOLBOX_KINDS_H

#include "ask/toolbox.h"
#include "dialogue/stem_weights.h"

// One entry of a look-up file.
typedef struct {
    char *text; // owned: title and text
    StemSet stems;
} Entry;

typedef struct {
    Entry *entries; // owned
    int64_t count;
    size_t capacity;
    StemWeights weights;
} Knowledge;

typedef struct Tool {
    const char *name;     // borrowed from the declarations
    char **command;       // owned, NULL-terminated; else NULL
    char *url;            // owned; else NULL
    const char *key;      // borrowed from the environment; NULL: none
    Knowledge *knowledge; // owned; else NULL
    int64_t results;      // of a look-up
    double timeout;       // seconds
    size_t max_bytes;
} Tool;

// Each appends the result of a call; false, with the reason as the result, where there is none.
bool tool_run_command(const Tool *tool, const json_t *arguments, Bytes *result);
bool tool_run_url(const Tool *tool, const json_t *arguments, Bytes *result);
bool tool_run_lookup(const Tool *tool, const json_t *arguments, Bytes *result);

Knowledge *knowledge_open(const char *path); // NULL and a recorded failure
void knowledge_close(Knowledge *knowledge);

#endif
