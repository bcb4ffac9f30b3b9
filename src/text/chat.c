#include "text/chat.h"

#include <string.h>

#include "base/fail.h"
#include "text/chat_rendering.h"
#include "text/tokenizer_parts.h"

static const char *const control_names[CHAT_KINDS][CONTROLS] = {
    [CHAT_CHATML] = {[CONTROL_START] = "<|im_start|>", [CONTROL_END] = "<|im_end|>"},
    [CHAT_QWEN3] = {[CONTROL_START] = "<|im_start|>",
                    [CONTROL_END] = "<|im_end|>",
                    [CONTROL_THINK] = "<think>",
                    [CONTROL_THINK_END] = "</think>"},
    [CHAT_LLAMA3] = {[CONTROL_BEGIN] = "<|begin_of_text|>",
                     [CONTROL_START] = "<|start_header_id|>",
                     [CONTROL_HEADER_END] = "<|end_header_id|>",
                     [CONTROL_END] = "<|eot_id|>"},
};

static int find_controls(Chat *chat)
{
    ChatKind kind = chat->template.kind;
    for (int control = 0; control < CONTROLS; control++) {
        const char *name = control_names[kind][control];
        chat->names[control] = name;
        chat->ids[control] = name ? tokenizer_find(chat->tokenizer, name) : -1;
        // The marks of a thought may be text; the others must be tokens.
        if (name && chat->ids[control] < 0 && control < CONTROL_THINK)
            return fail(EXIT_BAD_DATA, "the tokenizer lacks '%s', which the chat template %s needs",
                        name, chat_template_name(kind));
    }
    return 0;
}

static void collect_ends(Chat *chat)
{
    tokens_append(&chat->end_tokens, chat->ids[CONTROL_END]);
    const Tokens *others = tokenizer_end_tokens(chat->tokenizer);
    for (int64_t i = 0; i < others->count; i++) {
        bool new = true;
        for (int64_t j = 0; j < chat->end_tokens.count; j++)
            new = new && chat->end_tokens.ids[j] != others->ids[i];
        if (new)
            tokens_append(&chat->end_tokens, others->ids[i]);
    }
}

Chat *chat_open(const Tokenizer *tokenizer, const char *directory, const char *forced,
                bool thinking)
{
    Chat *chat = allocate(1, sizeof *chat);
    chat->tokenizer = tokenizer;
    chat->classes = tokenizer->classes;
    chat->thinking = thinking;
    if (chat_template_read(&chat->template, directory, forced) || find_controls(chat)) {
        chat_close(chat);
        return NULL;
    }
    collect_ends(chat);
    return chat;
}

void chat_close(Chat *chat)
{
    if (!chat)
        return;
    chat_template_free(&chat->template);
    tokens_free(&chat->end_tokens);
    release(chat);
}

const char *chat_name(const Chat *chat)
{
    return chat_template_name(chat->template.kind);
}

int chat_render(const Chat *chat, const ChatMessage *messages, int64_t count,
                bool generation_prompt, Bytes *out)
{
    Rendering rendering = {0};
    int status = chat_render_messages(chat, messages, count, generation_prompt, &rendering);
    if (!status)
        bytes_append(out, rendering.text.data, rendering.text.length);
    chat_rendering_free(&rendering);
    return status;
}

// The mask of tokens that end at `ends` (offsets from `start`), in the stretches from `first` on.
// Within a text between control tokens what the model says stands last: a token that covers any
// byte of it ends in it.
static void mask_tokens(const Rendering *rendering, size_t first, size_t start, const Tokens *ends,
                        Tokens *mask)
{
    const Stretch *stretch = &rendering->stretches[first];
    for (int64_t i = 0; i < ends->count; i++) {
        while (stretch->end < start + (size_t)ends->ids[i])
            stretch++;
        tokens_append(mask, stretch->scored);
    }
}

// The ids of a rendering; all text between two control tokens is encoded together, as one text.
static void encode(const Chat *chat, const Rendering *rendering, Tokens *out, Tokens *mask)
{
    Tokens ends = {0};
    size_t start = 0;
    for (size_t i = 0; i < rendering->count;) {
        const Stretch *stretch = &rendering->stretches[i];
        size_t first = i;
        if (stretch->id >= 0) {
            tokens_append(out, stretch->id);
            if (mask)
                tokens_append(mask, stretch->scored);
            start = stretch->end;
            i++;
            continue;
        }
        while (i < rendering->count && rendering->stretches[i].id < 0)
            i++;
        size_t end = rendering->stretches[i - 1].end;
        const char *text = rendering->text.data + start;
        if (mask) {
            tokens_clear(&ends);
            tokenizer_encode_spans(chat->tokenizer, text, end - start, out, &ends);
            mask_tokens(rendering, first, start, &ends, mask);
        } else {
            tokenizer_encode(chat->tokenizer, text, end - start, out);
        }
        start = end;
    }
    tokens_free(&ends);
}

int chat_encode(const Chat *chat, const ChatMessage *messages, int64_t count,
                bool generation_prompt, Tokens *out)
{
    Rendering rendering = {0};
    int status = chat_render_messages(chat, messages, count, generation_prompt, &rendering);
    if (!status)
        encode(chat, &rendering, out, NULL);
    chat_rendering_free(&rendering);
    return status;
}

int chat_encode_replies(const Chat *chat, const ChatMessage *context, int64_t context_count,
                        const ChatMessage *replies, int64_t reply_count, Tokens *out, Tokens *mask)
{
    CHECK(reply_count >= 1, "%lld replies", (long long)reply_count);
    Rendering rendering = {0};
    int status = chat_render_messages(chat, context, context_count, true, &rendering);
    if (!status) {
        chat_render_replies(chat, replies, reply_count, &rendering);
        encode(chat, &rendering, out, mask);
    }
    chat_rendering_free(&rendering);
    return status;
}

int chat_encode_next(const Chat *chat, const ChatMessage *messages, int64_t count, Tokens *out)
{
    Rendering rendering = {0};
    int status = chat_render_next(chat, messages, count, &rendering);
    if (!status)
        encode(chat, &rendering, out, NULL);
    chat_rendering_free(&rendering);
    return status;
}

int32_t chat_end_token(const Chat *chat)
{
    return chat->ids[CONTROL_END];
}

const Tokens *chat_end_tokens(const Chat *chat)
{
    return &chat->end_tokens;
}
