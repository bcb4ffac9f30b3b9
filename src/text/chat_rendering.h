// chat_rendering.h - a rendered conversation: its text, and what each stretch of it is.

#ifndef L2A_TEXT_CHAT_RENDERING_H
#define L2A_TEXT_CHAT_RENDERING_H

#include "base/memory.h"
#include "text/chat.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

// The control tokens of the templates; a template uses those of its kind.
typedef enum {
    CONTROL_BEGIN,      // <|begin_of_text|>
    CONTROL_START,      // <|im_start|>, <|start_header_id|>
    CONTROL_HEADER_END, // <|end_header_id|>
    CONTROL_END,        // <|im_end|>, <|eot_id|>
    CONTROL_THINK,      // <think>
    CONTROL_THINK_END,  // </think>
    CONTROLS
} Control;

// A stretch of the text; the stretches tile it. `id` is the control token that it is, -1 for text.
typedef struct {
    size_t end;
    int32_t id;
    bool scored; // said by the model
} Stretch;

typedef struct {
    Bytes text;
    Stretch *stretches; // owned, [count]
    size_t count, capacity;
} Rendering;

struct Chat {
    const Tokenizer *tokenizer; // borrowed
    const uint8_t *classes;     // borrowed: of code points
    ChatTemplate template;
    bool thinking;
    const char *names[CONTROLS]; // NULL where the kind has none
    int32_t ids[CONTROLS];       // -1: written as text
    Tokens end_tokens;
};

// Renders a whole conversation; -1 and a recorded failure for a role that the template has not.
int chat_render_messages(const Chat *chat, const ChatMessage *messages, int64_t count,
                         bool generation_prompt, Rendering *out);

// Renders what comes between an assistant's end token and the next assistant message: see
// chat_encode_next.
int chat_render_next(const Chat *chat, const ChatMessage *messages, int64_t count, Rendering *out);

// Renders what an assistant says behind the generation prompt: `replies` [count], the contents and
// end tokens scored. Ends with the last end token.
void chat_render_replies(const Chat *chat, const ChatMessage *replies, int64_t count,
                         Rendering *out);

void chat_rendering_free(Rendering *rendering);

#endif
