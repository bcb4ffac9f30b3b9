#include <string.h>

#include "base/fail.h"
#include "text/model_file.h"
#include "text/tokenizer_parts.h"

static int refuse(const char *what, const char *type, const char *known)
{
    return fail(EXIT_BAD_DATA, "the %s '%s' is not supported (known: %s)", what, type, known);
}

// True when `key` of `component` has the value `expected`; an absent key counts as `absent`.
static bool flag_is(const json_t *component, const char *key, bool expected, bool absent)
{
    const json_t *value = json_object_get(component, key);
    bool set = value ? json_is_true(value) : absent;
    return set == expected;
}

static int load_normaliser(Tokenizer *tokenizer, const json_t *component)
{
    const char *type = model_file_type(component);
    if (!component || json_is_null(component))
        return 0;
    if (strcmp(type, "NFC") == 0) {
        tokenizer->nfc = true;
        return 0;
    }
    if (strcmp(type, "Sequence") != 0)
        return refuse("normalizer", type, "NFC");
    size_t i;
    const json_t *item, *items = json_object_get(component, "normalizers");
    json_array_foreach(items, i, item)
    {
        if (load_normaliser(tokenizer, item))
            return -1;
    }
    return 0;
}

static int load_digits(Splitter *splitter, const json_t *component)
{
    if (splitter->digits || splitter->pattern != SPLIT_NONE)
        return fail(EXIT_BAD_DATA, "the pre_tokenizer 'Digits' is supported only as the first");
    splitter->digits = true;
    splitter->digits_individual = flag_is(component, "individual_digits", true, false);
    return 0;
}

static int load_split(Splitter *splitter, const json_t *component)
{
    const char *behaviour = json_string_value(json_object_get(component, "behavior"));
    const json_t *pattern = json_object_get(component, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    if (!behaviour || strcmp(behaviour, "Isolated") != 0)
        return refuse("behavior of pre_tokenizer 'Split'", behaviour ? behaviour : "", "Isolated");
    if (!flag_is(component, "invert", false, false))
        return fail(EXIT_BAD_DATA, "the pre_tokenizer 'Split' with 'invert' is not supported");
    if (splitter->pattern != SPLIT_NONE)
        return fail(EXIT_BAD_DATA, "two patterns in the pre_tokenizer are not supported");
    if (!regex || split_find(regex, &splitter->pattern))
        return refuse("pattern of pre_tokenizer 'Split'", regex ? regex : "",
                      "those of Qwen2, Qwen3, Llama 3 and GPT-2");
    return 0;
}

static int load_byte_level(Splitter *splitter, const json_t *component)
{
    if (!flag_is(component, "add_prefix_space", false, true))
        return fail(EXIT_BAD_DATA,
                    "the pre_tokenizer 'ByteLevel' with 'add_prefix_space' is not supported");
    if (flag_is(component, "use_regex", false, true))
        return 0;
    if (splitter->pattern != SPLIT_NONE)
        return fail(EXIT_BAD_DATA, "two patterns in the pre_tokenizer are not supported");
    splitter->pattern = SPLIT_GPT2;
    return 0;
}

// `bytes` becomes true at the ByteLevel component, which has to be there, and last.
static int load_pre_tokeniser(Splitter *splitter, const json_t *component, bool *bytes)
{
    const char *type = model_file_type(component);
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        const json_t *item, *items = json_object_get(component, "pretokenizers");
        json_array_foreach(items, i, item)
        {
            if (load_pre_tokeniser(splitter, item, bytes))
                return -1;
        }
        return 0;
    }
    if (*bytes)
        return fail(EXIT_BAD_DATA, "the pre_tokenizer '%s' behind 'ByteLevel' is not supported",
                    type);
    if (strcmp(type, "Digits") == 0)
        return load_digits(splitter, component);
    if (strcmp(type, "Split") == 0)
        return load_split(splitter, component);
    if (strcmp(type, "ByteLevel") != 0)
        return refuse("pre_tokenizer", type, "Sequence, Digits, Split, ByteLevel");
    *bytes = true;
    return load_byte_level(splitter, component);
}

// Both only matter for what we never ask for (tokens in front and behind, offsets), or not at all;
// a component that we do not know might do more.
static int check_post_processor(const json_t *component)
{
    const char *type = model_file_type(component);
    if (!component || json_is_null(component) || strcmp(type, "ByteLevel") == 0 ||
        strcmp(type, "TemplateProcessing") == 0)
        return 0;
    if (strcmp(type, "Sequence") != 0)
        return refuse("post_processor", type, "ByteLevel, TemplateProcessing");
    size_t i;
    const json_t *item, *items = json_object_get(component, "processors");
    json_array_foreach(items, i, item)
    {
        if (check_post_processor(item))
            return -1;
    }
    return 0;
}

int tokenizer_load_components(Tokenizer *tokenizer, const json_t *root)
{
    bool bytes = false;
    if (load_normaliser(tokenizer, json_object_get(root, "normalizer")) ||
        load_pre_tokeniser(&tokenizer->splitter, json_object_get(root, "pre_tokenizer"), &bytes) ||
        check_post_processor(json_object_get(root, "post_processor")))
        return -1;
    if (!bytes)
        return fail(EXIT_BAD_DATA, "the pre_tokenizer lacks 'ByteLevel'; only byte-level BPE is "
                                   "supported");
    const char *decoder = model_file_type(json_object_get(root, "decoder"));
    return strcmp(decoder, "ByteLevel") == 0 ? 0 : refuse("decoder", decoder, "ByteLevel");
}
