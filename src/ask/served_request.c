#include "ask/served_request.h"

#include <string.h>

#include <jansson.h>

#include "input/jsonl.h"
#include "input/utf8.h"

void request_address(const char *url, Bytes *out)
{
    static const char end[] = "/chat/completions";
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    bytes_append(out, url, length);
    if (length < sizeof end - 1 ||
        memcmp(url + length - (sizeof end - 1), end, sizeof end - 1) != 0)
        bytes_append_text(out, end);
}

static void append_content(const ChatMessage *message, Bytes *out)
{
    Bytes repaired = {0};
    bytes_append(&repaired, "", 0);
    utf8_append_repaired(&repaired, message->content, message->content_length);
    jsonl_append_string(out, repaired.data);
    bytes_free(&repaired);
}

void request_body(const ServedSettings *settings, const ChatMessage *messages, int64_t count,
                  uint32_t seed, Bytes *out)
{
    bytes_append_text(out, "{\"model\": ");
    jsonl_append_string(out, settings->name);
    bytes_append_text(out, ", \"messages\": [");
    for (int64_t i = 0; i < count; i++) {
        bytes_append_text(out, i ? ", {\"role\": " : "{\"role\": ");
        jsonl_append_string(out, messages[i].role);
        bytes_append_text(out, ", \"content\": ");
        append_content(&messages[i], out);
        bytes_append_text(out, "}");
    }
    bytes_print(out,
                "], \"temperature\": %.9g, \"top_p\": %.9g, \"max_tokens\": %lld, \"seed\": %u",
                settings->temperature, settings->top_p, (long long)settings->max_tokens, seed);
    if (settings->repetition_penalty < 1 || settings->repetition_penalty > 1)
        bytes_print(out, ", \"repetition_penalty\": %.9g", settings->repetition_penalty);
    bytes_append_text(out, "}");
}

// A text, or a list of parts of which those of type text count.
static bool append_answer(const json_t *content, Bytes *out)
{
    bytes_append(out, "", 0);
    if (json_is_string(content)) {
        bytes_append(out, json_string_value(content), json_string_length(content));
        return true;
    }
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *text = json_object_get(json_array_get(content, i), "text");
        if (json_is_string(text))
            bytes_append(out, json_string_value(text), json_string_length(text));
    }
    return json_is_array(content);
}

bool request_read(const char *body, size_t length, ServedAnswer *answer)
{
    // Invalid UTF-8 and NUL are refused here: what a judge says must be one text everywhere.
    json_t *object = json_loadb(body, length, 0, NULL);
    const json_t *choice = json_array_get(json_object_get(object, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    Bytes text = {0};
    bool good = append_answer(json_object_get(message, "content"), &text);
    answer->whole = reason && strcmp(reason, "stop") == 0;
    json_decref(object);
    if (good) {
        answer->text = text.data;
        answer->length = text.length;
    } else {
        bytes_free(&text);
    }
    return good;
}

static const char *find_error(const json_t *object)
{
    static const char *const keys[] = {"error", "message", "detail"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *found = json_object_get(object, keys[i]);
        if (json_is_object(found))
            found = json_object_get(found, "message");
        if (json_is_string(found))
            return json_string_value(found);
    }
    return NULL;
}

// Every occurrence of the key becomes as many stars.
static void redact(Bytes *text, const char *key)
{
    size_t length = strlen(key);
    for (size_t at = 0; length > 0 && at + length <= text->length;) {
        if (memcmp(text->data + at, key, length) == 0) {
            memset(text->data + at, '*', length);
            at += length;
        } else {
            at++;
        }
    }
}

void request_read_error(const char *body, size_t length, const char *key, Bytes *out)
{
    enum { SHOWN = 200 };
    json_t *object = json_loadb(body, length, 0, NULL);
    const char *found = find_error(object);
    Bytes text = {0};
    bytes_append(&text, found ? found : body, found ? strlen(found) : length);
    if (key)
        redact(&text, key); // before it is cut: half a key would not be known again
    for (size_t i = 0; i < text.length && i < SHOWN; i++) {
        char c = text.data[i];
        bytes_append(out, c >= ' ' && c < 0x7f ? &c : " ", 1);
    }
    bytes_free(&text);
    json_decref(object);
}
