// test_vocabularies.c - published vocabularies, where they are at hand: ids that are known.
//
// Qwen3's from LEARN2ASK_DATA (tokenizers/qwen3), SmolLM2's from models/smollm2-135m-instruct,
// which tools/smollm2.sh makes.

#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/chat.h"
#include "text/tokenizer.h"

static Bytes qwen3, smollm2; // directories

// A tokenizer, or NULL where its directory is absent.
static Tokenizer *open_if_there(const Bytes *directory)
{
    if (access(directory->data, R_OK) != 0) {
        print_message("skipped: no %s\n", directory->data);
        return NULL;
    }
    Tokenizer *tokenizer = tokenizer_open(directory->data);
    if (!tokenizer)
        fail_msg("%s", fail_message());
    return tokenizer;
}

static void assert_encodes(const Tokenizer *tokenizer, const char *text, const int32_t *expected,
                           int64_t count)
{
    Tokens ids = {0};
    tokenizer_encode(tokenizer, text, strlen(text), &ids);
    assert_int_equal(ids.count, count);
    assert_memory_equal(ids.ids, expected, (size_t)count * sizeof *expected);
    tokens_free(&ids);
}

static void smollm2_gives_llama_cpps_and_hugging_faces_ids(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_if_there(&smollm2);
    if (!tokenizer)
        skip();
    static const int32_t ids[] = {19556, 28, 339, 457, 761, 216, 33,   34,   35,  7971, 1675, 216,
                                  34,    32, 34,  36,  30,  339, 5248, 4979, 198, 198,  2231};
    assert_encodes(tokenizer, "Hello, I have had 123 fever since 2024. I'm fine\n\nok", ids, 23);
    assert_int_equal(tokenizer_size(tokenizer), 49152);
    assert_int_equal(tokenizer_find(tokenizer, "<|im_end|>"), 2);
    assert_int_equal(tokenizer_end_tokens(tokenizer)->ids[0], 2);
    tokenizer_close(tokenizer);
}

static void smollm2_introduces_itself(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_if_there(&smollm2);
    if (!tokenizer)
        skip();
    Chat *chat = chat_open(tokenizer, smollm2.data, "auto", false);
    assert_non_null(chat);
    assert_string_equal(chat_name(chat), "chatml");
    const ChatMessage message = {"user", "hi", 2};
    Bytes text = {0};
    assert_int_equal(chat_render(chat, &message, 1, true, &text), 0);
    assert_string_equal(text.data, "<|im_start|>system\nYou are a helpful AI assistant named "
                                   "SmolLM, trained by Hugging Face<|im_end|>\n"
                                   "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    bytes_free(&text);
    chat_close(chat);
    tokenizer_close(tokenizer);
}

static void qwen3_gives_hugging_faces_ids(void **state)
{
    (void)state;
    Tokenizer *tokenizer = open_if_there(&qwen3);
    if (!tokenizer)
        skip();
    static const int32_t ids[] = {9707, 11, 358, 614, 1030, 220, 16,  17,   18,   33553, 2474,
                                  220,  17, 15,  17,  19,   13,  358, 2776, 6915, 271,   562};
    assert_encodes(tokenizer, "Hello, I have had 123 fever since 2024. I'm fine\n\nok", ids, 22);
    assert_int_equal(tokenizer_size(tokenizer), 151669);
    static const int32_t thought[] = {9707, 220, 151667, 220, 16, 17, 18, 1879};
    assert_encodes(tokenizer, "Hello <think> 123 world", thought, 8);
    Chat *chat = chat_open(tokenizer, qwen3.data, "auto", false);
    assert_non_null(chat);
    assert_string_equal(chat_name(chat), "qwen3");
    chat_close(chat);
    tokenizer_close(tokenizer);
}

int main(void)
{
    const char *data = getenv("LEARN2ASK_DATA");
    bytes_print(&qwen3, "%s/tokenizers/qwen3", data ? data : DEFAULT_DATA);
    bytes_print(&smollm2, "%s", SMOLLM2);
    if (access(qwen3.data, R_OK) != 0 && access(smollm2.data, R_OK) != 0) {
        printf("skipped: neither %s nor %s\n", qwen3.data, smollm2.data);
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_gives_llama_cpps_and_hugging_faces_ids),
        cmocka_unit_test(smollm2_introduces_itself),
        cmocka_unit_test(qwen3_gives_hugging_faces_ids),
    };
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    bytes_free(&qwen3);
    bytes_free(&smollm2);
    return status;
}
