#include "tests/testing.h"

#include "tests/files/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/directory.h"

static char directory[256];

int scratch_make(void **state)
{
    (void)state;
    const char *root = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/learn2ask-XXXXXX", root && root[0] ? root : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

int scratch_remove(void **state)
{
    (void)state;
    return directory_remove_tree(directory);
}

const char *scratch_path(const char *name)
{
    enum { BUFFERS = 8 };
    static char paths[BUFFERS][512];
    static int turn;
    char *path = paths[turn++ % BUFFERS];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void scratch_write(const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(scratch_path(name), "wb");
    assert_non_null(file);
    if (bytes > 0)
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void scratch_write_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

char *scratch_read(const char *name, size_t *bytes)
{
    Bytes text = {0};
    if (regular_read(scratch_path(name), SIZE_MAX, &text))
        fail_msg("%s", fail_message());
    *bytes = text.length;
    return text.data;
}

int scratch_entries(const char *name)
{
    int entries = 0;
    DIR *stream = opendir(scratch_path(name));
    assert_non_null(stream);
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return entries;
}

void assert_failed(ExitCode code, const char *part)
{
    if (fail_code() != code || !strstr(fail_message(), part))
        fail_msg("failure %d '%s', expected %d '%s'", (int)fail_code(), fail_message(), (int)code,
                 part);
}
