#include "input/text_file.h"

#include <string.h>

#include "base/fail.h"
#include "base/regular.h"
#include "input/utf8.h"

static const char *fault_of(const Bytes *bytes)
{
    if (bytes->length == 0)
        return "is empty";
    if (strlen(bytes->data) != bytes->length ||
        utf8_valid_length(bytes->data, bytes->length) != bytes->length)
        return "is no text in UTF-8";
    return NULL;
}

int text_file_read(const char *path, const char *setting, char **text)
{
    Bytes bytes = {0};
    int status = regular_read(path, TEXT_FILE_LIMIT, &bytes);
    while (status == 0 && bytes.length > 0 && bytes.data[bytes.length - 1] == '\n')
        bytes.data[--bytes.length] = 0;
    const char *fault = status == 0 ? fault_of(&bytes) : NULL;
    if (fault)
        status = fail(EXIT_BAD_DATA, "%s %s", path, fault);
    if (status == 0)
        *text = bytes.data;
    else
        bytes_free(&bytes);
    return status == 0 ? 0 : fail_context("%s", setting);
}
