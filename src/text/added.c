#include "text/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void added_add(Added *added, const char *content, size_t length, int32_t id, bool control)
{
    grow((void **)&added->items, &added->capacity, added->count + 1, sizeof *added->items);
    char *copy = allocate(length + 1, 1);
    memcpy(copy, content, length);
    added->items[added->count++] = (AddedToken){copy, length, id, control};
}

static int by_first_byte(const void *left, const void *right)
{
    const AddedToken *a = left, *b = right;
    int difference = (uint8_t)a->content[0] - (uint8_t)b->content[0];
    if (difference != 0)
        return difference;
    if (a->length != b->length)
        return a->length > b->length ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

void added_sort(Added *added)
{
    if (added->count > 0)
        qsort(added->items, added->count, sizeof *added->items, by_first_byte);
    size_t at = 0;
    for (size_t byte = 0; byte < 256; byte++) {
        added->first[byte] = (uint32_t)at;
        while (at < added->count && (uint8_t)added->items[at].content[0] == byte)
            at++;
    }
    added->first[256] = (uint32_t)at;
}

void added_free(Added *added)
{
    for (size_t i = 0; i < added->count; i++)
        release(added->items[i].content);
    release(added->items);
    *added = (Added){0};
}

static const AddedToken *longest_at(const Added *added, const char *text, size_t length)
{
    size_t byte = (uint8_t)text[0];
    for (size_t i = added->first[byte]; i < added->first[byte + 1]; i++) {
        const AddedToken *token = &added->items[i];
        if (token->length <= length && memcmp(text, token->content, token->length) == 0)
            return token;
    }
    return NULL;
}

bool added_next(const Added *added, const char *text, size_t length, size_t from, bool controls,
                AddedMatch *match)
{
    if (added->count == 0)
        return false;
    // Mostly all begin with one character, '<': then the search is memchr's.
    const char *only = added->items[0].content;
    bool alone = only[0] == added->items[added->count - 1].content[0];
    for (size_t at = from; at < length;) {
        if (alone) {
            const char *found = memchr(text + at, only[0], length - at);
            if (!found)
                return false;
            at = (size_t)(found - text);
        }
        const AddedToken *token = longest_at(added, text + at, length - at);
        if (token && (controls || !token->control)) {
            *match = (AddedMatch){at, at + token->length, token->id};
            return true;
        }
        at += token ? token->length : 1;
    }
    return false;
}
