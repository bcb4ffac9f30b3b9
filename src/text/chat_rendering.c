#include "text/chat_rendering.h"

#include <string.h>

#include "base/fail.h"
#include "input/utf8.h"
#include "text/unicode.h"

static const char date_line[] = "Cutting Knowledge Date: December 2023\n"
                                "Today Date: 26 Jul 2024\n\n";

typedef struct {
    const char *data;
    size_t length;
} Slice;

static Slice slice(const char *text)
{
    return (Slice){text, strlen(text)};
}

static void put(Rendering *out, Slice text, int32_t id, bool scored)
{
    if (text.length == 0)
        return;
    bytes_append(&out->text, text.data, text.length);
    grow((void **)&out->stretches, &out->capacity, out->count + 1, sizeof *out->stretches);
    out->stretches[out->count++] = (Stretch){out->text.length, id, scored};
}

static void put_text(Rendering *out, const char *text)
{
    put(out, slice(text), -1, false);
}

static void put_control(const Chat *chat, Rendering *out, Control control, bool scored)
{
    put(out, slice(chat->names[control]), chat->ids[control], scored);
}

static Slice without_newlines(Slice text, bool start, bool end)
{
    while (start && text.length > 0 && *text.data == '\n')
        text.data++, text.length--;
    while (end && text.length > 0 && text.data[text.length - 1] == '\n')
        text.length--;
    return text;
}

static bool is_blank(const Chat *chat, uint32_t code)
{
    return (chat->classes[code] & UNICODE_SPACE) || (code >= 0x1C && code <= 0x1F);
}

// Jinja's trim: white space of all of Unicode, and the four separators that Python counts too.
static Slice trimmed(const Chat *chat, Slice text)
{
    uint32_t code;
    while (text.length > 0) {
        size_t bytes = unicode_decode(text.data, text.length, &code);
        if (bytes == 0 || !is_blank(chat, code))
            break;
        text.data += bytes;
        text.length -= bytes;
    }
    while (text.length > 0) {
        size_t start = text.length - 1;
        while (start > 0 && ((uint8_t)text.data[start] & 0xC0) == 0x80)
            start--;
        size_t bytes = unicode_decode(text.data + start, text.length - start, &code);
        if (start + bytes != text.length || bytes == 0 || !is_blank(chat, code))
            break;
        text.length = start;
    }
    return text;
}

static void put_header(const Chat *chat, Rendering *out, const char *role)
{
    put_control(chat, out, CONTROL_START, false);
    put_text(out, role);
    if (chat->template.kind == CHAT_LLAMA3) {
        put_control(chat, out, CONTROL_HEADER_END, false);
        put_text(out, "\n\n");
    } else {
        put_text(out, "\n");
    }
}

// The end token, and the newline that ChatML puts behind it.
static void put_end(const Chat *chat, Rendering *out)
{
    put_control(chat, out, CONTROL_END, false);
    if (chat->template.kind != CHAT_LLAMA3)
        put_text(out, "\n");
}

static void put_message(const Chat *chat, Rendering *out, const char *role, Slice content)
{
    put_header(chat, out, role);
    put(out, content, -1, false);
    put_end(chat, out);
}

static void put_thought(const Chat *chat, Rendering *out, Slice thought, bool scored)
{
    put_control(chat, out, CONTROL_THINK, scored);
    put(out, slice("\n"), -1, scored);
    put(out, thought, -1, scored);
    put(out, slice("\n"), -1, scored);
    put_control(chat, out, CONTROL_THINK_END, scored);
    put(out, slice("\n\n"), -1, scored);
}

// What stands behind the last `mark` in `text`; all of it when there is none.
static Slice after_last(Slice text, const char *mark)
{
    size_t length = strlen(mark);
    const char *found;
    while ((found = memmem(text.data, text.length, mark, length))) {
        text.length -= (size_t)(found + length - text.data);
        text.data = found + length;
    }
    return text;
}

// Qwen3 takes apart what an assistant said: the thought between the marks, and the rest.
static Slice take_thought(Slice *content)
{
    const char *end = memmem(content->data, content->length, "</think>", 8);
    if (!end)
        return (Slice){content->data, 0};
    Slice thought =
        without_newlines((Slice){content->data, (size_t)(end - content->data)}, false, true);
    *content = without_newlines(after_last(*content, "</think>"), true, false);
    return without_newlines(after_last(thought, "<think>"), true, true);
}

// A user message that is no tool's response.
static bool is_query(const ChatMessage *message)
{
    static const char start[] = "<tool_response>", end[] = "</tool_response>";
    size_t length = message->content_length;
    bool response = length >= sizeof end - 1 &&
                    memcmp(message->content, start, sizeof start - 1) == 0 &&
                    memcmp(message->content + length - (sizeof end - 1), end, sizeof end - 1) == 0;
    return strcmp(message->role, "user") == 0 && !response;
}

static int64_t last_query(const ChatMessage *messages, int64_t count)
{
    for (int64_t i = count - 1; i >= 0; i--) {
        if (is_query(&messages[i]))
            return i;
    }
    return count - 1;
}

static void put_qwen3_assistant(const Chat *chat, Rendering *out, Slice content, bool recent,
                                bool last)
{
    Slice thought = take_thought(&content);
    put_header(chat, out, "assistant");
    if (recent && (last || thought.length > 0)) {
        put_thought(chat, out, thought, false);
        content = without_newlines(content, true, false);
    }
    put(out, content, -1, false);
    put_end(chat, out);
}

