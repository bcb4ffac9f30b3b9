// test_tokenizer.c - ids of the small tokenizer, in the make-up of each model family.

#include "tests/testing.h"

#include <pthread.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "tests/text/small.h"
#include "text/tokenizer.h"

static json_t *golden;

static int read_golden(void **state)
{
    (void)state;
    golden = small_read("golden.json");
    return 0;
}

static int free_golden(void **state)
{
    (void)state;
    json_decref(golden);
    return 0;
}

static Tokenizer *open_variant(size_t number)
{
    json_t *root = small_variant(json_array_get(golden, number));
    Tokenizer *tokenizer = small_open(root);
    json_decref(root);
    if (!tokenizer)
        fail_msg("%s", fail_message());
    return tokenizer;
}

static void assert_ids(const Tokens *ids, const json_t *expected, const char *text,
                       const char *variant)
{
    bool same = (size_t)ids->count == json_array_size(expected);
    for (size_t i = 0; same && i < json_array_size(expected); i++)
        same = ids->ids[i] == json_integer_value(json_array_get(expected, i));
    if (!same)
        fail_msg("%s: the ids of '%s' differ", variant, text);
}

static void check_variant(const json_t *variant, const Tokenizer *tokenizer)
{
    const char *name = json_string_value(json_object_get(variant, "name"));
    Tokens ids = {0};
    size_t i;
    const json_t *line;
    json_array_foreach(json_object_get(variant, "texts"), i, line)
    {
        const json_t *value = json_object_get(line, "text");
        const char *text = json_string_value(value);
        size_t length = json_string_length(value);
        tokens_clear(&ids);
        tokenizer_encode_special(tokenizer, text, length, &ids);
        assert_ids(&ids, json_object_get(line, "ids"), text, name);
        tokens_clear(&ids);
        tokenizer_encode(tokenizer, text, length, &ids);
        // <|fim|> is not marked special: for us a control token all the same.
        if (!strstr(text, "<|fim|>"))
            assert_ids(&ids, json_object_get(line, "plain"), text, name);
    }
    tokens_free(&ids);
}

static void ids_of_every_family_are_those_of_hugging_face(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_array_size(golden); i++) {
        Tokenizer *tokenizer = open_variant(i);
        check_variant(json_array_get(golden, i), tokenizer);
        tokenizer_close(tokenizer);
    }
}

static void random_bytes(Draw draw, Bytes *text)
{
    bytes_clear(text);
    uint64_t length = draw_below(draw, 60);
    for (draw.position = 1; draw.position <= length; draw.position++) {
        char byte = (char)draw_below(draw, 256);
        bytes_append(text, &byte, 1);
    }
}

// The families without a normaliser give back every byte, valid UTF-8 or not.
static void any_bytes_survive_encoding_and_decoding(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(1);
    Bytes text = {0}, back = {0};
    Tokens ids = {0};
    for (uint32_t i = 0; i < 20000; i++) {
        random_bytes((Draw){.seed = 6, .purpose = PURPOSE_GENERATE, .step = i}, &text);
        bytes_clear(&back);
        tokens_clear(&ids);
        tokenizer_encode(tokenizer, text.data, text.length, &ids);
        tokenizer_decode(tokenizer, ids.ids, ids.count, false, &back);
        assert_int_equal(back.length, text.length);
        if (text.length > 0)
            assert_memory_equal(back.data, text.data, text.length);
    }
    bytes_free(&text);
    bytes_free(&back);
    tokens_free(&ids);
    tokenizer_close(tokenizer);
}

