// test_readme.c - the parts of README that are printed equal what is printed.
//
//     test_readme README.md            1 where one of them is out of date
//     test_readme --write README.md    replaces them

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/metric_names.h"
#include "input/settings.h"
#include "tests/system/readme_chapters.h"

typedef struct {
    const char *name, *opening, *closing;
    void (*print)(Bytes *out);
} Chapter;

static const Chapter chapters[] = {
    {"settings", "<!-- settings: written by test_readme -->\n", "<!-- end of settings -->\n",
     settings_print_markdown},
    {"metrics", "<!-- metrics: written by test_readme -->\n", "<!-- end of metrics -->\n",
     metric_names_print_markdown},
    {"what fits", "<!-- fits: written by test_readme -->\n", "<!-- end of fits -->\n",
     readme_print_fits},
};
enum { CHAPTERS = sizeof chapters / sizeof *chapters };

static Bytes read_whole(const char *path)
{
    Bytes text = {0};
    char block[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        die(EXIT_NO_INPUT, "cannot open %s", path);
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        bytes_append(&text, block, got);
    fclose(file);
    bytes_append_text(&text, "");
    return text;
}

static void write_whole(const char *path, const Bytes *text)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        die(EXIT_CANNOT_CREATE, "cannot write %s", path);
    if (fwrite(text->data, 1, text->length, file) != text->length || fclose(file) != 0)
        die(EXIT_CANNOT_WRITE, "cannot write %s", path);
}

// README with a chapter as it should be.
static Bytes renew(const char *path, const Bytes *readme, const Chapter *chapter)
{
    const char *begin = strstr(readme->data, chapter->opening);
    const char *end = strstr(readme->data, chapter->closing);
    if (!begin || !end || end < begin)
        die(EXIT_BAD_DATA, "%s: the marks of the chapter '%s' are missing", path, chapter->name);
    Bytes renewed = {0};
    bytes_append(&renewed, readme->data, (size_t)(begin - readme->data));
    bytes_append_text(&renewed, chapter->opening);
    bytes_append_text(&renewed, "\n");
    chapter->print(&renewed);
    bytes_append_text(&renewed, "\n");
    bytes_append_text(&renewed, end);
    return renewed;
}

int main(int argc, char **argv)
{
    int write = argc == 3 && strcmp(argv[1], "--write") == 0, old = 0;
    if (argc != 2 && !write)
        die(EXIT_USAGE, "test_readme [--write] README.md");
    const char *path = argv[argc - 1];
    Bytes readme = read_whole(path);
    for (int i = 0; i < CHAPTERS; i++) {
        Bytes renewed = renew(path, &readme, &chapters[i]);
        int current = strcmp(readme.data, renewed.data) == 0;
        old += !current;
        if (!current && !write)
            printf("%s: the chapter '%s' is out of date: run test_readme --write %s\n", path,
                   chapters[i].name, path);
        bytes_free(&readme);
        readme = renewed;
    }
    if (old > 0 && write)
        write_whole(path, &readme);
    bytes_free(&readme);
    return old == 0 || write ? 0 : 1;
}
