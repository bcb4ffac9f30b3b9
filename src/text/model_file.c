#include "text/model_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

// The open file, or NULL with `*missing` set or a recorded failure.
static FILE *open_file(const char *path, bool *missing)
{
    FILE *file = fopen(path, "rb");
    *missing = !file && (errno == ENOENT || errno == ENOTDIR);
    if (!file && !*missing)
        fail(EXIT_NO_INPUT, "%s: cannot open: %s", path, strerror(errno));
    return file;
}

static int parse(FILE *file, const char *path, json_t **object)
{
    json_error_t error;
    *object = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    if (!*object)
        return fail(EXIT_BAD_DATA, "%s:%d: %s", path, error.line, error.text);
    if (json_is_object(*object))
        return 0;
    json_decref(*object);
    *object = NULL;
    return fail(EXIT_BAD_DATA, "%s: the file must hold one JSON object", path);
}

int model_file_read(const char *directory, const char *name, bool required, json_t **object)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    *object = NULL;
    bool missing;
    FILE *file = open_file(path.data, &missing);
    int status = 0;
    if (file)
        status = parse(file, path.data, object);
    else if (!missing)
        status = -1;
    else if (required)
        status = fail(EXIT_NO_INPUT, "%s: no such file; is '%s' a Hugging Face model directory?",
                      path.data, directory);
    if (file)
        fclose(file);
    bytes_free(&path);
    return status;
}

int model_file_read_text(const char *directory, const char *name, Bytes *out)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    bool missing;
    FILE *file = open_file(path.data, &missing);
    int status = file ? 1 : missing ? 0 : -1;
    char block[4096];
    for (size_t got; file && (got = fread(block, 1, sizeof block, file)) > 0;)
        bytes_append(out, block, got);
    if (file && ferror(file))
        status = fail(EXIT_NO_INPUT, "%s: cannot read: %s", path.data, strerror(errno));
    if (file)
        fclose(file);
    bytes_free(&path);
    return status;
}

const char *model_file_type(const json_t *component)
{
    const char *type = json_string_value(json_object_get(component, "type"));
    return type ? type : "";
}
