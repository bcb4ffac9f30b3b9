#include "dialogue/message.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { FAULT_BYTES = 128 };

bool message_is_user(const Message *message)
{
    return strcmp(message->role, "user") == 0;
}

bool message_is_assistant(const Message *message)
{
    return strcmp(message->role, "assistant") == 0;
}

bool message_equal(const Message *a, const Message *b)
{
    return (a->role == b->role || strcmp(a->role, b->role) == 0) &&
           (a->content == b->content || strcmp(a->content, b->content) == 0);
}

const char *messages_fault(const json_t *list)
{
    static _Thread_local char fault[FAULT_BYTES];
    if (!json_is_array(list))
        return list ? "is not a list" : "is missing";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *message = json_array_get(list, i);
        const char *wrong = NULL;
        if (!json_is_object(message))
            wrong = "is not an object";
        else if (!json_is_string(json_object_get(message, "role")))
            wrong = "has no string role";
        else if (!json_is_string(json_object_get(message, "content")))
            wrong = "has no string content";
        if (wrong) {
            snprintf(fault, sizeof fault, "message %zu %s", i + 1, wrong);
            return fault;
        }
    }
    return NULL;
}

Message *messages_borrow(const json_t *list, int64_t *count)
{
    size_t size = json_array_size(list);
    Message *messages = allocate(size, sizeof *messages);
    for (size_t i = 0; i < size; i++) {
        const json_t *message = json_array_get(list, i);
        messages[i] = (Message){.role = json_string_value(json_object_get(message, "role")),
                                .content = json_string_value(json_object_get(message, "content"))};
    }
    *count = (int64_t)size;
    return messages;
}

int64_t messages_assistant_run(const Message *messages, int64_t count)
{
    int64_t run = 0;
    while (run < count && message_is_assistant(&messages[run]))
        run++;
    return run;
}

// The role that the line opens a message with, or NULL.
static const char *line_role(const char *line)
{
    static const char *const roles[] = {"user", "assistant", "system", "tool"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        size_t length = strlen(roles[i]);
        if (strncmp(line, roles[i], length) == 0 && strncmp(line + length, ": ", 2) == 0)
            return roles[i];
    }
    return NULL;
}

json_t *messages_from_text(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        const char *role = line_role(text);
        if (!role) {
            json_decref(list);
            return NULL;
        }
        const char *content = text + strlen(role) + 2, *end = content + strcspn(content, "\n");
        while (*end && !line_role(end + 1))
            end += 1 + strcspn(end + 1, "\n");
        json_array_append_new(
            list, json_pack("{s:s, s:s%}", "role", role, "content", content, end - content));
        text = *end ? end + 1 : end;
    }
    return list;
}
