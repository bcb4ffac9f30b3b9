// tool_format.h - tools as Qwen's chat templates write them: how they are declared, how a reply
// calls them, how their results are handed back.

#ifndef L2A_TEXT_TOOL_FORMAT_H
#define L2A_TEXT_TOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/memory.h"

enum {
    TOOL_CALLS_LIMIT = 16,             // of a reply
    TOOL_CALL_BYTES_LIMIT = 64 * 1024, // of one call
};

// One <tool_call> of a reply.
typedef struct {
    char *name;        // owned
    json_t *arguments; // owned object
    const char
        *problem; // NULL, or what is wrong with the call; there are no name and arguments then
} ToolCall;

// Appends the block that stands behind the text of a system message and declares the tools: a list
// of {"type": "function", "function": {...}}.
void tool_format_system(const json_t *declarations, Bytes *out);

// The calls of a reply, in order, but those within <think>...</think>. Arguments may be an object
// or a string that holds one. The list is the caller's to free, NULL where there is no call.
int64_t tool_format_calls(const char *reply, size_t length, ToolCall **calls);
void tool_format_free(ToolCall *calls, int64_t count);

// Appends the content of the user message that hands back results [count]: each between
// <tool_response> and </tool_response>. Such tags inside a result are neutralised.
void tool_format_observation(const Bytes *results, int64_t count, Bytes *out);

#endif
