#include "input/text_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "input/utf8.h"

static int read_bytes(const char *path, const char *setting, Bytes *bytes)
{
    char part[4096];
    size_t read;
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(EXIT_NO_INPUT, "%s: %s (%s)", path, strerror(errno), setting);
    bytes_append(bytes, "", 0);
    while (bytes->length <= TEXT_FILE_LIMIT && (read = fread(part, 1, sizeof part, file)) > 0)
        bytes_append(bytes, part, read);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    return error ? fail(EXIT_NO_INPUT, "%s: %s (%s)", path, strerror(error), setting) : 0;
}

static const char *fault_of(const Bytes *bytes)
{
    if (bytes->length == 0)
        return "is empty";
    if (bytes->length > TEXT_FILE_LIMIT)
        return "is longer than 1 MiB";
    if (strlen(bytes->data) != bytes->length ||
        utf8_valid_length(bytes->data, bytes->length) != bytes->length)
        return "is no text in UTF-8";
    return NULL;
}

int text_file_read(const char *path, const char *setting, char **text)
{
    Bytes bytes = {0};
    int status = read_bytes(path, setting, &bytes);
    bool longer = bytes.length > TEXT_FILE_LIMIT + 1; // not all of it was read
    while (status == 0 && !longer && bytes.length > 0 && bytes.data[bytes.length - 1] == '\n')
        bytes.data[--bytes.length] = 0;
    if (status == 0 && fault_of(&bytes))
        status = fail(EXIT_BAD_DATA, "%s %s (%s)", path, fault_of(&bytes), setting);
    if (status == 0)
        *text = bytes.data;
    else
        bytes_free(&bytes);
    return status;
}
