#include "input/json_file.h"

#include "base/fail.h"
#include "base/regular.h"

int json_file_read(const char *path, size_t limit, json_t **root)
{
    Bytes text = {0};
    json_error_t error;
    *root = NULL;
    int status = regular_read(path, limit, &text);
    if (status == 0) {
        *root = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
        if (!*root)
            status = fail(EXIT_BAD_DATA, "%s:%d: %s", path, error.line, error.text);
    }
    bytes_free(&text);
    return status;
}
