// settings_table.h - the rows of settings.h, and what only this module does with them.

#ifndef L2A_INPUT_SETTINGS_TABLE_H
#define L2A_INPUT_SETTINGS_TABLE_H

#include "input/faults.h"
#include "input/settings.h"

typedef struct {
    const char *name, *help; // help: one sentence
} SettingSection;

extern const SettingSection settings_sections[]; // NULL-terminated, in the order of the table

// What an algorithm has for a default in [algorithm] where it differs from the table's.
typedef struct {
    Algorithm algorithm;
    const char *key, *value;
} OwnDefault;

extern const OwnDefault settings_own_defaults[]; // ends with a NULL key

// The name of an algorithm, as [algorithm] name takes it.
const char *settings_algorithm_name(Algorithm algorithm);

// Where a value came from: the line of the file, or one of these.
enum { SOURCE_DEFAULT = 0, SOURCE_OVERRIDE = -1 };

struct SettingsSource {
    char *name;     // owned; the file
    int64_t *lines; // owned; [settings_count]
};

// Puts the value that `text` names into `settings` (a text of before is released). Where it cannot
// be taken: -1 with the reason, without a place, and `settings` untouched.
int setting_parse(const SettingRow *row, const char *text, Settings *settings);

// Appends the value as setting_parse takes it.
void setting_print(const SettingRow *row, const Settings *settings, Bytes *out);

// All values as the table has them, and no source.
void settings_set_defaults(Settings *settings);

// Where the value came from: "file:line", "--set section.key", or "file" for a default. `place`
// holds FAULTS_PLACE_BYTES.
void settings_place(const Settings *settings, const SettingRow *row, char *place);

// "an integer from 1 to 4095", "one of a, b, c".
void setting_describe(const SettingRow *row, Bytes *out);

#endif
