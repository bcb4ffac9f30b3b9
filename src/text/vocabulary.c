#include "text/vocabulary.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/fail.h"
#include "text/unicode.h"

void vocabulary_make(Vocabulary *vocabulary, int64_t size, size_t count)
{
    size_t slots = 64;
    while (slots < 2 * count)
        slots *= 2;
    *vocabulary = (Vocabulary){
        .size = size,
        .tokens = allocate((size_t)size, sizeof *vocabulary->tokens),
        .slots = allocate(slots, sizeof *vocabulary->slots),
        .mask = slots - 1,
    };
    for (size_t i = 0; i < slots; i++)
        vocabulary->slots[i].id = -1;
    for (int i = 0; i < 256; i++)
        vocabulary->byte[i] = -1;
}

void vocabulary_free(Vocabulary *vocabulary)
{
    release(vocabulary->tokens);
    release(vocabulary->slots);
    bytes_free(&vocabulary->text);
    *vocabulary = (Vocabulary){0};
}

// GPT-2's table backwards: printable Latin-1 characters stand for themselves, the 68 other bytes
// are U+0100 and up in ascending order. -1 for any other character.
static int byte_of(uint32_t code)
{
    if ((code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) ||
        (code >= 0xAE && code <= 0xFF))
        return (int)code;
    if (code >= 0x100 && code < 0x121)
        return (int)code - 0x100;
    if (code >= 0x121 && code < 0x143)
        return (int)code - 0x121 + 0x7F;
    return code == 0x143 ? 0xAD : -1;
}

bool vocabulary_unwrap(const char *text, size_t length, Bytes *out)
{
    size_t first = out->length, at = 0;
    while (at < length) {
        uint32_t code;
        size_t bytes = unicode_decode(text + at, length - at, &code);
        int byte = bytes ? byte_of(code) : -1;
        if (byte < 0) {
            out->length = first;
            bytes_append(out, text, length);
            return false;
        }
        char character = (char)byte;
        bytes_append(out, &character, 1);
        at += bytes;
    }
    return true;
}

static inline uint32_t hash_of(const char *bytes, size_t length)
{
    return (uint32_t)XXH3_64bits(bytes, length);
}

bool vocabulary_add(Vocabulary *vocabulary, int32_t id, const char *bytes, size_t length,
                    bool mergeable)
{
    CHECK(id >= 0 && id < vocabulary->size, "token id %d is outside the vocabulary", id);
    if (vocabulary->tokens[id].length > 0)
        return false;
    CHECK(vocabulary->text.length + length < UINT32_MAX, "the vocabulary has 4 GiB of text");
    vocabulary->tokens[id].start = (uint32_t)vocabulary->text.length;
    vocabulary->tokens[id].length = (uint32_t)length;
    bytes_append(&vocabulary->text, bytes, length);
    if (!mergeable)
        return true;
    if (length == 1)
        vocabulary->byte[(uint8_t)bytes[0]] = id;
    uint32_t hash = hash_of(bytes, length);
    size_t slot = hash & vocabulary->mask;
    while (vocabulary->slots[slot].id >= 0)
        slot = (slot + 1) & vocabulary->mask;
    vocabulary->slots[slot] = (VocabularySlot){id, hash};
    return true;
}

int32_t vocabulary_find(const Vocabulary *vocabulary, const char *bytes, size_t length)
{
    uint32_t hash = hash_of(bytes, length);
    for (size_t slot = hash & vocabulary->mask;; slot = (slot + 1) & vocabulary->mask) {
        int32_t id = vocabulary->slots[slot].id;
        if (id < 0)
            return -1;
        if (vocabulary->slots[slot].hash == hash && vocabulary->tokens[id].length == length &&
            memcmp(vocabulary->text.data + vocabulary->tokens[id].start, bytes, length) == 0)
            return id;
    }
}
