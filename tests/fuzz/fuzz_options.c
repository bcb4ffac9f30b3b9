// A command line, one argument a line.

#define _GNU_SOURCE // strsep
#include <string.h>

#include "base/memory.h"
#include "input/options.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ARGUMENTS = 16 };
    char *text = fuzz_text((FuzzPart){(const char *)data, size}), *rest = text;
    char *argv[ARGUMENTS + 1] = {"learn2ask"};
    int argc = 1;
    while (argc < ARGUMENTS && rest)
        argv[argc++] = strsep(&rest, "\n");
    Options options;
    Bytes explained = {0};
    if (options_read(&options, argc, argv) == 0) {
        if (options.explain)
            settings_explain(options.explain, &explained);
        options_free(&options);
    }
    bytes_free(&explained);
    release(text);
    return 0;
}
