#include "text/tokens.h"

#include <string.h>

#include "base/memory.h"

void tokens_append(Tokens *tokens, int32_t id)
{
    grow((void **)&tokens->ids, &tokens->capacity, (size_t)tokens->count + 1, sizeof *tokens->ids);
    tokens->ids[tokens->count++] = id;
}

void tokens_append_all(Tokens *tokens, const int32_t *ids, int64_t count)
{
    if (count == 0)
        return;
    grow((void **)&tokens->ids, &tokens->capacity, (size_t)(tokens->count + count),
         sizeof *tokens->ids);
    memcpy(tokens->ids + tokens->count, ids, (size_t)count * sizeof *ids);
    tokens->count += count;
}

int64_t tokens_common_prefix(const int32_t *a, int64_t a_count, const int32_t *b, int64_t b_count)
{
    int64_t shorter = a_count < b_count ? a_count : b_count, common = 0;
    while (common < shorter && a[common] == b[common])
        common++;
    return common;
}

void tokens_clear(Tokens *tokens)
{
    tokens->count = 0;
}

void tokens_free(Tokens *tokens)
{
    release(tokens->ids);
    *tokens = (Tokens){0};
}
