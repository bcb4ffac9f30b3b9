// A journal that a killed program left: opened, appended to, and read.

#include <string.h>

#include "base/fail.h"
#include "files/journal.h"
#include "tests/fuzz/fuzz.h"

static int count_line(void *context, const char *line, size_t length, int64_t number)
{
    CHECK(!memchr(line, '\n', length), "a line holds a newline");
    *(int64_t *)context = number;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char line[] = "{\"step\": 7}";
    int64_t whole = 0, lines = 0;
    for (size_t i = 0; i < size; i++)
        whole += data[i] == '\n';
    const char *path = fuzz_write("m.jsonl", (FuzzPart){(const char *)data, size});
    Journal *journal = journal_open(path);
    CHECK(journal && journal_append(journal, line, sizeof line - 1) == 0, "%s", fail_message());
    journal_close(journal);
    CHECK(journal_read(path, count_line, &lines) == 0, "%s", fail_message());
    CHECK(lines == whole + 1, "%lld lines of %lld", (long long)lines, (long long)whole + 1);
    fuzz_write("m.jsonl.orphan", (FuzzPart){0});
    return 0;
}
