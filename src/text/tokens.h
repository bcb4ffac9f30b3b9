// tokens.h - a growable list of token ids.

#ifndef L2A_TEXT_TOKENS_H
#define L2A_TEXT_TOKENS_H

#include <stddef.h>
#include <stdint.h>

// Zero-initialise; free with tokens_free.
typedef struct {
    int32_t *ids; // owned, [count]
    int64_t count;
    size_t capacity;
} Tokens;

void tokens_append(Tokens *tokens, int32_t id);
void tokens_append_all(Tokens *tokens, const int32_t *ids, int64_t count);

// Number of leading ids that `a` [a_count] and `b` [b_count] share.
int64_t tokens_common_prefix(const int32_t *a, int64_t a_count, const int32_t *b, int64_t b_count);

void tokens_clear(Tokens *tokens); // count 0, capacity kept
void tokens_free(Tokens *tokens);

#endif
