#include "text/tool_format.h"

#include <string.h>

#include "input/jsonl.h"

void tool_format_system(const json_t *declarations, Bytes *out)
{
    bytes_append_text(out, "\n\n# Tools\n\n"
                           "You may call one or more functions to assist with the user query.\n\n"
                           "You are provided with function signatures within <tools></tools> XML "
                           "tags:\n<tools>");
    for (size_t i = 0; i < json_array_size(declarations); i++) {
        bytes_append_text(out, "\n");
        jsonl_append(out, json_array_get(declarations, i));
    }
    bytes_append_text(out, "\n</tools>\n\n"
                           "For each function call, return a json object with function name and "
                           "arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
                           "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n"
                           "</tool_call>");
}

static json_t *read_arguments(json_t *arguments)
{
    if (json_is_object(arguments))
        return json_incref(arguments);
    if (!json_is_string(arguments))
        return NULL;
    json_t *parsed = json_loads(json_string_value(arguments), JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(parsed))
        return parsed;
    json_decref(parsed);
    return NULL;
}

static ToolCall read_call(const char *text, size_t length)
{
    ToolCall call = {0};
    if (length > TOOL_CALL_BYTES_LIMIT) {
        call.problem = "a tool call of more than 64 KiB";
        return call;
    }
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(object, "name"));
    json_t *arguments = read_arguments(json_object_get(object, "arguments"));
    if (!json_is_object(object))
        call.problem = "a tool call must be one JSON object";
    else if (!name)
        call.problem = "a tool call needs a name";
    else if (!arguments)
        call.problem = "the arguments of a tool call must be a JSON object";
    if (call.problem) {
        json_decref(arguments);
    } else {
        call.name = duplicate(name);
        call.arguments = arguments;
    }
    json_decref(object);
    return call;
}

// Behind the last thought: one whose beginning the template wrote has no <think>. NULL: the thought
// has no end.
static const char *skip_thoughts(const char *reply, const char *end)
{
    static const char open[] = "<think>", close[] = "</think>";
    const char *found;
    while ((found = memmem(reply, (size_t)(end - reply), close, sizeof close - 1)))
        reply = found + sizeof close - 1;
    return memmem(reply, (size_t)(end - reply), open, sizeof open - 1) ? NULL : reply;
}

int64_t tool_format_calls(const char *reply, size_t length, ToolCall **calls)
{
    static const char open[] = "<tool_call>", close[] = "</tool_call>";
    const char *end = reply + length, *at = skip_thoughts(reply, end);
    int64_t count = 0;
    *calls = NULL;
    while (at && (at = memmem(at, (size_t)(end - at), open, sizeof open - 1))) {
        at += sizeof open - 1;
        const char *until = memmem(at, (size_t)(end - at), close, sizeof close - 1);
        if (!*calls)
            *calls = allocate(TOOL_CALLS_LIMIT + 1, sizeof **calls);
        if (count == TOOL_CALLS_LIMIT) {
            (*calls)[count++].problem = "more than 16 tool calls in one reply";
            break;
        }
        if (until)
            (*calls)[count++] = read_call(at, (size_t)(until - at));
        else
            (*calls)[count++].problem = "a tool call without </tool_call>";
        at = until;
    }
    return count;
}

void tool_format_free(ToolCall *calls, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        release(calls[i].name);
        json_decref(calls[i].arguments);
    }
    release(calls);
}

// A "<" that opens one of the two tags becomes U+2039.
static void append_neutral(Bytes *out, const char *text, size_t length)
{
    static const char *const tags[] = {"<tool_response>", "</tool_response>"};
    for (size_t i = 0; i < length; i++) {
        bool tag = false;
        for (int t = 0; t < 2; t++)
            tag = tag || (length - i >= strlen(tags[t]) &&
                          memcmp(text + i, tags[t], strlen(tags[t])) == 0);
        if (tag)
            bytes_append_text(out, "\xE2\x80\xB9");
        else
            bytes_append(out, text + i, 1);
    }
}

void tool_format_observation(const Bytes *results, int64_t count, Bytes *out)
{
    for (int64_t i = 0; i < count; i++) {
        bytes_append_text(out, i ? "\n<tool_response>\n" : "<tool_response>\n");
        append_neutral(out, results[i].data, results[i].length);
        bytes_append_text(out, "\n</tool_response>");
    }
}
