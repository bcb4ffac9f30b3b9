#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input/ini_scan.h"
#include "input/settings_table.h"
#include "input/suggest.h"
#include "input/utf8.h"

static const char *const flags[] = {"no", "yes", "off", "on", "false", "true", "0", "1", NULL};

static void *field_of(const SettingRow *row, const Settings *settings)
{
    return (char *)settings + row->offset;
}

static int64_t index_of(const char *const *words, const char *word)
{
    for (int64_t i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

static void append_words(const char *const *words, Bytes *out)
{
    for (int64_t i = 0; words[i]; i++)
        bytes_print(out, "%s%s", i ? ", " : "", words[i]);
}

// The shortest text of `value` that reads back as the same number, 5e-7 instead of 5e-07.
static void append_real(double value, Bytes *out)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) { // 600, not 6e2
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *exponent = strchr(text, 'e');
    if (exponent) {
        int power = atoi(exponent + 1);
        snprintf(exponent, sizeof text - (size_t)(exponent - text), "e%d", power);
    }
    bytes_append_text(out, text);
}

// Bounds of integers in full: 1000000000, not 1e9.
static void append_bound(double value, bool whole, Bytes *out)
{
    if (whole)
        bytes_print(out, "%.0f", value);
    else
        append_real(value, out);
}

void setting_describe(const SettingRow *row, Bytes *out)
{
    if (row->choices) {
        bytes_append_text(out, "one of ");
        append_words(row->choices, out);
    } else if (row->type == SETTING_FLAG) {
        bytes_append_text(out, "yes or no");
    } else if (row->type == SETTING_PATH) {
        bytes_append_text(out, "a path");
    } else if (row->type == SETTING_TEXT) {
        bytes_append_text(out, "a text");
    } else {
        bool whole = row->type == SETTING_INTEGER;
        bytes_append_text(out, whole ? "an integer from " : "a number from ");
        append_bound(row->minimum, whole, out);
        bytes_append_text(out, " to ");
        append_bound(row->maximum, whole, out);
    }
}

static int fail_value(const SettingRow *row, const char *text, const char *reason)
{
    Bytes wanted = {0};
    setting_describe(row, &wanted);
    const char *near = row->choices ? suggest_nearest(text, row->choices) : NULL;
    fail(EXIT_BAD_SETTINGS, "%s = %s: expected %s%s%s%s%s%s", row->key, *text ? text : "\"\"",
         wanted.data, reason ? "; " : "", reason ? reason : "", near ? "; did you mean '" : "",
         near ? near : "", near ? "'?" : "");
    bytes_free(&wanted);
    return -1;
}

static size_t digits_of(const char *text)
{
    return strspn(text, "0123456789");
}

// 010 is octal to some, ten to others.
static int has_leading_zero(const char *text)
{
    text += *text == '-';
    return text[0] == '0' && digits_of(text) > 1;
}

static int parse_integer(const SettingRow *row, const char *text, int64_t *value)
{
    size_t digits = digits_of(text + (*text == '-'));
    if (digits == 0 || text[digits + (*text == '-')] != 0)
        return fail_value(row, text, NULL);
    if (has_leading_zero(text))
        return fail_value(row, text, "write it without leading zeros");
    errno = 0;
    long long parsed = strtoll(text, NULL, 10);
    if (errno || (double)parsed < row->minimum || (double)parsed > row->maximum)
        return fail_value(row, text, NULL);
    *value = parsed;
    return 0;
}

// Decimal notation only: no hexadecimal, no inf, no nan, nothing behind the number.
static int is_decimal(const char *text)
{
    text += *text == '-';
    size_t digits = digits_of(text);
    text += digits;
    if (*text == '.') {
        digits += digits_of(text + 1);
        text += 1 + digits_of(text + 1);
    }
    if (digits > 0 && (*text == 'e' || *text == 'E')) {
        text += 1 + (text[1] == '-' || text[1] == '+');
        digits = digits_of(text);
        text += digits;
    }
    return digits > 0 && *text == 0;
}

static int parse_real(const SettingRow *row, const char *text, double *value)
{
    if (!is_decimal(text))
        return fail_value(row, text, NULL);
    if (has_leading_zero(text))
        return fail_value(row, text, "write it without leading zeros");
    errno = 0;
    double parsed = strtod(text, NULL);
    if (errno == ERANGE && parsed > -1 && parsed < 1)
        return fail_value(row, text, "too close to 0 to be told from it");
    if (errno || parsed < row->minimum || parsed > row->maximum)
        return fail_value(row, text, NULL);
    *value = parsed == 0 ? 0 : parsed; // no negative zero
    return 0;
}

static int parse_flag(const SettingRow *row, const char *text, bool *value)
{
    for (int64_t i = 0; flags[i]; i++)
        if (suggest_distance(text, flags[i]) == 0) { // letter case is ignored
            *value = i % 2;
            return 0;
        }
    return fail_value(row, text, "on, off, true, false, 1 and 0 are taken as well");
}

// What no line of a file could hold cannot come from --set either: run.ini must hold it.
static int check_text(const SettingRow *row, const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '"')
            return fail(EXIT_BAD_SETTINGS, "%s: a %s cannot be part of a value", row->key,
                        *c == '"' ? "double quote" : "control character");
    size_t length = strlen(text), valid = utf8_valid_length(text, length);
    if (valid < length)
        return fail(EXIT_BAD_SETTINGS, "%s: byte 0x%02x is not UTF-8", row->key,
                    (unsigned char)text[valid]);
    if (strlen(row->key) + strlen(" = \"\"") + length > INI_LINE_LIMIT)
        return fail(EXIT_BAD_SETTINGS, "%s: the value is too long for a line of %d bytes", row->key,
                    INI_LINE_LIMIT);
    if (row->type == SETTING_PATH && (*text == '~' || strchr(text, '$')))
        return fail(EXIT_BAD_SETTINGS, "%s = %s: '%c' is not replaced here: write the path out",
                    row->key, text, *text == '~' ? '~' : '$');
    return 0;
}

