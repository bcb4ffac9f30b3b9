// toolbox.h - the tools that a policy may call: small commands, served functions, look-ups.
//
// They are declared in a JSON file, a list of objects: name, description, parameters (a JSON
// schema), and one of
//     "command": ["program", "argument", ...]   arguments as one JSON object on its standard input,
//                                               the result on its standard output; no shell
//     "url": "http://..."                       arguments POSTed as JSON, the body is the result;
//                                               "key_variable" names an environment variable
//     "lookup": "file.jsonl"                    lines of {"title", "text"}, ranked by the words
//                                               they share with the argument "query"; "results" (3)
// and optionally "timeout" (10 s) and "max_bytes" (16384). File names with a slash, and look-ups,
// are relative to the declaring file; other programs are sought in PATH.

#ifndef L2A_ASK_TOOLBOX_H
#define L2A_ASK_TOOLBOX_H

#include <stdbool.h>

#include "text/tool_format.h"

typedef struct Toolbox Toolbox;

// NULL and a recorded failure that names file, tool and fault: EXIT_NO_INPUT, EXIT_BAD_DATA (no
// JSON, or more than TOOLBOX_FILE_LIMIT bytes), EXIT_BAD_SETTINGS.
enum { TOOLBOX_FILE_LIMIT = 1 << 24 };
Toolbox *toolbox_open(const char *path);
void toolbox_close(Toolbox *toolbox); // NULL is fine

// The tools as tool_format_system wants them; borrowed.
const json_t *toolbox_declarations(const Toolbox *toolbox);

// Runs a call and appends its result, valid UTF-8 of at most max_bytes and a note. Never fails: a
// tool that hangs, crashes or does not exist gives a result that says so, and false.
bool toolbox_run(Toolbox *toolbox, const ToolCall *call, Bytes *result);

#endif
