#include <limits.h>
#include <string.h>

#include "base/fail.h"
#include "text/model_file.h"
#include "text/tokenizer_parts.h"

// What a model may say besides vocabulary and merges, and the only value that we can honour.
static int check_model(const json_t *model)
{
    const char *type = model_file_type(model);
    if (strcmp(type, "BPE") != 0)
        return fail(EXIT_BAD_DATA, "the model '%s' is not supported (known: BPE)", type);
    const json_t *dropout = json_object_get(model, "dropout");
    if (json_is_number(dropout) && json_number_value(dropout) != 0)
        return fail(EXIT_BAD_DATA, "'dropout' is not supported");
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++) {
        const char *affix = json_string_value(json_object_get(model, affixes[i]));
        if (affix && affix[0])
            return fail(EXIT_BAD_DATA, "'%s' is not supported", affixes[i]);
    }
    if (json_is_true(json_object_get(model, "byte_fallback")))
        return fail(EXIT_BAD_DATA, "'byte_fallback' is not supported");
    return 0;
}

// Raises `*size` above the id `value` of the token `content`.
static int raise_size(const char *content, const json_t *value, int64_t *size)
{
    int64_t id = json_integer_value(value);
    if (!json_is_integer(value) || id < 0 || id >= VOCABULARY_LARGEST)
        return fail(EXIT_BAD_DATA, "the token '%s' needs an integer id from 0 to %d", content,
                    VOCABULARY_LARGEST - 1);
    if (id >= *size)
        *size = id + 1;
    return 0;
}

static int measure(json_t *vocab, const json_t *added, int64_t *size)
{
    const char *content;
    json_t *value;
    json_object_foreach(vocab, content, value)
    {
        if (raise_size(content, value, size))
            return -1;
    }
    size_t i;
    json_array_foreach(added, i, value)
    {
        content = json_string_value(json_object_get(value, "content"));
        if (!content || !content[0])
            return fail(EXIT_BAD_DATA, "added token %zu has no content", i);
        if (raise_size(content, json_object_get(value, "id"), size))
            return -1;
    }
    return 0;
}

static int load_vocabulary(Vocabulary *vocabulary, json_t *vocab)
{
    const char *content;
    json_t *value;
    Bytes bytes = {0};
    int status = 0;
    json_object_foreach(vocab, content, value)
    {
        bytes_clear(&bytes);
        int32_t id = (int32_t)json_integer_value(value);
        bool mergeable = vocabulary_unwrap(content, strlen(content), &bytes);
        if (bytes.length == 0)
            status = fail(EXIT_BAD_DATA, "the token of id %d is empty", id);
        else if (!vocabulary_add(vocabulary, id, bytes.data, bytes.length, mergeable))
            status =
                fail(EXIT_BAD_DATA, "two tokens have the id %d, one of them '%s'", id, content);
        if (status)
            break;
    }
    bytes_free(&bytes);
    return status;
}

// The two halves of a merge, "a b" or ["a", "b"], unwrapped one behind the other into `bytes`.
static int split_merge(const json_t *merge, Bytes *bytes, size_t *left)
{
    const char *first = json_string_value(json_array_get(merge, 0));
    const char *second = json_string_value(json_array_get(merge, 1));
    size_t first_length = first ? strlen(first) : 0;
    if (json_is_string(merge)) {
        first = json_string_value(merge);
        const char *blank = strchr(first, ' ');
        if (!blank || strchr(blank + 1, ' '))
            return fail(EXIT_BAD_DATA, "'%s' is not two tokens with one blank between", first);
        first_length = (size_t)(blank - first);
        second = blank + 1;
    } else if (json_array_size(merge) != 2 || !first || !second) {
        return fail(EXIT_BAD_DATA, "not a pair of two strings");
    }
    bytes_clear(bytes);
    bool known = vocabulary_unwrap(first, first_length, bytes);
    *left = bytes->length;
    known = vocabulary_unwrap(second, strlen(second), bytes) && known;
    return known ? 0
                 : fail(EXIT_BAD_DATA, "'%.*s' and '%s' are not byte-level text", (int)first_length,
                        first, second);
}

static int load_merge(Tokenizer *tokenizer, const json_t *merge, uint32_t rank, Bytes *bytes)
{
    const Vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t left = 0;
    if (split_merge(merge, bytes, &left))
        return fail_context("merge %u", rank);
    if (left == 0 || left == bytes->length)
        return fail(EXIT_BAD_DATA, "merge %u: one of the two tokens is empty", rank);
    int32_t a = vocabulary_find(vocabulary, bytes->data, left);
    int32_t b = vocabulary_find(vocabulary, bytes->data + left, bytes->length - left);
    int32_t both = vocabulary_find(vocabulary, bytes->data, bytes->length);
    if (a < 0 || b < 0 || both < 0)
        return fail(EXIT_BAD_DATA, "merge %u: the %s token is not in the vocabulary", rank,
                    a < 0   ? "first"
                    : b < 0 ? "second"
                            : "joined");
    merge_add(&tokenizer->merges, a, b, rank, both);
    return 0;
}

