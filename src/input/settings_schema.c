// settings_schema.c - the table of settings as a JSON Schema (draft 2020-12) of the input file.

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "input/settings_change.h"
#include "input/settings_table.h"

enum { REAL_DIGITS = 15 }; // as many as a decimal number keeps on its way through a double

static json_t *value_of(const SettingRow *row, const char *text)
{
    switch (row->type) {
    case SETTING_INTEGER:
        return json_integer(strtoll(text, NULL, 10));
    case SETTING_REAL:
        return json_real(strtod(text, NULL));
    case SETTING_FLAG:
        return json_boolean(strcmp(text, "yes") == 0);
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_CHOICE:
        break;
    }
    return json_string(text);
}

static void set_type(json_t *schema, const SettingRow *row)
{
    static const char *const names[] = {
        [SETTING_TEXT] = "string", [SETTING_PATH] = "string",  [SETTING_INTEGER] = "integer",
        [SETTING_REAL] = "number", [SETTING_FLAG] = "boolean", [SETTING_CHOICE] = "string"};
    json_object_set_new(schema, "type", json_string(names[row->type]));
    if (row->type == SETTING_PATH)
        json_object_set_new(schema, "format", json_string("path"));
    if (row->choices) {
        json_t *words = json_array();
        for (int64_t i = 0; row->choices[i]; i++)
            json_array_append_new(words, json_string(row->choices[i]));
        json_object_set_new(schema, "enum", words);
    }
    bool whole = row->type == SETTING_INTEGER;
    if (whole || row->type == SETTING_REAL) {
        json_object_set_new(schema, "minimum",
                            whole ? json_integer((json_int_t)row->minimum)
                                  : json_real(row->minimum));
        json_object_set_new(schema, "maximum",
                            whole ? json_integer((json_int_t)row->maximum)
                                  : json_real(row->maximum));
    }
}

static void set_own_defaults(json_t *schema, const SettingRow *row)
{
    json_t *by_algorithm = json_object();
    for (const OwnDefault *own = settings_own_defaults; own->key; own++)
        if (strcmp(row->section, "algorithm") == 0 && strcmp(row->key, own->key) == 0)
            json_object_set_new(by_algorithm, settings_algorithm_name(own->algorithm),
                                value_of(row, own->value));
    if (json_object_size(by_algorithm) > 0)
        json_object_set(schema, "x-default-by-algorithm", by_algorithm);
    json_decref(by_algorithm);
}

static json_t *schema_of_row(const SettingRow *row)
{
    json_t *schema = json_object();
    json_object_set_new(schema, "description", json_string(row->help));
    set_type(schema, row);
    json_object_set_new(schema, "default", value_of(row, row->initial));
    set_own_defaults(schema, row);
    json_object_set_new(schema, "x-change",
                        json_string(settings_change_name(settings_change(row))));
    return schema;
}

// An object that takes `properties` (owned) and nothing else.
static json_t *closed_object(const char *description, json_t *properties)
{
    json_t *schema = json_object();
    json_object_set_new(schema, "description", json_string(description));
    json_object_set_new(schema, "type", json_string("object"));
    json_object_set_new(schema, "additionalProperties", json_false());
    json_object_set_new(schema, "properties", properties);
    return schema;
}

static json_t *schema_of_section(const SettingSection *section)
{
    json_t *properties = json_object();
    for (int64_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].section, section->name) == 0)
            json_object_set_new(properties, settings_table[i].key,
                                schema_of_row(&settings_table[i]));
    return closed_object(section->help, properties);
}

void settings_print_schema(Bytes *out)
{
    json_t *schema = json_object(), *sections = json_object();
    json_object_set_new(schema, "$schema",
                        json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(schema, "title", json_string("learn2ask input file"));
    for (const SettingSection *section = settings_sections; section->name; section++)
        json_object_set_new(sections, section->name, schema_of_section(section));
    json_t *whole = closed_object("An .ini file as sections of keys: a flag, yes or no there, is a "
                                  "boolean here. x-change: how a change is treated in a run that "
                                  "goes on.",
                                  sections);
    json_object_update_missing(schema, whole);
    json_decref(whole);
    char *text = json_dumps(schema, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    bytes_print(out, "%s\n", text);
    release(text);
    json_decref(schema);
}