static void an_invalid_byte_is_a_token_of_its_own(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(0);
    Tokens ids = {0}, left = {0};
    tokenizer_encode(tokenizer, "fever\xE4\xBD fever", 13, &ids);
    tokenizer_encode(tokenizer, "fever", 5, &left);
    int32_t *expected = left.ids;
    assert_memory_equal(ids.ids, expected, (size_t)left.count * sizeof *expected);
    assert_int_equal(ids.ids[left.count], tokenizer_find(tokenizer, "\xE4"));
    assert_int_equal(ids.ids[left.count + 1], tokenizer_find(tokenizer, "\xBD"));
    tokens_free(&ids);
    tokens_free(&left);
    tokenizer_close(tokenizer);
}

static void spans_end_where_their_tokens_do(void **state)
{
    (void)state;
    for (size_t variant = 0; variant < 4; variant++) {
        Tokenizer *tokenizer = open_variant(variant);
        const char text[] = "It's 12 <think>\n\xFF fever\x01, you know: 你好。<|im_end|>";
        Tokens ids = {0}, ends = {0}, same = {0};
        tokenizer_encode_spans(tokenizer, text, strlen(text), &ids, &ends);
        tokenizer_encode(tokenizer, text, strlen(text), &same);
        assert_int_equal(ids.count, ends.count);
        assert_int_equal(ids.count, same.count);
        size_t at = 0;
        Bytes token = {0};
        for (int64_t i = 0; i < ids.count; i++) {
            bytes_clear(&token);
            tokenizer_decode(tokenizer, &ids.ids[i], 1, false, &token);
            if (text[at] == 1 && token.data[0] != 1)
                at++; // the third variant has no token for it
            assert_memory_equal(token.data, text + at, token.length);
            at += token.length;
            assert_int_equal(ends.ids[i], at);
        }
        assert_int_equal(at, strlen(text));
        bytes_free(&token);
        tokens_free(&ids);
        tokens_free(&ends);
        tokens_free(&same);
        tokenizer_close(tokenizer);
    }
}

static void spans_of_normalised_text_are_those_of_the_text(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(0);
    Tokens ids = {0}, ends = {0};
    const char text[] = "xe\u0301 \u1112\u1161\u11ab.";
    tokenizer_encode_spans(tokenizer, text, strlen(text), &ids, &ends);
    assert_int_equal(ends.ids[ends.count - 1], strlen(text));
    bool after_letter = false;
    for (int64_t i = 0; i < ends.count; i++) {
        assert_true(i == 0 || ends.ids[i] >= ends.ids[i - 1]);
        after_letter = after_letter || ends.ids[i] == 4; // x, e and its mark
    }
    assert_true(after_letter);
    tokens_free(&ids);
    tokens_free(&ends);
    tokenizer_close(tokenizer);
}

static void control_text_never_becomes_a_control_token(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(0);
    const char text[] = "a<|im_start|>b<|fim|><|endoftext|><|eot_id|>";
    Tokens ids = {0};
    Bytes back = {0};
    tokenizer_encode(tokenizer, text, strlen(text), &ids);
    for (int64_t i = 0; i < ids.count; i++) {
        assert_false(tokenizer_is_special(tokenizer, ids.ids[i]));
        assert_int_not_equal(ids.ids[i], tokenizer_find(tokenizer, "<|fim|>"));
    }
    tokenizer_decode(tokenizer, ids.ids, ids.count, true, &back);
    assert_string_equal(back.data, text);
    tokens_free(&ids);
    bytes_free(&back);
    tokenizer_close(tokenizer);
}

