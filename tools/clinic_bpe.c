#include "tools/clinic_bpe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "input/jsonl.h"

enum { BYTES = 256, WORD_LENGTH = 64 };

typedef struct {
    char text[WORD_LENGTH];
    int16_t ids[WORD_LENGTH]; // of the pieces so far, [length]
    int length;
    int64_t count;
} Word;

typedef struct {
    int left, right;
} Merge;

struct Bpe {
    const char *const *specials; // borrowed
    int special_count;
    Word *words; // owned
    size_t word_count, capacity;
    json_t *index; // word -> its place in words
    Merge *merges; // owned
    int merge_count;
};

Bpe *bpe_make(const char *const *specials, int special_count)
{
    Bpe *bpe = allocate(1, sizeof *bpe);
    bpe->specials = specials;
    bpe->special_count = special_count;
    bpe->index = json_object();
    return bpe;
}

void bpe_free(Bpe *bpe)
{
    json_decref(bpe->index);
    release(bpe->words);
    release(bpe->merges);
    release(bpe);
}

static void count_word(Bpe *bpe, const char *text, size_t length, int64_t times)
{
    char word[WORD_LENGTH] = {0};
    CHECK(length < WORD_LENGTH, "a word of %zu bytes", length);
    memcpy(word, text, length);
    const json_t *known = json_object_get(bpe->index, word);
    if (known) {
        bpe->words[json_integer_value(known)].count += times;
        return;
    }
    json_object_set_new(bpe->index, word, json_integer((json_int_t)bpe->word_count));
    grow((void **)&bpe->words, &bpe->capacity, bpe->word_count + 1, sizeof *bpe->words);
    Word *added = &bpe->words[bpe->word_count++];
    *added = (Word){.length = (int)length, .count = times};
    memcpy(added->text, word, sizeof word);
    for (size_t i = 0; i < length; i++)
        added->ids[i] = (int16_t)(bpe->special_count + (unsigned char)word[i]);
}

static int kind(char c)
{
    return isspace((unsigned char)c)   ? 0
           : isalpha((unsigned char)c) ? 1
           : isdigit((unsigned char)c) ? 2
                                       : 3;
}

void bpe_count(Bpe *bpe, const char *text, int64_t times)
{
    while (*text) {
        size_t start = *text == ' ' && kind(text[1]) && text[1] ? 1 : 0, end = start + 1;
        while (text[end] && kind(text[end]) == kind(text[start]))
            end++;
        // The last blank before a word belongs to the word.
        if (kind(*text) == 0 && start == 0 && end > 1 && text[end] && text[end - 1] == ' ')
            end--;
        count_word(bpe, text, end, times);
        text += end;
    }
}

int bpe_size(const Bpe *bpe)
{
    return bpe->special_count + BYTES + bpe->merge_count;
}

// The commonest pair of neighbours; false where none occurs twice. `counts` [size * size] is zero
// before and after.
static bool best_pair(const Bpe *bpe, int64_t *counts, int size, Merge *best)
{
    int64_t most = 1;
    for (size_t w = 0; w < bpe->word_count; w++)
        for (int i = 0; i + 1 < bpe->words[w].length; i++)
            counts[bpe->words[w].ids[i] * size + bpe->words[w].ids[i + 1]] += bpe->words[w].count;
    for (size_t w = 0; w < bpe->word_count; w++) {
        for (int i = 0; i + 1 < bpe->words[w].length; i++) {
            Merge pair = {bpe->words[w].ids[i], bpe->words[w].ids[i + 1]};
            int64_t *count = &counts[pair.left * size + pair.right];
            bool lower =
                pair.left < best->left || (pair.left == best->left && pair.right < best->right);
            if (*count > most || (*count == most && most > 1 && lower)) {
                most = *count;
                *best = pair;
            }
            *count = 0;
        }
    }
    return most > 1;
}

static void merge_pair(Word *word, Merge pair, int16_t id)
{
    int length = 0;
    for (int i = 0; i < word->length; i++) {
        bool pairs =
            i + 1 < word->length && word->ids[i] == pair.left && word->ids[i + 1] == pair.right;
        word->ids[length++] = pairs ? id : word->ids[i];
        i += pairs;
    }
    word->length = length;
}

