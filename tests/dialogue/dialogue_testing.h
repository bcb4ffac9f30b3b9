// dialogue_testing.h - small files of lines for tests, and where the data of others is.

#ifndef L2A_TESTS_DIALOGUE_TESTING_H
#define L2A_TESTS_DIALOGUE_TESTING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_AT_ONCE = 4, NAME_BYTES = 64 };
static char file_names[FILES_AT_ONCE][NAME_BYTES];

static inline void remove_files(void)
{
    for (int i = 0; i < FILES_AT_ONCE; i++)
        if (*file_names[i])
            unlink(file_names[i]);
}

// A new file that holds `text` [length]; it lives until the next call but three.
static inline const char *file_with_bytes(const char *text, size_t length)
{
    static int calls;
    char *name = file_names[calls % FILES_AT_ONCE];
    if (calls++ == 0)
        atexit(remove_files);
    if (*name)
        unlink(name);
    strcpy(name, "/tmp/learn2ask_test_XXXXXX");
    int descriptor = mkstemp(name);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, length), length);
    close(descriptor);
    return name;
}

static inline const char *file_with(const char *text)
{
    return file_with_bytes(text, strlen(text));
}

// The contents of a file; to be freed.
static inline char *contents_of(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    char *text = calloc((size_t)size + 1, 1);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    return text;
}

// Path of a file of MTS-Dialog in LEARN2ASK_DATA; to be freed. Skips the test where it is absent.
static inline char *mts_dialog(const char *name)
{
    const char *root = getenv("LEARN2ASK_DATA");
    char *path = malloc(4096);
    snprintf(path, 4096, "%s/mts_dialog/%s", root ? root : DEFAULT_DATA, name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: no %s (set LEARN2ASK_DATA)\n", path);
        free(path);
        skip();
    }
    // cppcheck-suppress deallocret; skip does not come back
    return path; // NOLINT: the same
}

#define assert_message(part)                                                                       \
    do {                                                                                           \
        if (!strstr(fail_message(), part))                                                         \
            fail_msg("the message '%s' does not say '%s'", fail_message(), part);                  \
    } while (0)

#endif
