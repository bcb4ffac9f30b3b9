// test_tokenizer_files.c - what a model directory may not say, and what is said about it.

#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "tests/text/small.h"
#include "text/model_file.h"
#include "text/tokenizer.h"

static const char good[] =
    "{\"added_tokens\": [{\"id\": 3, \"content\": \"<|e|>\", \"special\": true}],"
    " \"normalizer\": null,"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false},"
    " \"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\"},"
    " \"model\": {\"type\": \"BPE\", \"dropout\": null, \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2},"
    " \"merges\": [\"a b\"]}}";

// Opens `good` with `from` replaced by `to`, and `file` (may be NULL) beside it.
static Tokenizer *open_changed(const char *from, const char *to, const char *file,
                               const char *content)
{
    Bytes text = {0};
    const char *place = strstr(good, from);
    assert_non_null(place);
    bytes_print(&text, "%.*s%s%s", (int)(place - good), good, to, place + strlen(from));
    char *directory = small_directory();
    small_write(directory, "tokenizer.json", text.data, NULL);
    if (file)
        small_write(directory, file, content, NULL);
    Tokenizer *tokenizer = tokenizer_open(directory);
    small_remove(directory);
    bytes_free(&text);
    return tokenizer;
}

static void assert_says(const char *part)
{
    if (!strstr(fail_message(), part))
        fail_msg("'%s' does not say '%s'", fail_message(), part);
}

static void assert_refused(const char *from, const char *to, const char *message)
{
    Tokenizer *tokenizer = open_changed(from, to, NULL, NULL);
    if (tokenizer)
        fail_msg("'%s' was accepted", to);
    assert_says(message);
    assert_says("/tokenizer.json");
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
}

static void the_unchanged_file_is_accepted(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_changed("\"a b\"", "[\"a\", \"b\"]", NULL, NULL);
    assert_non_null(tokenizer);
    Tokens ids = {0};
    tokenizer_encode(tokenizer, "ab", 2, &ids);
    assert_int_equal(ids.count, 1);
    assert_int_equal(ids.ids[0], 2);
    assert_int_equal(tokenizer_size(tokenizer), 4);
    assert_int_equal(tokenizer_end_tokens(tokenizer)->count, 0);
    tokens_free(&ids);
    tokenizer_close(tokenizer);
}

