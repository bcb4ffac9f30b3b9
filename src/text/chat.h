// chat.h - messages to the token ids that a model's chat template gives.
//
// A template is recognised by its text, never executed. Ids equal Hugging Face's encoding of
// apply_chat_template's rendering as long as no content holds the text of a control token; where
// one does, it stays text (here we differ on purpose: a user cannot forge a message). Deliberately
// not configurable: the date of templates that print today's is their fallback, 26 Jul 2024, so
// that a run does not depend on the day.

#ifndef L2A_TEXT_CHAT_H
#define L2A_TEXT_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "text/tokenizer.h"
#include "text/tokens.h"

typedef struct Chat Chat;

// `role` and `content` are borrowed; `content` need not be terminated and may hold any byte.
typedef struct {
    const char *role; // "system", "user", "assistant", "tool"
    const char *content;
    size_t content_length;
} ChatMessage;

// `forced` is "auto" (or NULL): the template of tokenizer_config.json or chat_template.jinja
// decides, an unknown one is refused; or the name of a template: "chatml", "qwen3", "llama3".
// `thinking` matters to qwen3 only. NULL and a recorded failure when the template is missing or
// unknown, or the tokenizer lacks a control token of it. `tokenizer` is borrowed.
Chat *chat_open(const Tokenizer *tokenizer, const char *directory, const char *forced,
                bool thinking);
void chat_close(Chat *chat);

const char *chat_name(const Chat *chat); // "chatml", "qwen3", "llama3"

// Appends the rendering of `messages` [count], and with `generation_prompt` the header after which
// the model speaks. -1 and a recorded failure when the template knows no such role.
int chat_render(const Chat *chat, const ChatMessage *messages, int64_t count,
                bool generation_prompt, Bytes *out);

// Appends the ids of the same rendering.
int chat_encode(const Chat *chat, const ChatMessage *messages, int64_t count,
                bool generation_prompt, Tokens *out);

// Appends the ids of `context` [context_count] with the generation prompt, followed by the
// assistant messages `replies` [reply_count >= 1] as the model should say them: content, end token,
// and between two of them what the template puts there. Ends with the last end token. `mask` gets
// one 0 or 1 per appended id: 1 for end tokens of replies and for tokens that cover any byte of a
// reply's content. A reply that begins with a newline may merge with the header's newline: compare
// with chat_encode of the context (tokens_common_prefix) to see where the two part.
int chat_encode_replies(const Chat *chat, const ChatMessage *context, int64_t context_count,
                        const ChatMessage *replies, int64_t reply_count, Tokens *out, Tokens *mask);

// Appends the ids that stand between an assistant message's end token and the next one when
// `messages` [count >= 1] come in between, the generation prompt included.
int chat_encode_next(const Chat *chat, const ChatMessage *messages, int64_t count, Tokens *out);

// The id that closes an assistant message (`<|im_end|>`, `<|eot_id|>`), whatever generation ended
// with.
int32_t chat_end_token(const Chat *chat);

// All ids at which generation stops: chat_end_token first, then the tokenizer's end tokens.
const Tokens *chat_end_tokens(const Chat *chat); // borrowed

#endif