void bpe_train(Bpe *bpe, int size)
{
    int64_t *counts = allocate((size_t)size * (size_t)size, sizeof *counts);
    bpe->merges = allocate((size_t)size, sizeof *bpe->merges);
    Merge best;
    while (bpe_size(bpe) < size && best_pair(bpe, counts, size, &best)) {
        int16_t id = (int16_t)bpe_size(bpe);
        for (size_t w = 0; w < bpe->word_count; w++)
            merge_pair(&bpe->words[w], best, id);
        bpe->merges[bpe->merge_count++] = best;
    }
    release(counts);
}

// GPT-2's printable stand-in for a byte: itself where it is a visible Latin-1 character, else one
// of the code points from 256 on, in order.
static void append_byte(Bytes *text, int byte)
{
    int point = byte;
    for (int b = 0, next = BYTES; b <= byte; b++) {
        bool visible = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        if (!visible && b == byte)
            point = next;
        next += !visible;
    }
    if (point < 0x80)
        bytes_print(text, "%c", point);
    else
        bytes_print(text, "%c%c", 0xC0 | point >> 6, 0x80 | (point & 0x3F));
}

static void append_token(const Bpe *bpe, Bytes *text, int id)
{
    int piece = id - bpe->special_count;
    if (piece < 0) {
        bytes_append_text(text, bpe->specials[id]);
    } else if (piece < BYTES) {
        append_byte(text, piece);
    } else {
        append_token(bpe, text, bpe->merges[piece - BYTES].left);
        append_token(bpe, text, bpe->merges[piece - BYTES].right);
    }
}

static void append_quoted(const Bpe *bpe, Bytes *text, int id)
{
    Bytes token = {0};
    append_token(bpe, &token, id);
    jsonl_append_string(text, token.data);
    bytes_free(&token);
}

static void append_specials(const Bpe *bpe, Bytes *text)
{
    bytes_append_text(text, "  \"added_tokens\": [");
    for (int id = 0; id < bpe->special_count; id++) {
        bytes_print(text, "%s\n    {\"id\": %d, \"content\": ", id ? "," : "", id);
        append_quoted(bpe, text, id);
        bytes_append_text(text, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                                "\"normalized\": false, \"special\": true}");
    }
    bytes_append_text(text, "\n  ],\n");
}

void bpe_append_json(const Bpe *bpe, Bytes *text)
{
    static const char byte_level[] =
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
        "\"use_regex\": true}";
    bytes_append_text(text, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
                            "  \"padding\": null,\n");
    append_specials(bpe, text);
    bytes_print(
        text,
        "  \"normalizer\": null,\n  \"pre_tokenizer\": %s,\n  \"post_processor\": null,\n"
        "  \"decoder\": %s,\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
        "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
        "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
        "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {",
        byte_level, byte_level);
    for (int id = 0; id < bpe_size(bpe); id++) {
        bytes_append_text(text, id ? ",\n      " : "\n      ");
        append_quoted(bpe, text, id);
        bytes_print(text, ": %d", id);
    }
    bytes_append_text(text, "\n    },\n    \"merges\": [");
    for (int i = 0; i < bpe->merge_count; i++) {
        Bytes pair = {0};
        append_token(bpe, &pair, bpe->merges[i].left);
        bytes_append_text(&pair, " ");
        append_token(bpe, &pair, bpe->merges[i].right);
        bytes_append_text(text, i ? ",\n      " : "\n      ");
        jsonl_append_string(text, pair.data);
        bytes_free(&pair);
    }
    bytes_append_text(text, "\n    ]\n  }\n}\n");
}

static int commoner(const void *a, const void *b)
{
    const Word *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->text, y->text);
}

void bpe_append_words(const Bpe *bpe, Bytes *text)
{
    Word *sorted = allocate(bpe->word_count, sizeof *sorted);
    memcpy(sorted, bpe->words, bpe->word_count * sizeof *sorted);
    qsort(sorted, bpe->word_count, sizeof *sorted, commoner);
    for (size_t i = 0; i < bpe->word_count; i++) {
        bytes_print(text, "%lld\t", (long long)sorted[i].count);
        jsonl_append_string(text, sorted[i].text);
        bytes_append_text(text, "\n");
    }
    release(sorted);
}
