// test_llama_cpp_ids.c - SmolLM2's token ids are those that llama.cpp finds in the original GGUF.
//
//     test_llama_cpp_ids MODEL_DIRECTORY IDS.jsonl
//
// IDS.jsonl was written by tests/peers/llama_cpp_ids.py.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "input/jsonl.h"
#include "text/tokenizer.h"

static const char *model, *ids_file;

static bool same_ids(const json_t *expected, const Tokens *found)
{
    if (json_array_size(expected) != (size_t)found->count)
        return false;
    for (int64_t i = 0; i < found->count; i++)
        if (json_integer_value(json_array_get(expected, (size_t)i)) != found->ids[i])
            return false;
    return true;
}

static void ids_are_those_of_llama_cpp(void **state)
{
    (void)state;
    Tokenizer *tokenizer = tokenizer_open(model);
    if (!tokenizer)
        die_failed();
    JsonlReader *reader;
    if (jsonl_open(&reader, ids_file) != 0)
        die_failed();
    json_t *line;
    int64_t lines = 0, different = 0;
    while (jsonl_next(reader, &line) == 1) {
        const json_t *text = json_object_get(line, "text");
        Tokens found = {0};
        tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), &found);
        if (!same_ids(json_object_get(line, "ids"), &found)) {
            print_error("line %lld differs: %s\n", (long long)lines + 1, json_string_value(text));
            different++;
        }
        tokens_free(&found);
        json_decref(line);
        lines++;
    }
    assert_int_equal(jsonl_close(reader, false, NULL), 0);
    tokenizer_close(tokenizer);
    assert_int_equal(lines, 1000);
    assert_int_equal(different, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_llama_cpp),
    };
    if (argc != 3)
        return 1;
    model = argv[1];
    ids_file = argv[2];
    if (access(model, R_OK) != 0) {
        printf("no model in %s: tools/smollm2.sh makes it\n", model);
        return TEST_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
