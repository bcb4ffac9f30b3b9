// test_peft_adapter.c - which configurations of PEFT are taken, and what is said of the others.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "tasks/peft_adapter.h"
#include "tests/files/scratch.h"

// As PEFT 0.19 writes it, shortened by keys that only matter to training there.
static const char config[] =
    "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"models/base\", \"r\": 8,\n"
    " \"lora_alpha\": 12.5, \"target_modules\": [\"v_proj\", \"q_proj\"], \"bias\": \"none\",\n"
    " \"init_lora_weights\": true, \"use_rslora\": false, \"rank_pattern\": {},\n"
    " \"modules_to_save\": null, \"exclude_modules\": [], \"lora_dropout\": 0.05}\n";

static void plain_lora_is_taken(void **state)
{
    (void)state;
    StoredAdapter stored;
    AdapterShape shape = {.rank = 8, .alpha = 12.5};
    shape.targets[LINEAR_Q] = shape.targets[LINEAR_V] = true;
    assert_false(peft_adapter_is(scratch_path("")));
    scratch_write_text("adapter_config.json", config);
    assert_true(peft_adapter_is(scratch_path("")));
    assert_int_equal(peft_adapter_read(&stored, scratch_path("")), 0);
    assert_true(adapter_same(&stored.shape, &shape));
    assert_string_equal(stored.base, "models/base");
    assert_true(stored.checksum == 0);
    stored_adapter_free(&stored);
}

// The configuration with the first `old` replaced.
static void write_changed(const char *old, const char *new)
{
    const char *at = strstr(config, old);
    Bytes text = {0};
    assert_non_null(at);
    bytes_print(&text, "%.*s%s%s", (int)(at - config), config, new, at + strlen(old));
    scratch_write_text("adapter_config.json", text.data);
    bytes_free(&text);
}

static void what_computes_something_else_is_refused_by_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *message;
    } cases[] = {
        {"LORA", "LOHA", "'peft_type' is not LORA"},
        {"\"use_rslora\": false", "\"use_rslora\": true", "'use_rslora' is set"},
        {"{}", "{\"q_proj\": 4}", "'rank_pattern' is set"},
        {"\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]", "'modules_to_save'"},
        {"\"none\"", "\"all\"", "'bias' is 'all'"},
        {"\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"", "is 'pissa'"},
        {"\"r\": 8", "\"r\": 0", "'r' is not a whole number from 1"},
        {"\"r\": 8", "\"r\": 8.5", "'r' is not a whole number from 1"},
        {"12.5", "-1", "'lora_alpha' is not a number from 1e-6 to 1e6"},
        {"12.5", "1e300", "'lora_alpha' is not a number from 1e-6 to 1e6"},
        {"12.5", "\"12\"", "'lora_alpha' is not a number from 1e-6 to 1e6"},
        {"\"q_proj\"", "\"lm_head\"", "'target_modules': 'lm_head' is no linear layer"},
        {"\"q_proj\"", "7", "'target_modules': '' is no linear layer"},
        {"[\"v_proj\", \"q_proj\"]", "\".*_proj\"", "'target_modules' is no list of names"},
        {"\"models/base\"", "null", "'base_model_name_or_path' is missing"},
        {"\"LORA\",", "\"LORA\"", "adapter_config.json:1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        StoredAdapter stored;
        write_changed(cases[i].old, cases[i].new);
        assert_int_equal(peft_adapter_read(&stored, scratch_path("")), -1);
        assert_failed(EXIT_BAD_DATA, cases[i].message);
        assert_failed(EXIT_BAD_DATA, "adapter_config.json");
        stored_adapter_free(&stored);
    }
}

static void pairs_that_are_not_there_are_named(void **state)
{
    (void)state;
    float value;
    const Parameters none = {0};
    assert_int_equal(peft_adapter_load(scratch_path(""), &none, &value), -1);
    assert_failed(EXIT_NO_INPUT, "adapter_model.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lora_is_taken),
        cmocka_unit_test(what_computes_something_else_is_refused_by_its_key),
        cmocka_unit_test(pairs_that_are_not_there_are_named),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
