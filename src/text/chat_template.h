// chat_template.h - which of the templates we know a model directory has.
//
// A Jinja program is not run; it is recognised by a fingerprint of its text, from which the default
// system text is cut out first (it differs between models that share a template).

#ifndef L2A_TEXT_CHAT_TEMPLATE_H
#define L2A_TEXT_CHAT_TEMPLATE_H

#include <stdbool.h>

typedef enum { CHAT_CHATML, CHAT_QWEN3, CHAT_LLAMA3, CHAT_KINDS } ChatKind;

typedef struct {
    ChatKind kind;
    bool tools;           // "tool" messages are gathered in a user block; other roles are refused
    bool dated;           // llama3: a system block with dates stands first, whatever the messages
    char *default_system; // owned; the system text when the messages have none; NULL for none
} ChatTemplate;

// `forced` is NULL or "auto", or the name of a kind. -1 and a recorded failure when the template is
// missing or unknown and none is forced, or there is no kind of that name.
int chat_template_read(ChatTemplate *template, const char *directory, const char *forced);
void chat_template_free(ChatTemplate *template);

const char *chat_template_name(ChatKind kind);

#endif
