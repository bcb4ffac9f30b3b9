#include "text/model_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

// Reads the whole of `path`, appended to `out`; 1 if it is there, 0 if not, -1 on failure.
static int read_whole(const char *path, Bytes *out)
{
    FILE *file = fopen(path, "rb");
    if (!file && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!file)
        return fail(EXIT_NO_INPUT, "%s: cannot open: %s", path, strerror(errno));
    char block[32768];
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        bytes_append(out, block, got);
    int status =
        ferror(file) ? fail(EXIT_NO_INPUT, "%s: cannot read: %s", path, strerror(errno)) : 1;
    fclose(file);
    return status;
}

static int parse(const Bytes *text, const char *path, json_t **object)
{
    json_error_t error;
    *object =
        json_loadb(text->data ? text->data : "", text->length, JSON_REJECT_DUPLICATES, &error);
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
    Bytes path = {0}, text = {0};
    bytes_print(&path, "%s/%s", directory, name);
    *object = NULL;
    int status = read_whole(path.data, &text);
    if (status == 0 && required)
        status = fail(EXIT_NO_INPUT, "%s: no such file; is '%s' a Hugging Face model directory?",
                      path.data, directory);
    else if (status > 0)
        status = parse(&text, path.data, object);
    bytes_free(&path);
    bytes_free(&text);
    return status;
}

int model_file_read_text(const char *directory, const char *name, Bytes *out)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    int status = read_whole(path.data, out);
    bytes_free(&path);
    return status;
}

const char *model_file_type(const json_t *component)
{
    const char *type = json_string_value(json_object_get(component, "type"));
    return type ? type : "";
}