static bool is_role(const ChatMessage *messages, int64_t i, int64_t count, const char *role)
{
    return i >= 0 && i < count && strcmp(messages[i].role, role) == 0;
}

// Neighbouring tool messages share one user block.
static void put_tool(const Chat *chat, Rendering *out, const ChatMessage *messages, int64_t i,
                     int64_t count)
{
    if (!is_role(messages, i - 1, count, "tool")) {
        put_control(chat, out, CONTROL_START, false);
        put_text(out, "user");
    }
    put_text(out, "\n<tool_response>\n");
    put(out, (Slice){messages[i].content, messages[i].content_length}, -1, false);
    put_text(out, "\n</tool_response>");
    if (!is_role(messages, i + 1, count, "tool"))
        put_end(chat, out);
}

static int check_role(const Chat *chat, const ChatMessage *messages, int64_t i)
{
    const char *role = messages[i].role;
    bool plain =
        strcmp(role, "system") == 0 || strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0;
    bool tool = strcmp(role, "tool") == 0;
    if (plain || (tool && chat->template.tools))
        return 0;
    bool any = !chat->template.tools && !chat->template.dated;
    return any ? 0
               : fail(EXIT_BAD_DATA, "message %lld: the chat template %s has no role '%s'",
                      (long long)i + 1, chat_template_name(chat->template.kind), role);
}

static void put_start(const Chat *chat, Rendering *out, const ChatMessage *messages, int64_t count)
{
    bool system = is_role(messages, 0, count, "system");
    if (chat->template.kind == CHAT_LLAMA3)
        put_control(chat, out, CONTROL_BEGIN, false);
    if (chat->template.dated) {
        put_header(chat, out, "system");
        put_text(out, date_line);
        if (system)
            put(out, trimmed(chat, (Slice){messages[0].content, messages[0].content_length}), -1,
                false);
        put_end(chat, out);
    } else if (!system && chat->template.default_system) {
        put_message(chat, out, "system", slice(chat->template.default_system));
    }
}

static void put_generation_prompt(const Chat *chat, Rendering *out)
{
    put_header(chat, out, "assistant");
    if (chat->template.kind == CHAT_QWEN3 && !chat->thinking)
        put_thought(chat, out, (Slice){"", 0}, false);
}

static int check_roles(const Chat *chat, const ChatMessage *messages, int64_t count)
{
    if (count == 0)
        return fail(EXIT_BAD_DATA, "a chat without messages cannot be rendered");
    for (int64_t i = 0; i < count; i++) {
        if (check_role(chat, messages, i))
            return -1;
    }
    return 0;
}

static void put_messages(const Chat *chat, Rendering *out, const ChatMessage *messages,
                         int64_t first, int64_t count)
{
    int64_t query = last_query(messages, count);
    for (int64_t i = first; i < count; i++) {
        Slice content = {messages[i].content, messages[i].content_length};
        bool assistant = is_role(messages, i, count, "assistant");
        if (chat->template.tools && is_role(messages, i, count, "tool"))
            put_tool(chat, out, messages, i, count);
        else if (chat->template.kind == CHAT_QWEN3 && assistant)
            put_qwen3_assistant(chat, out, content, i > query, i + 1 == count);
        else
            put_message(chat, out, messages[i].role,
                        chat->template.kind == CHAT_LLAMA3 ? trimmed(chat, content) : content);
    }
}

int chat_render_messages(const Chat *chat, const ChatMessage *messages, int64_t count,
                         bool generation_prompt, Rendering *out)
{
    if (check_roles(chat, messages, count) != 0)
        return -1;
    put_start(chat, out, messages, count);
    bool first_is_done = chat->template.dated && is_role(messages, 0, count, "system");
    put_messages(chat, out, messages, first_is_done ? 1 : 0, count);
    if (generation_prompt)
        put_generation_prompt(chat, out);
    return 0;
}

int chat_render_next(const Chat *chat, const ChatMessage *messages, int64_t count, Rendering *out)
{
    if (check_roles(chat, messages, count) != 0)
        return -1;
    if (chat->template.kind != CHAT_LLAMA3)
        put_text(out, "\n"); // behind the end token of the assistant's message
    put_messages(chat, out, messages, 0, count);
    put_generation_prompt(chat, out);
    return 0;
}

void chat_render_replies(const Chat *chat, const ChatMessage *replies, int64_t count,
                         Rendering *out)
{
    for (int64_t i = 0; i < count; i++) {
        Slice content = {replies[i].content, replies[i].content_length};
        if (i > 0) {
            if (chat->template.kind != CHAT_LLAMA3)
                put_text(out, "\n");
            put_header(chat, out, "assistant");
        }
        if (chat->template.kind == CHAT_LLAMA3)
            content = trimmed(chat, content);
        if (chat->template.kind == CHAT_QWEN3) {
            Slice thought = take_thought(&content);
            if (i == 0) {
                if (chat->thinking)
                    put_thought(chat, out, thought, true);
                content = without_newlines(content, true, false);
            }
        }
        put(out, content, -1, true);
        put_control(chat, out, CONTROL_END, true);
    }
}

void chat_rendering_free(Rendering *rendering)
{
    bytes_free(&rendering->text);
    release(rendering->stretches);
    *rendering = (Rendering){0};
}
