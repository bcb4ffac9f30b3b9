#include "input/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regular.h"
#include "input/ini_scan.h"
#include "input/settings_table.h"
#include "input/suggest.h"

const SettingRow *settings_find(const char *section, const char *key)
{
    for (int64_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].section, section) == 0 &&
            strcmp(settings_table[i].key, key) == 0)
            return &settings_table[i];
    return NULL;
}

int64_t settings_shard_group(const Settings *settings)
{
    const char *text = settings->parallel.shard_group;
    if (strcmp(text, "all") == 0)
        return SHARD_GROUP_ALL;
    if (strcmp(text, "node") == 0)
        return SHARD_GROUP_NODE;
    size_t digits = strspn(text, "0123456789");
    bool number = digits > 0 && digits < 8 && text[digits] == 0 && text[0] != '0';
    return number ? strtol(text, NULL, 10) : SHARD_GROUP_BAD;
}

int settings_gpus(const Settings *settings, double sizes[CHECK_GPUS])
{
    const char *text = settings->check.gpus;
    int count = 0;
    while (*text) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 4 || count == CHECK_GPUS ||
            (text[digits] && (text[digits] != ',' || !text[digits + 1])))
            return -1;
        sizes[count] = strtod(text, NULL);
        if (sizes[count++] < 1)
            return -1;
        text += digits + (text[digits] == ',');
    }
    return count;
}

bool settings_sample_responses(const Settings *settings)
{
    if (settings->algorithm.name == ALGORITHM_DPO)
        return settings->algorithm.rejected == REJECTED_SAMPLED;
    return settings->algorithm.name != ALGORITHM_SFT;
}

static int64_t section_index(const char *name)
{
    for (int64_t i = 0; settings_sections[i].name; i++)
        if (strcmp(settings_sections[i].name, name) == 0)
            return i;
    return -1;
}

static void add_unknown_section(Faults *faults, const char *place, const char *name)
{
    const char *nearest = NULL;
    int64_t least = INT64_MAX;
    Bytes all = {0};
    for (const SettingSection *section = settings_sections; section->name; section++) {
        int64_t distance = suggest_distance(name, section->name);
        if (distance < least && suggest_is_near(name, distance)) {
            least = distance;
            nearest = section->name;
        }
        bytes_print(&all, "%s%s", all.length ? ", " : "", section->name);
    }
    if (nearest)
        faults_add(faults, place, "no section is called [%s]; did you mean [%s]?", name, nearest);
    else
        faults_add(faults, place, "no section is called [%s]; there are %s", name, all.data);
    bytes_free(&all);
}

// The nearest key, one of the same section first: a right key in the wrong section is found too.
static const SettingRow *nearest_row(const char *section, const char *key)
{
    const SettingRow *nearest = NULL;
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        int64_t distance = suggest_distance(key, row->key);
        if (!suggest_is_near(key, distance))
            continue;
        int64_t cost = 2 * distance + (strcmp(row->section, section) != 0);
        if (cost < least) {
            least = cost;
            nearest = row;
        }
    }
    return nearest;
}

static void add_unknown_key(Faults *faults, const char *place, const char *section, const char *key)
{
    const SettingRow *near = nearest_row(section, key);
    if (!near)
        faults_add(faults, place,
                   "no setting is called '%s' in [%s]; learn2ask --explain %s lists what is there",
                   key, section, section);
    else if (strcmp(near->section, section) == 0)
        faults_add(faults, place, "no setting is called '%s' in [%s]; did you mean '%s'?", key,
                   section, near->key);
    else
        faults_add(faults, place, "no setting is called '%s' in [%s]; did you mean '%s' in [%s]?",
                   key, section, near->key, near->section);
}

// What settings_read has seen so far.
typedef struct {
    Settings *settings;
    Faults faults;
    int64_t section_lines[32]; // where each known section began; 0: not yet
} Reader;

static void take_section(Reader *reader, const char *name, int64_t line)
{
    char place[FAULTS_PLACE_BYTES];
    faults_place(place, reader->settings->source->name, line);
    int64_t index = section_index(name);
    if (index < 0)
        add_unknown_section(&reader->faults, place, name);
    else if (reader->section_lines[index])
        faults_add(&reader->faults, place, "section [%s] was opened before, in line %lld", name,
                   (long long)reader->section_lines[index]);
    else
        reader->section_lines[index] = line;
}

static void take_value(Reader *reader, const char *section, const char *key, const char *value,
                       int64_t line, const char *place)
{
    const SettingRow *row = settings_find(section, key);
    if (!row) {
        if (section_index(section) >= 0) // else the section's own line is the fault
            add_unknown_key(&reader->faults, place, section, key);
        return;
    }
    int64_t *came_from = &reader->settings->source->lines[row - settings_table];
    if (line > 0 && *came_from > 0) {
        faults_add(&reader->faults, place, "'%s' was set before, in line %lld", key,
                   (long long)*came_from);
        return;
    }
    if (setting_parse(row, value, reader->settings))
        faults_add(&reader->faults, place, "%s", fail_message());
    *came_from = line;
}

