#include <stdio.h>
#include <string.h>

#include "input/settings_change.h"
#include "input/settings_table.h"
#include "input/suggest.h"

enum { HELP_COLUMNS = 96 };

static void print_line(const SettingRow *row, const Settings *settings, Bytes *out)
{
    bytes_print(out, "%s = ", row->key);
    setting_print_quoted(row, settings, out);
    bytes_append_text(out, "\n");
}

void settings_print(const Settings *settings, Bytes *out)
{
    const char *section = "";
    bytes_append_text(out, "# Effective settings, every default explicit.\n");
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        if (strcmp(section, row->section) != 0)
            bytes_print(out, "\n[%s]\n", section = row->section);
        print_line(row, settings, out);
    }
}

void settings_print_word(const char *text, Bytes *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "%+,-./:=@_";
    if (*text && text[strspn(text, plain)] == 0) {
        bytes_append_text(out, text);
        return;
    }
    bytes_append_text(out, "'");
    for (; *text; text++)
        bytes_print(out, *text == '\'' ? "'\\%c'" : "%c", *text);
    bytes_append_text(out, "'");
}

void settings_print_words(const Settings *settings, Bytes *out)
{
    settings_print_word(settings->source->name, out);
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        Bytes word = {0};
        if (settings->source->lines[i] != SOURCE_OVERRIDE)
            continue;
        bytes_print(&word, "%s.%s=", row->section, row->key);
        setting_print(row, settings, &word);
        bytes_append_text(out, " --set ");
        settings_print_word(word.data, out);
        bytes_free(&word);
    }
}

// `text` in comment lines of at most HELP_COLUMNS.
static void print_comment(const char *text, Bytes *out)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > HELP_COLUMNS) {
            bytes_append_text(out, "\n");
            column = 0;
        }
        bytes_print(out, "%s%.*s", column ? " " : "# ", (int)word, text);
        column += word + 1;
        text += word + (text[word] == ' ');
    }
    bytes_append_text(out, "\n");
}

static void print_described(const SettingRow *row, const Settings *settings, Bytes *out)
{
    Bytes text = {0};
    bytes_print(&text, "%s (", row->help);
    setting_describe(row, &text);
    bytes_append_text(&text, ")");
    print_comment(text.data, out);
    bytes_free(&text);
    print_line(row, settings, out);
}

void settings_print_defaults(Bytes *out)
{
    Settings defaults;
    settings_set_defaults(&defaults);
    bytes_append_text(out, "# Every setting with its default. What is not given has this value.\n"
                           "# Paths are relative to the working directory.\n");
    for (const SettingSection *section = settings_sections; section->name; section++) {
        bytes_print(out, "\n# %s\n[%s]\n", section->help, section->name);
        for (int64_t i = 0; i < settings_count; i++)
            if (strcmp(settings_table[i].section, section->name) == 0)
                print_described(&settings_table[i], &defaults, out);
    }
    settings_free(&defaults);
}

// Algorithms that have another default: "; dapo: 0.28".
static void print_own_defaults(const SettingRow *row, const char *mark, Bytes *out)
{
    for (const OwnDefault *own = settings_own_defaults; own->key; own++)
        if (strcmp(row->section, "algorithm") == 0 && strcmp(row->key, own->key) == 0)
            bytes_print(out, "; %s: %s%s%s", settings_algorithm_name(own->algorithm), mark,
                        own->value, mark);
}

static void print_markdown_row(const SettingRow *row, Bytes *out)
{
    bytes_print(out, "| `%s` | %s%s%s", row->key, *row->initial ? "`" : "",
                *row->initial ? row->initial : "–", *row->initial ? "`" : "");
    print_own_defaults(row, "`", out);
    bytes_append_text(out, " | ");
    setting_describe(row, out);
    bytes_print(out, " | %s | %s |\n", settings_change_name(settings_change(row)), row->help);
}

// How an input file is written, and what may be changed in it.
static const char introduction[] =
    "An input file is UTF-8 text: `[section]`, `key = value`, comments after `;` or `#`. A\n"
    "value that holds `;`, `#` or outer blanks stands in double quotes. Paths are relative to\n"
    "the working directory; `{seed}` in `run.directory` becomes the seed. Nothing is guessed:\n"
    "an unknown name, a name given twice, a number out of range or with anything behind it is\n"
    "refused with file, line and the nearest name, all faults at once. `--set\n"
    "section.key=value` replaces a value, `--explain NAME` explains a setting or a section,\n"
    "`--schema` prints all of them as a JSON Schema, for editors and for programs that write\n"
    "such files.\n"
    "\n"
    "A run that goes on compares its settings with those of its checkpoint, and by their\n"
    "content the training data, the model's configuration and tokenizer, and the reference.\n"
    "What changes *freely* only shows in the log: the learned weights are the same but for\n"
    "rounding. What changes *on request* takes the run another course: it is refused unless\n"
    "`run.accept_changes = yes`, and the steps sampled ahead are then sampled anew. What\n"
    "changes *never* makes another run: begin one with `model.path` naming the first.\n"
    "\n";

void settings_print_markdown(Bytes *out)
{
    bytes_append_text(out, introduction);
    for (const SettingSection *section = settings_sections; section->name; section++) {
        bytes_print(out,
                    "%s### `[%s]`\n\n%s\n\n| key | default | value | changes | meaning |\n"
                    "|---|---|---|---|---|\n",
                    section == settings_sections ? "" : "\n", section->name, section->help);
        for (int64_t i = 0; i < settings_count; i++)
            if (strcmp(settings_table[i].section, section->name) == 0)
                print_markdown_row(&settings_table[i], out);
    }
}

static void explain_row(const SettingRow *row, Bytes *out)
{
    bytes_print(out, "%s.%s = %s", row->section, row->key, *row->initial ? row->initial : "\"\"");
    print_own_defaults(row, "", out);
    bytes_print(out, "\n    %s\n    ", row->help);
    setting_describe(row, out);
    bytes_print(out, "\n    changes in a run that goes on: %s\n",
                settings_change_name(settings_change(row)));
}

static int64_t explain_matching(const char *name, Bytes *out)
{
    int64_t found = 0;
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        char full[2 * SUGGEST_WORD_BYTES + 2];
        snprintf(full, sizeof full, "%s.%s", row->section, row->key);
        if (strcmp(name, full) == 0 || strcmp(name, row->section) == 0 ||
            strcmp(name, row->key) == 0) {
            explain_row(row, out);
            found++;
        }
    }
    return found;
}

int settings_explain(const char *name, Bytes *out)
{
    if (explain_matching(name, out) > 0)
        return 0;
    char nearest[2 * SUGGEST_WORD_BYTES + 2] = "";
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < settings_count; i++) {
        const SettingRow *row = &settings_table[i];
        char full[2 * SUGGEST_WORD_BYTES + 2];
        snprintf(full, sizeof full, "%s.%s", row->section, row->key);
        const char *const words[] = {full, row->section, row->key};
        for (int w = 0; w < 3; w++) {
            int64_t distance = suggest_distance(name, words[w]);
            if (distance >= least || !suggest_is_near(name, distance))
                continue;
            least = distance;
            snprintf(nearest, sizeof nearest, "%s", words[w]);
        }
    }
    if (*nearest)
        return fail(EXIT_USAGE, "no setting or section is called '%s'; did you mean '%s'?", name,
                    nearest);
    return fail(EXIT_USAGE, "no setting or section is called '%s': learn2ask --defaults lists all",
                name);
}