static int load_merges(Tokenizer *tokenizer, const json_t *model)
{
    const json_t *merge, *merges = json_object_get(model, "merges");
    if (!json_is_array(merges) || json_array_size(merges) >= INT32_MAX)
        return fail(EXIT_BAD_DATA, "the model has no list 'merges'");
    merge_make(&tokenizer->merges, json_array_size(merges));
    tokenizer->merges.whole_first = json_is_true(json_object_get(model, "ignore_merges"));
    Bytes bytes = {0};
    int status = 0;
    size_t i;
    json_array_foreach(merges, i, merge)
    {
        status = load_merge(tokenizer, merge, (uint32_t)i, &bytes);
        if (status)
            break;
    }
    bytes_free(&bytes);
    return status;
}

// A byte without a token is dropped, which is what the library does without an unknown token.
static int check_unknown(const Tokenizer *tokenizer, const json_t *model)
{
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    for (int byte = 0; unknown && byte < 256; byte++) {
        if (tokenizer->vocabulary.byte[byte] < 0)
            return fail(EXIT_BAD_DATA,
                        "'unk_token' with a vocabulary that lacks the byte 0x%02X is not supported",
                        byte);
    }
    return 0;
}

// `<|...|>`: the families' way of writing a control token, whether or not it is marked special.
static bool looks_like_control(const char *content)
{
    size_t length = strlen(content);
    return length > 4 && memcmp(content, "<|", 2) == 0 &&
           memcmp(content + length - 2, "|>", 2) == 0;
}

static int check_added(const json_t *token, const char *content)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    for (int i = 0; i < 3; i++) {
        if (json_is_true(json_object_get(token, flags[i])))
            return fail(EXIT_BAD_DATA, "the added token '%s' has '%s', which is not supported",
                        content, flags[i]);
    }
    return 0;
}

static int load_added(Tokenizer *tokenizer, const json_t *token, int32_t id)
{
    const char *content = json_string_value(json_object_get(token, "content"));
    Vocabulary *vocabulary = &tokenizer->vocabulary;
    if (check_added(token, content))
        return -1;
    Bytes bytes = {0};
    vocabulary_unwrap(content, strlen(content), &bytes);
    bool same =
        vocabulary->tokens[id].length == bytes.length &&
        memcmp(vocabulary->text.data + vocabulary->tokens[id].start, bytes.data, bytes.length) == 0;
    bool fits = same || vocabulary_add(vocabulary, id, bytes.data, bytes.length, false);
    bytes_free(&bytes);
    if (!fits)
        return fail(EXIT_BAD_DATA, "the added token '%s' has the id %d of another token", content,
                    id);
    bool special = json_is_true(json_object_get(token, "special"));
    if (special)
        vocabulary->tokens[id].flags |= VOCABULARY_SPECIAL;
    bool normalised = json_is_true(json_object_get(token, "normalized"));
    added_add(normalised ? &tokenizer->composed : &tokenizer->raw, content, strlen(content), id,
              special || looks_like_control(content));
    return 0;
}

static int load_all_added(Tokenizer *tokenizer, const json_t *added)
{
    size_t i;
    const json_t *token;
    json_array_foreach(added, i, token)
    {
        if (load_added(tokenizer, token, (int32_t)json_integer_value(json_object_get(token, "id"))))
            return -1;
    }
    added_sort(&tokenizer->raw);
    added_sort(&tokenizer->composed);
    return 0;
}

static int load_root(Tokenizer *tokenizer, const json_t *root)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *added = json_object_get(root, "added_tokens");
    json_t *vocab = json_object_get(model, "vocab");
    if (check_model(model) || tokenizer_load_components(tokenizer, root))
        return -1;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return fail(EXIT_BAD_DATA, "the model has no 'vocab'");
    int64_t size = 0;
    if (measure(vocab, added, &size))
        return -1;
    vocabulary_make(&tokenizer->vocabulary, size, json_object_size(vocab));
    if (load_vocabulary(&tokenizer->vocabulary, vocab) || load_merges(tokenizer, model) ||
        check_unknown(tokenizer, model) || load_all_added(tokenizer, added))
        return -1;
    merge_mark_kept(&tokenizer->merges, &tokenizer->vocabulary);
    return 0;
}

int tokenizer_load(Tokenizer *tokenizer, const char *directory)
{
    json_t *root, *config;
    if (model_file_read(directory, "tokenizer.json", true, &root))
        return -1;
    int status = load_root(tokenizer, root);
    json_decref(root);
    if (status)
        return fail_context("%s/tokenizer.json", directory);
    if (model_file_read(directory, "tokenizer_config.json", false, &config))
        return -1;
    status = tokenizer_load_ends(tokenizer, directory, config);
    json_decref(config);
    return status;
}
