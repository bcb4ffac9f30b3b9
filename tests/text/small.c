#include "tests/text/small.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

json_t *small_read(const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", TEXT_DATA, name);
    json_error_t error;
    json_t *root = json_load_file(path.data, JSON_ALLOW_NUL, &error);
    CHECK(root, "%s: %s", path.data, error.text);
    bytes_free(&path);
    return root;
}

// The token of a byte is called something that no text holds.
static void rename_byte(json_t *vocab, unsigned byte)
{
    // 0x01 is written U+0101, the other two stand for themselves.
    unsigned code = byte < 0x21 ? byte + 0x100 : byte;
    char key[3] = {(char)(0xC0 | code >> 6), (char)(0x80 | (code & 0x3F)), 0};
    json_t *id = json_object_get(vocab, key);
    CHECK(id, "no token for %u", byte);
    Bytes name = {0};
    bytes_print(&name, "[no %u]", byte);
    json_object_set(vocab, name.data, id);
    json_object_del(vocab, key);
    bytes_free(&name);
}

json_t *small_variant(const json_t *variant)
{
    json_t *root = small_read("tokenizer.json"), *model = json_object_get(root, "model");
    json_t *without = json_object_get(variant, "without"), *byte;
    json_object_set(root, "normalizer", json_object_get(variant, "normalizer"));
    json_object_set(root, "pre_tokenizer", json_object_get(variant, "pre_tokenizer"));
    json_object_set(model, "ignore_merges", json_object_get(variant, "ignore_merges"));
    size_t i;
    json_array_foreach(without, i, byte)
    {
        rename_byte(json_object_get(model, "vocab"), (unsigned)json_integer_value(byte));
    }
    return root;
}

char *small_directory(void)
{
    char *name = duplicate("/tmp/learn2ask-text-XXXXXX");
    CHECK(mkdtemp(name), "no temporary directory");
    return name;
}

static FILE *open_in(const char *directory, const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    FILE *file = fopen(path.data, "wb");
    CHECK(file, "%s", path.data);
    bytes_free(&path);
    return file;
}

void small_write(const char *directory, const char *name, const char *text, const json_t *json)
{
    FILE *file = open_in(directory, name);
    if (text)
        fputs(text, file);
    else
        CHECK(!json_dumpf(json, file, 0), "%s", name);
    CHECK(fclose(file) == 0, "%s", name);
}

void small_remove(char *directory)
{
    DIR *listing = opendir(directory);
    CHECK(listing, "%s", directory);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        Bytes path = {0};
        bytes_print(&path, "%s/%s", directory, entry->d_name);
        unlink(path.data); // . and .. refuse
        bytes_free(&path);
    }
    closedir(listing);
    CHECK(rmdir(directory) == 0, "%s", directory);
    release(directory);
}

Tokenizer *small_open(const json_t *root)
{
    char *directory = small_directory();
    small_write(directory, "tokenizer.json", NULL, root);
    Tokenizer *tokenizer = tokenizer_open(directory);
    small_remove(directory);
    return tokenizer;
}