static void take_entries(Reader *reader, const IniScan *scan)
{
    for (int64_t i = 0; i < scan->count; i++) {
        const IniEntry *entry = &scan->entries[i];
        char place[FAULTS_PLACE_BYTES];
        faults_place(place, reader->settings->source->name, entry->line);
        if (entry->key)
            take_value(reader, entry->section, entry->key, entry->value, entry->line, place);
        else
            take_section(reader, entry->section, entry->line);
    }
}

// "section.key=value"; blanks around the value are part of it.
static void take_override(Reader *reader, const char *override)
{
    char name[2 * SUGGEST_WORD_BYTES], place[FAULTS_PLACE_BYTES];
    size_t length = strcspn(override, "=");
    const char *dot = memchr(override, '.', length);
    if (override[length] != '=' || !dot || length >= sizeof name) {
        faults_add(&reader->faults, "--set", "expected section.key=value, found '%.100s'",
                   override);
        return;
    }
    memcpy(name, override, length);
    name[length] = 0;
    char *key = name + (dot - override);
    *key++ = 0;
    snprintf(place, sizeof place, "--set %s.%s", name, key);
    if (section_index(name) < 0)
        add_unknown_section(&reader->faults, place, name);
    else
        take_value(reader, name, key, override + length + 1, SOURCE_OVERRIDE, place);
}

// An algorithm's own defaults, where the user left the table's.
static void take_own_defaults(Reader *reader)
{
    Settings *settings = reader->settings;
    for (const OwnDefault *own = settings_own_defaults; own->key; own++) {
        const SettingRow *row = settings_find("algorithm", own->key);
        bool is_left = settings->source->lines[row - settings_table] == SOURCE_DEFAULT;
        if (own->algorithm == settings->algorithm.name && is_left)
            CHECK(setting_parse(row, own->value, settings) == 0, "%s", fail_message());
    }
}

// The only variable of a path: one input file serves an array of jobs.
static void replace_seed(Reader *reader)
{
    const SettingRow *row = settings_find("run", "directory");
    const char *directory = reader->settings->run.directory, *rest = directory;
    char place[FAULTS_PLACE_BYTES];
    Bytes replaced = {0};
    settings_place(reader->settings, row, place);
    for (const char *open; (open = strchr(rest, '{')); rest = open + strlen("{seed}")) {
        if (strncmp(open, "{seed}", strlen("{seed}")) != 0) {
            faults_add(&reader->faults, place,
                       "run.directory = %s: of words in braces only {seed} is known", directory);
            break;
        }
        bytes_append(&replaced, rest, (size_t)(open - rest));
        bytes_print(&replaced, "%lld", (long long)reader->settings->run.seed);
    }
    bytes_append_text(&replaced, rest);
    if (setting_parse(row, replaced.data, reader->settings) != 0)
        faults_add(&reader->faults, place, "%s", fail_message());
    bytes_free(&replaced);
}

void settings_place(const Settings *settings, const SettingRow *row, char *place)
{
    int64_t line = settings->source->lines[row - settings_table];
    if (line == SOURCE_OVERRIDE)
        snprintf(place, FAULTS_PLACE_BYTES, "--set %s.%s", row->section, row->key);
    else
        faults_place(place, settings->source->name, line);
}

static void begin(Settings *settings, const char *name)
{
    settings_set_defaults(settings);
    settings->source = allocate(1, sizeof *settings->source);
    settings->source->name = duplicate(name);
    settings->source->lines = allocate((size_t)settings_count, sizeof(int64_t));
}

int settings_read_text(Settings *settings, const char *text, size_t length, const char *name,
                       const char *const *overrides, int64_t override_count, Bytes *faults)
{
    Reader reader = {.settings = settings, .faults = faults_make("error", faults)};
    begin(settings, name);
    IniScan scan;
    ini_scan(&scan, text, length, name, &reader.faults);
    take_entries(&reader, &scan);
    // iniparser sees only what is beyond doubt; its reading must be the same.
    if (reader.faults.count == 0)
        ini_scan_confirm(&scan, text, length, name, &reader.faults);
    ini_scan_free(&scan);
    int64_t faults_of_file = reader.faults.count;
    for (int64_t i = 0; i < override_count; i++)
        take_override(&reader, overrides[i]);
    bool is_usage = faults_of_file == 0 && reader.faults.count > 0;
    if (reader.faults.count == 0) {
        take_own_defaults(&reader);
        replace_seed(&reader);
    }
    int status = faults_finish(&reader.faults, is_usage ? EXIT_USAGE : EXIT_BAD_SETTINGS);
    if (status)
        settings_free(settings);
    return status;
}

int settings_read(Settings *settings, const char *path, const char *const *overrides,
                  int64_t override_count, Bytes *faults)
{
    Bytes text = {0};
    int status = regular_read(path, INI_FILE_LIMIT, &text);
    if (status == 0)
        status = settings_read_text(settings, text.data, text.length, path, overrides,
                                    override_count, faults);
    else if (faults)
        bytes_print(faults, "error: %s\n", fail_message());
    bytes_free(&text);
    return status;
}

void settings_free(Settings *settings)
{
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        if (row->type == SETTING_TEXT || row->type == SETTING_PATH)
            release(*(char **)((char *)settings + row->offset));
    }
    if (settings->source) {
        release(settings->source->name);
        release(settings->source->lines);
        release(settings->source);
    }
    *settings = (Settings){0};
}