static void unknown_components_are_refused_by_name(void **state)
{
    (void)state;
    static const char nothing[] = "\"normalizer\": null", *const pre =
                                                              "{\"type\": \"ByteLevel\", \"add";
    assert_refused(nothing, "\"normalizer\": {\"type\": \"Lowercase\"}",
                   "the normalizer 'Lowercase' is not supported (known: NFC)");
    assert_refused(nothing,
                   "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": "
                   "\"NFC\"}, {\"type\": \"Strip\"}]}",
                   "the normalizer 'Strip'");
    assert_refused(pre, "{\"type\": \"Metaspace\", \"add", "the pre_tokenizer 'Metaspace'");
    assert_refused("\"post_processor\": null", "\"post_processor\": {\"type\": \"Bert\"}",
                   "the post_processor 'Bert'");
    assert_refused("\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Fuse\"}",
                   "the decoder 'Fuse'");
    assert_refused("\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": null", "the decoder ''");
    assert_refused("\"BPE\"", "\"Unigram\"", "the model 'Unigram'");
}

static void assert_pre_refused(const char *parts, const char *message)
{
    Bytes sequence = {0};
    bytes_print(&sequence, "{\"type\": \"Sequence\", \"pretokenizers\": [%s]}", parts);
    assert_refused("{\"type\": \"ByteLevel\", \"add_prefix_space\": false}", sequence.data,
                   message);
    bytes_free(&sequence);
}

static void pre_tokenisers_in_an_order_we_do_not_know_are_refused(void **state)
{
    (void)state;
    const char bytes[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}";
    char digits_last[200];
    snprintf(digits_last, sizeof digits_last, "%s, {\"type\": \"Digits\"}", bytes);
    assert_pre_refused("", "lacks 'ByteLevel'");
    assert_pre_refused("{\"type\": \"Digits\"}", "lacks 'ByteLevel'");
    assert_pre_refused(digits_last, "'Digits' behind 'ByteLevel'");
    assert_pre_refused("{\"type\": \"Digits\"}, {\"type\": \"Digits\"}", "only as the first");
    assert_pre_refused("{\"type\": \"ByteLevel\"}", "'add_prefix_space'");
    assert_pre_refused("{\"type\": \"Split\", \"behavior\": \"Removed\"}", "'Removed'");
    assert_pre_refused("{\"type\": \"Split\", \"behavior\": \"Isolated\", \"pattern\": {\"Regex\": "
                       "\"x+\"}}",
                       "the pattern of pre_tokenizer 'Split' 'x+' is not supported");
    assert_pre_refused("{\"type\": \"Split\", \"behavior\": \"Isolated\", \"invert\": true}",
                       "'invert'");
}

static void models_that_do_more_than_merge_are_refused(void **state)
{
    (void)state;
    const char place[] = "\"dropout\": null";
    assert_refused(place, "\"dropout\": 0.1", "'dropout'");
    assert_refused(place, "\"continuing_subword_prefix\": \"##\"", "'continuing_subword_prefix'");
    assert_refused(place, "\"end_of_word_suffix\": \"</w>\"", "'end_of_word_suffix'");
    assert_refused(place, "\"byte_fallback\": true", "'byte_fallback'");
    assert_refused(place, "\"unk_token\": \"a\"", "lacks the byte 0x00");
}

static void vocabularies_with_faults_are_refused(void **state)
{
    (void)state;
    assert_refused("\"vocab\": {", "\"words\": {", "no 'vocab'");
    assert_refused("\"b\": 1", "\"b\": 0", "two tokens have the id 0");
    assert_refused("\"b\": 1", "\"b\": -1", "the token 'b' needs an integer id");
    assert_refused("\"b\": 1", "\"b\": 1.5", "the token 'b' needs an integer id");
    assert_refused("\"b\": 1", "\"b\": 16777216", "the token 'b' needs an integer id");
    assert_refused("\"b\": 1", "\"\": 1", "the token of id 1 is empty");
    assert_refused("\"b\": 1", "\"a\": 1", "duplicate object key");
}

static void merges_with_faults_are_refused(void **state)
{
    (void)state;
    assert_refused("\"merges\"", "\"pairs\"", "no list 'merges'");
    assert_refused("\"a b\"", "\"ab\"", "merge 0: 'ab' is not two tokens");
    assert_refused("\"a b\"", "\"a b c\"", "is not two tokens");
    assert_refused("\"a b\"", "[\"a\"]", "merge 0: not a pair");
    assert_refused("\"a b\"", "7", "merge 0: not a pair");
    assert_refused("\"a b\"", "\"x b\"", "the first token is not in the vocabulary");
    assert_refused("\"a b\"", "\"a x\"", "the second token is not in the vocabulary");
    assert_refused("\"a b\"", "\"b a\"", "the joined token is not in the vocabulary");
    assert_refused("\"a b\"", "\" b\"", "one of the two tokens is empty");
    assert_refused("\"a b\"", "[\"a\", \"\\u4f60\"]", "are not byte-level text");
}

static void added_tokens_with_faults_are_refused(void **state)
{
    (void)state;
    assert_refused("\"id\": 3", "\"id\": 2", "the added token '<|e|>' has the id 2 of another");
    assert_refused("\"id\": 3", "\"it\": 3", "the token '<|e|>' needs an integer id");
    assert_refused("\"content\": \"<|e|>\"", "\"content\": \"\"", "added token 0 has no content");
    assert_refused("\"special\": true", "\"lstrip\": true", "'lstrip', which is not supported");
    assert_refused("\"special\": true", "\"rstrip\": true", "'rstrip', which is not supported");
    assert_refused("\"special\": true", "\"single_word\": true", "'single_word', which is not");
}

static void files_that_are_not_there_or_not_json_are_named(void **state)
{
    (void)state;
    assert_null(tokenizer_open("/no/such/place"));
    assert_says("/no/such/place/tokenizer.json: no such file");
    assert_int_equal(fail_code(), EXIT_NO_INPUT);
    assert_null(open_changed("{", "[", NULL, NULL));
    assert_says("/tokenizer.json:1: ");
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
    assert_null(open_changed("{", "", "tokenizer_config.json", "[]"));
    assert_null(open_changed("\"a b\"", "\"a b\"", "tokenizer_config.json", "[1]"));
    assert_says("/tokenizer_config.json: the file must hold one JSON object");
}

// Nesting, NUL and the size of a file: what json_file_read leaves no parser of ours to meet.
static void files_beyond_the_limits_are_refused(void **state)
{
    (void)state;
    Bytes deep = {0};
    for (int i = 0; i < 2100; i++)
        bytes_append_text(&deep, "{\"type\": \"Sequence\", \"normalizers\": [");
    assert_refused("\"normalizer\": null", "\"normalizer\": 1e999", "real number overflow");
    assert_refused("\"a b\"", "\"a\\u0000b\"", "\\u0000 is not allowed");
    Bytes text = {0};
    bytes_print(&text, "\"normalizer\": %s", deep.data);
    assert_refused("\"normalizer\": null", text.data, "maximum parsing depth reached");
    bytes_free(&deep);
    bytes_free(&text);
    char *directory = small_directory();
    small_write(directory, "tokenizer.json", good, NULL);
    bytes_print(&text, "%s/tokenizer.json", directory);
    assert_int_equal(truncate(text.data, (off_t)MODEL_FILE_LIMIT + 1), 0);
    assert_null(tokenizer_open(directory));
    assert_says("has 100000001 bytes; at most 100000000 are allowed");
    small_remove(directory);
    bytes_free(&text);
}

static void assert_ends(const char *file, const char *content, int64_t count, int32_t last)
{
    Tokenizer *tokenizer = open_changed("\"a b\"", "\"a b\"", file, content);
    assert_non_null(tokenizer);
    const Tokens *ends = tokenizer_end_tokens(tokenizer);
    assert_int_equal(ends->count, count);
    if (count > 0)
        assert_int_equal(ends->ids[count - 1], last);
    tokenizer_close(tokenizer);
}

static void end_tokens_come_from_the_configurations(void **state)
{
    (void)state;
    assert_ends("generation_config.json", "{\"eos_token_id\": [3, 1]}", 2, 1);
    assert_ends("generation_config.json", "{\"eos_token_id\": 3}", 1, 3);
    assert_ends("generation_config.json", "{\"eos_token_id\": null}", 0, 0);
    assert_ends("config.json", "{\"eos_token_id\": 2}", 1, 2);
    assert_ends("tokenizer_config.json", "{\"eos_token\": \"<|e|>\"}", 1, 3);
    assert_ends("tokenizer_config.json", "{\"eos_token\": {\"content\": \"<|e|>\"}}", 1, 3);
    assert_ends("tokenizer_config.json", "{\"eos_token\": null}", 0, 0);
}

static void end_tokens_that_are_no_tokens_are_refused(void **state)
{
    (void)state;
    const char same[] = "\"a b\"";
    assert_null(open_changed(same, same, "generation_config.json", "{\"eos_token_id\": 4}"));
    assert_says("/generation_config.json: 'eos_token_id' must hold ids from 0 to 3");
    assert_null(open_changed(same, same, "config.json", "{\"eos_token_id\": [1, \"x\"]}"));
    assert_says("/config.json: 'eos_token_id'");
    assert_null(open_changed(same, same, "tokenizer_config.json", "{\"eos_token\": \"<x>\"}"));
    assert_says("'eos_token' is '<x>', which tokenizer.json lacks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unchanged_file_is_accepted),
        cmocka_unit_test(unknown_components_are_refused_by_name),
        cmocka_unit_test(pre_tokenisers_in_an_order_we_do_not_know_are_refused),
        cmocka_unit_test(models_that_do_more_than_merge_are_refused),
        cmocka_unit_test(vocabularies_with_faults_are_refused),
        cmocka_unit_test(merges_with_faults_are_refused),
        cmocka_unit_test(added_tokens_with_faults_are_refused),
        cmocka_unit_test(files_that_are_not_there_or_not_json_are_named),
        cmocka_unit_test(files_beyond_the_limits_are_refused),
        cmocka_unit_test(end_tokens_come_from_the_configurations),
        cmocka_unit_test(end_tokens_that_are_no_tokens_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
