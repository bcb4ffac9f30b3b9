// The JSON header of one file. The input begins with the number of bytes of data that are said to
// stand behind it.

#include <stdlib.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/safetensors_header.h"
#include "tests/fuzz/fuzz.h"

static void check(const SafetensorsEntry *entries, int64_t count, int64_t data_bytes)
{
    int64_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        CHECK(entries[i].begin == end && entries[i].end >= end, "a hole or an overlap");
        end = entries[i].end;
    }
    CHECK(end == data_bytes, "the data are not tiled");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzPart parts[2];
    SafetensorsEntry *entries;
    int64_t count;
    fuzz_parts(data, size, parts, 2);
    char *number = fuzz_text(parts[0]);
    int64_t data_bytes = llabs(strtoll(number, NULL, 10) % INT64_MAX);
    release(number);
    if (parts[1].data && safetensors_header_parse("x", parts[1].data, parts[1].length, data_bytes,
                                                  &entries, &count) == 0) {
        check(entries, count, data_bytes);
        safetensors_header_free(entries, count);
    }
    return 0;
}
