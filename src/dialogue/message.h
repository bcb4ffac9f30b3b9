// message.h - one message of a conversation, and lists of them as JSON.

#ifndef L2A_DIALOGUE_MESSAGE_H
#define L2A_DIALOGUE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

typedef struct {
    const char *role;    // "user", "assistant" or another word; borrowed
    const char *content; // borrowed
} Message;

bool message_is_user(const Message *message);
bool message_is_assistant(const Message *message);
bool message_equal(const Message *a, const Message *b);

// NULL where `list` is a list of objects with string role and content, else the reason it is not
// (static storage of this thread, valid until the next call).
const char *messages_fault(const json_t *list);

// Messages of a valid list; texts borrowed from `list`, the array is the caller's to release.
Message *messages_borrow(const json_t *list, int64_t *count);

// Number of messages of the maximal run of assistant messages that opens `messages`.
int64_t messages_assistant_run(const Message *messages, int64_t count);

// The list that a text of "role: content" lines stands for (a new reference). A line opens a
// message where it begins with "user: ", "assistant: ", "system: " or "tool: "; others go on with
// the message before. NULL where the first line opens none.
json_t *messages_from_text(const char *text);

#endif
