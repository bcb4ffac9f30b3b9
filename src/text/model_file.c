#include "text/model_file.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/regular.h"
#include "input/json_file.h"

static bool is_missing(const char *path)
{
    struct stat status;
    return stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static int read_object(const char *path, json_t **object)
{
    if (json_file_read(path, MODEL_FILE_LIMIT, object) != 0)
        return -1;
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
    int status = 0;
    if (!is_missing(path.data))
        status = read_object(path.data, object);
    else if (required)
        status = fail(EXIT_NO_INPUT, "%s: no such file; is '%s' a Hugging Face model directory?",
                      path.data, directory);
    bytes_free(&path);
    return status;
}

int model_file_read_text(const char *directory, const char *name, Bytes *out)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    int status = 0;
    if (!is_missing(path.data))
        status = regular_read(path.data, MODEL_FILE_LIMIT, out) == 0 ? 1 : -1;
    bytes_free(&path);
    return status;
}

const char *model_file_type(const json_t *component)
{
    const char *type = json_string_value(json_object_get(component, "type"));
    return type ? type : "";
}
