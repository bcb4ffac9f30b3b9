#define _GNU_SOURCE // realpath
#include "ask/toolbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask/curl_start.h"
#include "ask/toolbox_kinds.h"
#include "base/fail.h"
#include "files/directory.h"
#include "input/json_file.h"
#include "input/utf8.h"

struct Toolbox {
    char *directory;      // owned: of the declaring file
    json_t *file;         // owned: as it was read
    json_t *declarations; // owned
    Tool *tools;          // owned
    size_t count;
};

static const char *string_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

// NULL, or why `name` is none.
static const char *name_fault(const Toolbox *toolbox, const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (!name)
        return "name is missing or not a string";
    if (*name == 0 || strlen(name) > 64 || name[strspn(name, allowed)] != 0)
        return "name must be 1 to 64 letters, digits, - or _";
    for (size_t i = 0; i < toolbox->count; i++)
        if (strcmp(toolbox->tools[i].name, name) == 0)
            return "name was declared before";
    return NULL;
}

static const char *field_fault(const json_t *tool)
{
    static const char *const known[] = {"name",         "description", "parameters", "command",
                                        "url",          "lookup",      "results",    "timeout",
                                        "key_variable", "max_bytes"};
    const char *key;
    json_t *value;
    int kinds = 0;
    json_object_foreach((json_t *)tool, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(key, known[i]) == 0;
        if (!found)
            return "has a field that is not known; known are name, description, parameters, "
                   "command, url, lookup, results, key_variable, timeout, max_bytes";
        kinds +=
            strcmp(key, "command") == 0 || strcmp(key, "url") == 0 || strcmp(key, "lookup") == 0;
    }
    if (kinds != 1)
        return "needs exactly one of command, url and lookup";
    if (json_object_get(tool, "key_variable") && !json_object_get(tool, "url"))
        return "key_variable goes with url only";
    if (!string_of(tool, "description"))
        return "description is missing or not a string";
    return json_is_object(json_object_get(tool, "parameters"))
               ? NULL
               : "parameters is missing or no object";
}

// A path relative to the declaring file; to be released.
static char *beside(const Toolbox *toolbox, const char *path)
{
    Bytes joined = {0};
    bytes_print(&joined, "%s%s%s", *path == '/' ? "" : toolbox->directory, *path == '/' ? "" : "/",
                path);
    return joined.data;
}

static int read_command(const Toolbox *toolbox, Tool *tool, const json_t *command)
{
    size_t count = json_array_size(command);
    if (count == 0)
        return fail(EXIT_BAD_SETTINGS, "command must be a list of a program and its arguments");
    tool->command = allocate(count + 1, sizeof *tool->command);
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(command, i));
        if (!word)
            return fail(EXIT_BAD_SETTINGS, "command must be a list of strings");
        tool->command[i] = i == 0 && strchr(word, '/') ? beside(toolbox, word) : duplicate(word);
    }
    if (strchr(tool->command[0], '/') && access(tool->command[0], X_OK) != 0)
        return fail(EXIT_NO_INPUT, "%s cannot be executed", tool->command[0]);
    return 0;
}

