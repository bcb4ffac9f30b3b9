// served_request.h - the bodies of chat completions; private to served.c.

#ifndef L2A_ASK_SERVED_REQUEST_H
#define L2A_ASK_SERVED_REQUEST_H

#include "ask/served.h"

// Appends the address that requests go to.
void request_address(const char *url, Bytes *out);

// Appends the JSON body of a request. Bytes of contents that are not UTF-8 are repaired.
void request_body(const ServedSettings *settings, const ChatMessage *messages, int64_t count,
                  uint32_t seed, Bytes *out);

// What the body of an answer holds; false where it cannot be used.
bool request_read(const char *body, size_t length, ServedAnswer *answer);

// Appends the server's own words on a refusal, printable, at most 200 bytes, `key` (NULL: none)
// taken out of them first.
void request_read_error(const char *body, size_t length, const char *key, Bytes *out);

#endif
