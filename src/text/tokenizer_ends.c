#include "base/fail.h"
#include "text/model_file.h"
#include "text/tokenizer_parts.h"

static int add_end(Tokenizer *tokenizer, const json_t *value)
{
    int64_t id = json_integer_value(value);
    if (!json_is_integer(value) || id < 0 || id >= tokenizer->vocabulary.size)
        return fail(EXIT_BAD_DATA, "'eos_token_id' must hold ids from 0 to %lld",
                    (long long)tokenizer->vocabulary.size - 1);
    tokens_append(&tokenizer->end_tokens, (int32_t)id);
    return 0;
}

// The ids of "eos_token_id", a number or a list, in the file `name`.
static int read_ids(Tokenizer *tokenizer, const char *directory, const char *name)
{
    json_t *root;
    if (model_file_read(directory, name, false, &root))
        return -1;
    const json_t *item, *ids = json_object_get(root, "eos_token_id");
    int status = 0;
    size_t i;
    if (json_is_array(ids)) {
        json_array_foreach(ids, i, item)
        {
            status = status ? status : add_end(tokenizer, item);
        }
    } else if (ids && !json_is_null(ids)) {
        status = add_end(tokenizer, ids);
    }
    json_decref(root);
    return status ? fail_context("%s/%s", directory, name) : 0;
}

// "eos_token" is a string, or an object whose "content" is one.
static int read_name(Tokenizer *tokenizer, const char *directory, const json_t *config)
{
    const json_t *token = json_object_get(config, "eos_token");
    const char *name =
        json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
    if (!name)
        return 0;
    int32_t id = tokenizer_find(tokenizer, name);
    if (id < 0)
        return fail(EXIT_BAD_DATA,
                    "%s/tokenizer_config.json: 'eos_token' is '%s', which tokenizer.json lacks",
                    directory, name);
    tokens_append(&tokenizer->end_tokens, id);
    return 0;
}

int tokenizer_load_ends(Tokenizer *tokenizer, const char *directory, const json_t *config)
{
    if (read_ids(tokenizer, directory, "generation_config.json"))
        return -1;
    if (tokenizer->end_tokens.count == 0 && read_ids(tokenizer, directory, "config.json"))
        return -1;
    return tokenizer->end_tokens.count == 0 ? read_name(tokenizer, directory, config) : 0;
}
