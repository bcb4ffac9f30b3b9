// The JSON Schema of the input file says of every setting what the program itself does with it.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "input/settings_change.h"
#include "input/settings_table.h"

static json_t *schema;

static int load(void **state)
{
    (void)state;
    Bytes text = {0};
    json_error_t error;
    settings_print_schema(&text);
    schema = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
    if (!schema)
        print_error("%d: %s\n", error.line, error.text);
    bytes_free(&text);
    return schema ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(schema);
    return 0;
}

static const json_t *property(const json_t *object, const char *name)
{
    const json_t *found = json_object_get(json_object_get(object, "properties"), name);
    if (!found)
        fail_msg("there is no '%s'", name);
    return found;
}

static const json_t *schema_of(const SettingRow *row)
{
    return property(property(schema, row->section), row->key);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

// A value of the schema as an input file has it.
static void print_value(const json_t *value, Bytes *out)
{
    if (json_is_integer(value))
        bytes_print(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        bytes_print(out, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        bytes_append_text(out, json_is_true(value) ? "yes" : "no");
    else
        bytes_append_text(out, json_string_value(value));
}

static bool is_taken(const SettingRow *row, const char *text)
{
    Settings settings;
    settings_set_defaults(&settings);
    bool taken = setting_parse(row, text, &settings) == 0;
    settings_free(&settings);
    return taken;
}

static bool number_is_taken(const SettingRow *row, double value)
{
    char text[40];
    snprintf(text, sizeof text, row->type == SETTING_INTEGER ? "%.0f" : "%.17g", value);
    return is_taken(row, text);
}

static void every_setting_stands_in_its_section(void **state)
{
    (void)state;
    int64_t settings = 0, sections = 0;
    assert_string_equal(text_of(schema, "$schema"), "https://json-schema.org/draft/2020-12/schema");
    for (int64_t i = 0; i < settings_count; i++)
        assert_string_equal(text_of(schema_of(&settings_table[i]), "description"),
                            settings_table[i].help);
    for (const SettingSection *section = settings_sections; section->name; section++, sections++) {
        const json_t *found = property(schema, section->name);
        assert_string_equal(text_of(found, "description"), section->help);
        assert_true(json_is_false(json_object_get(found, "additionalProperties")));
        settings += (int64_t)json_object_size(json_object_get(found, "properties"));
    }
    assert_int_equal(settings, settings_count);
    assert_int_equal(sections, json_object_size(json_object_get(schema, "properties")));
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
}

static void defaults_read_back_as_the_defaults(void **state)
{
    (void)state;
    Settings settings;
    Bytes expected = {0}, found = {0}, value = {0};
    settings_set_defaults(&settings);
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        Settings read;
        settings_set_defaults(&read);
        setting_parse(row, row->choices ? row->choices[1] : "1", &read); // another value first
        bytes_clear(&value);
        print_value(json_object_get(schema_of(row), "default"), &value);
        assert_int_equal(setting_parse(row, value.data, &read), 0);
        bytes_clear(&expected);
        bytes_clear(&found);
        setting_print(row, &settings, &expected);
        setting_print(row, &read, &found);
        assert_string_equal(found.data, expected.data);
        settings_free(&read);
    }
    settings_free(&settings);
    bytes_free(&expected);
    bytes_free(&found);
    bytes_free(&value);
}

static void algorithms_have_their_own_defaults(void **state)
{
    (void)state;
    int64_t found = 0, expected = 0;
    for (const OwnDefault *own = settings_own_defaults; own->key; own++, expected++) {
        const SettingRow *row = settings_find("algorithm", own->key);
        const json_t *values = json_object_get(schema_of(row), "x-default-by-algorithm");
        const json_t *value = json_object_get(values, settings_algorithm_name(own->algorithm));
        Bytes text = {0};
        assert_non_null(value);
        print_value(value, &text);
        if (json_is_real(value))
            assert_true(strtod(text.data, NULL) == strtod(own->value, NULL));
        else
            assert_string_equal(text.data, own->value);
        bytes_free(&text);
    }
    for (int64_t i = 0; i < settings_count; i++)
        found += (int64_t)json_object_size(
            json_object_get(schema_of(&settings_table[i]), "x-default-by-algorithm"));
    assert_int_equal(found, expected);
}

static void numbers_have_the_bounds_that_are_kept(void **state)
{
    (void)state;
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        const json_t *low = json_object_get(schema_of(row), "minimum");
        const json_t *high = json_object_get(schema_of(row), "maximum");
        bool whole = row->type == SETTING_INTEGER, number = whole || row->type == SETTING_REAL;
        assert_int_equal(json_is_number(low), number);
        assert_int_equal(json_is_number(high), number);
        if (!number)
            continue;
        assert_string_equal(text_of(schema_of(row), "type"), whole ? "integer" : "number");
        double least = json_number_value(low), most = json_number_value(high);
        assert_true(number_is_taken(row, least) && number_is_taken(row, most));
        assert_false(number_is_taken(row, whole ? least - 1 : nextafter(least, -INFINITY)));
        assert_false(
            number_is_taken(row, whole && most < 0x1p53 ? most + 1 : nextafter(most, INFINITY)));
    }
}

static void words_are_those_that_are_taken(void **state)
{
    (void)state;
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        const json_t *words = json_object_get(schema_of(row), "enum");
        assert_int_equal(words != NULL, row->choices != NULL);
        if (row->type == SETTING_FLAG)
            assert_string_equal(text_of(schema_of(row), "type"), "boolean");
        if (!row->choices)
            continue;
        int64_t choices = 0;
        while (row->choices[choices])
            choices++;
        assert_int_equal(json_array_size(words), choices);
        for (int64_t w = 0; w < choices; w++)
            assert_true(is_taken(row, json_string_value(json_array_get(words, (size_t)w))));
        assert_false(is_taken(row, "another"));
    }
}

static void changes_are_treated_as_they_say(void **state)
{
    (void)state;
    assert_string_equal(text_of(schema_of(settings_find("run", "seed")), "x-change"), "never");
    for (int64_t i = 0; i < settings_count; i++)
        assert_string_equal(text_of(schema_of(&settings_table[i]), "x-change"),
                            settings_change_name(settings_change(&settings_table[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_stands_in_its_section),
        cmocka_unit_test(defaults_read_back_as_the_defaults),
        cmocka_unit_test(algorithms_have_their_own_defaults),
        cmocka_unit_test(numbers_have_the_bounds_that_are_kept),
        cmocka_unit_test(words_are_those_that_are_taken),
        cmocka_unit_test(changes_are_treated_as_they_say),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