static int read_url(Tool *tool, const json_t *object)
{
    const char *url = string_of(object, "url"), *variable = string_of(object, "key_variable");
    if (!url || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return fail(EXIT_BAD_SETTINGS, "url must begin with http:// or https://");
    tool->url = duplicate(url);
    tool->key = variable ? getenv(variable) : NULL;
    if (!variable && json_object_get(object, "key_variable"))
        return fail(EXIT_BAD_SETTINGS, "key_variable must be the name of a variable");
    if (variable && !tool->key)
        return fail(EXIT_BAD_SETTINGS, "the environment has no variable %s", variable);
    if (tool->key && strpbrk(tool->key, "\r\n"))
        return fail(EXIT_BAD_SETTINGS, "the key in %s holds a line break", variable);
    curl_start();
    return 0;
}

static int read_lookup(const Toolbox *toolbox, Tool *tool, const json_t *object)
{
    const char *name = string_of(object, "lookup");
    if (!name)
        return fail(EXIT_BAD_SETTINGS, "lookup must be the name of a file");
    char *path = beside(toolbox, name);
    tool->knowledge = knowledge_open(path);
    release(path);
    return tool->knowledge ? 0 : -1;
}

// A number, `initial` where the field is absent.
static int read_number(const json_t *object, const char *key, double initial, double least,
                       double most, double *number)
{
    const json_t *value = json_object_get(object, key);
    *number = value ? json_number_value(value) : initial;
    if (value && (!json_is_number(value) || !(*number >= least) || *number > most))
        return fail(EXIT_BAD_SETTINGS, "%s must be a number from %g to %g", key, least, most);
    return 0;
}

static int read_limits(Tool *tool, const json_t *object)
{
    double bytes, results;
    if (read_number(object, "timeout", 10, 0.001, 3600, &tool->timeout) != 0 ||
        read_number(object, "max_bytes", 16384, 1, 1e6, &bytes) != 0 ||
        read_number(object, "results", 3, 1, 1000, &results) != 0)
        return -1;
    tool->max_bytes = (size_t)bytes;
    tool->results = (int64_t)results;
    return 0;
}

static int read_tool(Toolbox *toolbox, const json_t *object)
{
    const char *name = string_of(object, "name");
    const char *fault = json_is_object(object) ? name_fault(toolbox, name) : "is no object";
    fault = fault ? fault : field_fault(object);
    if (fault)
        return fail(EXIT_BAD_SETTINGS, "%s", fault);
    Tool *tool = &toolbox->tools[toolbox->count++];
    tool->name = name;
    if (read_limits(tool, object) != 0)
        return -1;
    json_array_append_new(toolbox->declarations,
                          json_pack("{s:s, s:{s:s, s:O, s:O}}", "type", "function", "function",
                                    "name", name, "description",
                                    json_object_get(object, "description"), "parameters",
                                    json_object_get(object, "parameters")));
    if (json_object_get(object, "command"))
        return read_command(toolbox, tool, json_object_get(object, "command"));
    if (json_object_get(object, "url"))
        return read_url(tool, object);
    return read_lookup(toolbox, tool, object);
}

static int read_file(Toolbox *toolbox, const char *path)
{
    if (json_file_read(path, TOOLBOX_FILE_LIMIT, &toolbox->file) != 0)
        return fail_context("[react] tools");
    size_t count = json_array_size(toolbox->file);
    if (count == 0)
        return fail(EXIT_BAD_SETTINGS, "%s: must be a list of at least one tool", path);
    toolbox->tools = allocate(count, sizeof *toolbox->tools);
    for (size_t i = 0; i < count; i++)
        if (read_tool(toolbox, json_array_get(toolbox->file, i)) != 0)
            return fail_context("%s: tool %zu", path, i + 1);
    return 0;
}

Toolbox *toolbox_open(const char *path)
{
    Toolbox *toolbox = allocate(1, sizeof *toolbox);
    toolbox->declarations = json_array();
    toolbox->directory = directory_of(path);
    if (read_file(toolbox, path) == 0)
        return toolbox;
    toolbox_close(toolbox);
    return NULL;
}

void toolbox_close(Toolbox *toolbox)
{
    if (!toolbox)
        return;
    for (size_t i = 0; i < toolbox->count; i++) {
        Tool *tool = &toolbox->tools[i];
        for (char **word = tool->command; word && *word; word++)
            release(*word);
        release(tool->command);
        release(tool->url);
        knowledge_close(tool->knowledge);
    }
    release(toolbox->tools);
    release(toolbox->directory);
    json_decref(toolbox->declarations);
    json_decref(toolbox->file);
    release(toolbox);
}

const json_t *toolbox_declarations(const Toolbox *toolbox)
{
    return toolbox->declarations;
}

static const Tool *find_tool(const Toolbox *toolbox, const char *name)
{
    for (size_t i = 0; i < toolbox->count; i++)
        if (strcmp(toolbox->tools[i].name, name) == 0)
            return &toolbox->tools[i];
    return NULL;
}

static bool run(const Tool *tool, const json_t *arguments, Bytes *result)
{
    if (tool->command)
        return tool_run_command(tool, arguments, result);
    if (tool->url)
        return tool_run_url(tool, arguments, result);
    return tool_run_lookup(tool, arguments, result);
}

// What a tool said as text, cut between characters where it said too much.
static void append_text(const Tool *tool, const Bytes *said, Bytes *result)
{
    Bytes text = {0};
    bytes_append(&text, "", 0);
    utf8_append_repaired(&text, said->data, said->length);
    bool cut = text.length > tool->max_bytes;
    size_t length = cut ? tool->max_bytes : text.length;
    while (!cut && length > 0 && (text.data[length - 1] == '\n' || text.data[length - 1] == '\r'))
        length--;
    while (cut && length > 0 && ((unsigned char)text.data[length] & 0xC0) == 0x80)
        length--;
    bytes_append(result, text.data, length);
    if (cut)
        bytes_print(result, "\n[cut after %zu bytes]", tool->max_bytes);
    bytes_free(&text);
}

bool toolbox_run(Toolbox *toolbox, const ToolCall *call, Bytes *result)
{
    const Tool *tool = call->problem ? NULL : find_tool(toolbox, call->name);
    bytes_append(result, "", 0);
    if (call->problem) {
        bytes_print(result, "error: %s", call->problem);
        return false;
    }
    if (!tool) {
        bytes_append_text(result, "error: there is no such tool; there are");
        for (size_t i = 0; i < toolbox->count; i++)
            bytes_print(result, "%s %s", i ? "," : "", toolbox->tools[i].name);
        return false;
    }
    Bytes said = {0};
    bytes_append(&said, "", 0);
    bool good = run(tool, call->arguments, &said);
    append_text(tool, &said, result);
    bytes_free(&said);
    return good;
}
