// A file of JSON lines: what was read is written, and read back as the same.

#include <string.h>

#include "base/fail.h"
#include "input/jsonl.h"
#include "tests/fuzz/fuzz.h"

static void write_back(const json_t *object)
{
    Bytes text = {0}, again = {0};
    jsonl_append(&text, object);
    json_error_t error;
    json_t *read = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
    CHECK(read && json_equal(read, object), "%s comes back as another: %s", text.data, error.text);
    jsonl_append(&again, read);
    CHECK(strcmp(text.data, again.data) == 0, "%s becomes %s", text.data, again.data);
    json_decref(read);
    bytes_free(&text);
    bytes_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    JsonlReader *reader;
    json_t *object;
    JsonlReport report;
    int status;
    if (jsonl_open(&reader, fuzz_file((FuzzPart){(const char *)data, size})) != 0)
        return 0;
    while ((status = jsonl_next(reader, &object)) == 1) {
        write_back(object);
        json_decref(object);
    }
    CHECK(status == 0, "%s", fail_message());
    status = jsonl_close(reader, false, &report);
    CHECK((status == 0) == (report.bad == 0), "bad lines are not told");
    return 0;
}
