// test_readme.c - README's chapter of settings equals what the table prints.
//
//     test_readme README.md            1 where the chapter is out of date
//     test_readme --write README.md    replaces the chapter

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "input/settings.h"

static const char opening[] = "<!-- settings: written by test_readme -->\n";
static const char closing[] = "<!-- end of settings -->\n";

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

// README with the chapter as it should be.
static Bytes renew(const char *path, const Bytes *readme)
{
    const char *begin = strstr(readme->data, opening), *end = strstr(readme->data, closing);
    if (!begin || !end || end < begin)
        die(EXIT_BAD_DATA, "%s: the marks of the settings chapter are missing", path);
    Bytes renewed = {0};
    bytes_append(&renewed, readme->data, (size_t)(begin - readme->data));
    bytes_append_text(&renewed, opening);
    bytes_append_text(&renewed, "\n");
    settings_print_markdown(&renewed);
    bytes_append_text(&renewed, "\n");
    bytes_append_text(&renewed, end);
    return renewed;
}

int main(int argc, char **argv)
{
    int write = argc == 3 && strcmp(argv[1], "--write") == 0;
    if (argc != 2 && !write)
        die(EXIT_USAGE, "test_readme [--write] README.md");
    const char *path = argv[argc - 1];
    Bytes readme = read_whole(path), renewed = renew(path, &readme);
    int current = strcmp(readme.data, renewed.data) == 0;
    if (!current && write)
        write_whole(path, &renewed);
    else if (!current)
        printf("%s: the settings chapter is out of date: run test_readme --write %s\n", path, path);
    bytes_free(&readme);
    bytes_free(&renewed);
    return current || write ? 0 : 1;
}
