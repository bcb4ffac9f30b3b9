#include "text/chat_template.h"

#include <inttypes.h>
#include <string.h>

#include <xxhash.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/model_file.h"

static const char *const names[CHAT_KINDS] = {"chatml", "qwen3", "llama3"};

// The fingerprints that chat_template_read prints when it refuses a template.
static const struct {
    uint64_t fingerprint;
    ChatKind kind;
    bool tools, dated;
} known[] = {
    {0xa04f41d813a07b13, CHAT_CHATML, false, false}, // ChatML bare
    {0x0d6850922b3e41b2, CHAT_CHATML, false, false}, // SmolLM2, Qwen2
    {0x8aa1162b80a70c7a, CHAT_CHATML, true, false},  // Qwen2.5
    {0x5a33498785c53d45, CHAT_QWEN3, true, false},   // Qwen3 as published first
    {0x4372a702009a6e39, CHAT_QWEN3, true, false},   // Qwen3 since it minds contents of parts
    {0x9799ad6e2dea0594, CHAT_LLAMA3, false, false}, // Llama 3
    {0x42fae82d0898d6f1, CHAT_LLAMA3, false, true},  // Llama 3.1 as published first
    {0xda8ae4616203881a, CHAT_LLAMA3, false, true},  // Llama 3.1, Llama 3.3
    {0xba28f0d41aa45594, CHAT_LLAMA3, false, true},  // Llama 3.2
};

const char *chat_template_name(ChatKind kind)
{
    return names[kind];
}

// The text of `value`: a string, or a list of {name, template} of which "default" counts.
static const char *template_text(const json_t *value)
{
    size_t i;
    const json_t *item;
    json_array_foreach(value, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(item, "template"));
    }
    return json_string_value(value);
}

// Appends the template's text to `out`: chat_template.jinja goes before tokenizer_config.json.
// 1 if there is one, 0 if not, -1 on failure.
static int read_text(const char *directory, Bytes *out)
{
    int found = model_file_read_text(directory, "chat_template.jinja", out);
    if (found != 0)
        return found;
    json_t *config;
    if (model_file_read(directory, "tokenizer_config.json", false, &config))
        return -1;
    const char *text = template_text(json_object_get(config, "chat_template"));
    if (text)
        bytes_append_text(out, text);
    json_decref(config);
    return text != NULL;
}

// Line ends written as \n in a string of the template become line ends, and white space at the end
// goes: neither changes what the template says.
static void tidy(Bytes *text)
{
    size_t length = 0;
    for (size_t i = 0; i < text->length; i++) {
        bool escape = text->data[i] == '\\' && i + 1 < text->length && text->data[i + 1] == 'n' &&
                      (i == 0 || text->data[i - 1] != '\\');
        text->data[length++] = escape ? '\n' : text->data[i];
        i += escape;
    }
    while (length > 0 && strchr(" \t\r\n", text->data[length - 1]))
        length--;
    text->length = length;
    if (text->data)
        text->data[length] = 0;
}

// The default system text, as it stands in the template: between these two marks, in one string.
static const char *find_default(const char *text, size_t *length)
{
    static const char before[] = "<|im_start|>system\n", after[] = "<|im_end|>";
    for (const char *at = text; (at = strstr(at, before));) {
        at += sizeof before - 1;
        const char *end = strstr(at, after);
        *length = end ? (size_t)(end - at) : 0;
        if (*length > 0 && !memchr(at, '\'', *length) && !memchr(at, '"', *length))
            return at;
    }
    return NULL;
}

// A copy of a string of the template with its escapes undone.
static char *unescaped(const char *text, size_t length)
{
    char *copy = allocate(length + 1, 1);
    for (size_t from = 0, to = 0; from < length; from++) {
        if (text[from] == '\\' && from + 1 < length && strchr("\\'\"", text[from + 1]))
            from++;
        copy[to++] = text[from];
    }
    return copy;
}

// The fingerprint of a tidy template whose default system text is `system` [length] or NULL.
static uint64_t fingerprint(const Bytes *text, const char *system, size_t length)
{
    Bytes rest = {0};
    const char *from = text->data, *end = text->data + text->length, *found;
    while (system && (found = memmem(from, (size_t)(end - from), system, length))) {
        bytes_append(&rest, from, (size_t)(found - from));
        from = found + length;
    }
    bytes_append(&rest, from, (size_t)(end - from));
    uint64_t print = XXH3_64bits(rest.data, rest.length);
    bytes_free(&rest);
    return print;
}

static int kind_named(const char *name)
{
    for (int kind = 0; kind < CHAT_KINDS; kind++) {
        if (strcmp(name, names[kind]) == 0)
            return kind;
    }
    return fail(EXIT_BAD_SETTINGS,
                "no chat template is called '%s' (known: chatml, qwen3, llama3, or auto)", name);
}

// Fills `template` from the template's text; `kind` is -1 unless forced.
static int recognise(ChatTemplate *template, const Bytes *text, int kind)
{
    size_t length = 0;
    const char *system = text->length > 0 ? find_default(text->data, &length) : NULL;
    uint64_t print = text->length > 0 ? fingerprint(text, system, length) : 0;
    int row = -1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool fits = kind < 0 || known[i].kind == (ChatKind)kind;
        if (text->length > 0 && fits && known[i].fingerprint == print)
            row = (int)i;
    }
    if (row < 0 && kind < 0)
        return fail(EXIT_BAD_DATA,
                    "the chat template (fingerprint 0x%016" PRIx64 ") is not one we know; if it is "
                    "like one of chatml, qwen3, llama3, name that with 'chat ='",
                    print);
    template->kind = row < 0 ? (ChatKind)kind : known[row].kind;
    template->tools = row < 0 ? template->kind == CHAT_QWEN3 : known[row].tools;
    template->dated = row < 0 ? text->length > 0 && strstr(text->data, "Cutting Knowledge Date")
                              : known[row].dated;
    if (system && template->kind == CHAT_CHATML)
        template->default_system = unescaped(system, length);
    return 0;
}

int chat_template_read(ChatTemplate *template, const char *directory, const char *forced)
{
    *template = (ChatTemplate){0};
    bool automatic = !forced || strcmp(forced, "auto") == 0;
    int kind = automatic ? -1 : kind_named(forced);
    if (!automatic && kind < 0)
        return -1;
    Bytes text = {0};
    int found = read_text(directory, &text);
    tidy(&text);
    int status = found < 0 ? -1 : 0;
    if (found == 0 && automatic)
        status = fail(EXIT_BAD_DATA,
                      "neither chat_template.jinja nor a 'chat_template' in tokenizer_config.json; "
                      "name one with 'chat =' (chatml, qwen3, llama3)");
    if (!status)
        status = recognise(template, &text, kind);
    bytes_free(&text);
    return status ? fail_context("%s", directory) : 0;
}

void chat_template_free(ChatTemplate *template)
{
    release(template->default_system);
    *template = (ChatTemplate){0};
}
