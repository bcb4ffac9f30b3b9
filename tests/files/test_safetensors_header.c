#include "tests/testing.h"

#include <string.h>

#include "files/safetensors_header.h"

static void random_headers_never_crash(void **state)
{
    (void)state;
    static const char good[] = "{\"__metadata__\":{\"a\":\"b\"},"
                               "\"t\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                               "\"u\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]}}";
    uint32_t draw = 1;
    int accepted = 0;
    for (int i = 0; i < 100000; i++) {
        char header[sizeof good];
        memcpy(header, good, sizeof good);
        size_t length = sizeof good - 1;
        for (int flips = 0; flips < 1 + i % 3; flips++) {
            draw = draw * 1664525 + 1013904223;
            header[(draw >> 8) % length] =
                (char)(draw % 11 ? "\"{}[],:019-eE.tu"[draw % 16] : (int)(draw >> 24));
        }
        SafetensorsEntry *entries;
        int64_t count;
        if (safetensors_header_parse("x", header, length, 12, &entries, &count) == 0)
            accepted++;
        safetensors_header_free(entries, count);
    }
    assert_in_range(accepted, 1, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_headers_never_crash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