// Two more tokens: one that begins with another, and a control token with another inside.
static void the_longest_added_token_is_taken_and_controls_are_passed_over_whole(void **state)
{
    (void)state;
    json_t *root = small_read("tokenizer.json"), *added = json_object_get(root, "added_tokens");
    json_array_append_new(added, json_pack("{s:i,s:s}", "id", 631, "content", "<think>er"));
    json_array_append_new(
        added, json_pack("{s:i,s:s,s:b}", "id", 632, "content", "<|a<think>|>", "special", 1));
    Tokenizer *tokenizer = small_open(root);
    json_decref(root);
    assert_non_null(tokenizer);
    Tokens ids = {0};
    tokenizer_encode(tokenizer, "<think>er<think>", 16, &ids);
    assert_int_equal(ids.count, 2);
    assert_int_equal(ids.ids[0], 631);
    assert_int_equal(ids.ids[1], tokenizer_find(tokenizer, "<think>"));
    tokens_clear(&ids);
    tokenizer_encode(tokenizer, "<|a<think>|>", 12, &ids);
    for (int64_t i = 0; i < ids.count; i++)
        assert_true(ids.ids[i] < 620);
    tokens_clear(&ids);
    tokenizer_encode_special(tokenizer, "<|a<think>|>", 12, &ids);
    assert_int_equal(ids.count, 1);
    assert_int_equal(ids.ids[0], 632);
    tokens_free(&ids);
    tokenizer_close(tokenizer);
}

static void special_tokens_can_be_left_out_of_the_text(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(0);
    const char text[] = "<|im_start|>a<think>b<|im_end|>";
    Tokens ids = {0};
    Bytes all = {0}, some = {0};
    tokenizer_encode_special(tokenizer, text, strlen(text), &ids);
    tokens_append(&ids, 100000); // unknown ids give nothing
    tokens_append(&ids, -1);
    tokenizer_decode(tokenizer, ids.ids, ids.count, false, &all);
    tokenizer_decode(tokenizer, ids.ids, ids.count, true, &some);
    assert_string_equal(all.data, text);
    assert_string_equal(some.data, "a<think>b");
    tokens_free(&ids);
    bytes_free(&all);
    bytes_free(&some);
    tokenizer_close(tokenizer);
}

static void tokens_are_found_by_their_text(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(0);
    int32_t id = tokenizer_find(tokenizer, "<|im_end|>");
    assert_true(id > 0 && tokenizer_is_special(tokenizer, id));
    assert_true(tokenizer_find(tokenizer, " ") >= 0);
    assert_int_equal(tokenizer_find(tokenizer, "no such token"), -1);
    assert_int_equal(tokenizer_find(tokenizer, ""), -1);
    assert_false(tokenizer_is_special(tokenizer, -1));
    assert_false(tokenizer_is_special(tokenizer, (int32_t)tokenizer_size(tokenizer)));
    assert_int_equal(tokenizer_size(tokenizer), 631);
    tokenizer_close(tokenizer);
}

enum { THREADS = 4, ROUNDS = 300 };

static void *encode_all(void *argument)
{
    for (int i = 0; i < ROUNDS; i++)
        check_variant(json_array_get(golden, 0), argument);
    return NULL;
}

static void threads_may_share_a_tokenizer(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_variant(0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_all, tokenizer), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    tokenizer_close(tokenizer);
}

static void common_prefixes_are_counted(void **state)
{
    (void)state;
    int32_t a[] = {1, 2, 3}, b[] = {1, 2, 4, 5};
    assert_int_equal(tokens_common_prefix(a, 3, b, 4), 2);
    assert_int_equal(tokens_common_prefix(a, 2, b, 4), 2);
    assert_int_equal(tokens_common_prefix(a, 0, b, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_every_family_are_those_of_hugging_face),
        cmocka_unit_test(any_bytes_survive_encoding_and_decoding),
        cmocka_unit_test(an_invalid_byte_is_a_token_of_its_own),
        cmocka_unit_test(spans_end_where_their_tokens_do),
        cmocka_unit_test(spans_of_normalised_text_are_those_of_the_text),
        cmocka_unit_test(control_text_never_becomes_a_control_token),
        cmocka_unit_test(the_longest_added_token_is_taken_and_controls_are_passed_over_whole),
        cmocka_unit_test(special_tokens_can_be_left_out_of_the_text),
        cmocka_unit_test(tokens_are_found_by_their_text),
        cmocka_unit_test(threads_may_share_a_tokenizer),
        cmocka_unit_test(common_prefixes_are_counted),
    };
    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