static int parse_text(const SettingRow *row, const char *text, char **value)
{
    if (row->choices && index_of(row->choices, text) < 0)
        return fail_value(row, text, NULL);
    if (check_text(row, text))
        return -1;
    char *copy = duplicate(text);
    release(*value);
    *value = copy;
    return 0;
}

static int parse_choice(const SettingRow *row, const char *text, int *value)
{
    int64_t index = index_of(row->choices, text);
    if (index < 0)
        return fail_value(row, text, NULL);
    *value = (int)index;
    return 0;
}

int setting_parse(const SettingRow *row, const char *text, Settings *settings)
{
    void *field = field_of(row, settings);
    switch (row->type) {
    case SETTING_INTEGER:
        return parse_integer(row, text, field);
    case SETTING_REAL:
        return parse_real(row, text, field);
    case SETTING_FLAG:
        return parse_flag(row, text, field);
    case SETTING_CHOICE:
        return parse_choice(row, text, field);
    case SETTING_TEXT:
    case SETTING_PATH:
        return parse_text(row, text, field);
    }
    CHECK(0, "%s.%s has no known type", row->section, row->key);
}

void setting_print(const SettingRow *row, const Settings *settings, Bytes *out)
{
    const void *field = field_of(row, settings);
    switch (row->type) {
    case SETTING_INTEGER:
        bytes_print(out, "%lld", (long long)*(const int64_t *)field);
        return;
    case SETTING_REAL:
        append_real(*(const double *)field, out);
        return;
    case SETTING_FLAG:
        bytes_append_text(out, *(const bool *)field ? "yes" : "no");
        return;
    case SETTING_CHOICE:
        bytes_append_text(out, row->choices[*(const int *)field]);
        return;
    case SETTING_TEXT:
    case SETTING_PATH:
        bytes_append_text(out, *(char *const *)field);
        return;
    }
}

void setting_print_quoted(const SettingRow *row, const Settings *settings, Bytes *out)
{
    bool is_free_text = !row->choices && (row->type == SETTING_TEXT || row->type == SETTING_PATH);
    bytes_append_text(out, is_free_text ? "\"" : "");
    setting_print(row, settings, out);
    bytes_append_text(out, is_free_text ? "\"" : "");
}

void settings_set_defaults(Settings *settings)
{
    *settings = (Settings){0};
    for (int64_t i = 0; i < settings_count; i++) {
        int status = setting_parse(&settings_table[i], settings_table[i].initial, settings);
        CHECK(status == 0, "default of %s", fail_message());
    }
}
