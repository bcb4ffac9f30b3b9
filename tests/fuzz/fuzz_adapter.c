// adapter_config.json of a PEFT directory, then a list of layers.

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "tasks/peft_adapter.h"
#include "tests/fuzz/fuzz.h"

int parameters_load(const Parameters *parameters, const char *path, float *values)
{
    (void)parameters;
    (void)path;
    (void)values;
    abort(); // only configurations are read here
}

static void read_list(FuzzPart part)
{
    AdapterShape shape = {0};
    char *text = fuzz_text(part);
    if (adapter_parse_targets(text, shape.targets) == 0) {
        AdapterShape again = {0};
        Bytes printed = {0};
        adapter_print_targets(&shape, &printed);
        CHECK(adapter_parse_targets(printed.data, again.targets) == 0 &&
                  adapter_same(&shape, &again),
              "'%s' comes back as another list", printed.data);
        bytes_free(&printed);
    }
    release(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzPart parts[2];
    fuzz_parts(data, size, parts, 2);
    fuzz_write("adapter_config.json", parts[0]);
    StoredAdapter stored;
    if (peft_adapter_read(&stored, fuzz_directory()) == 0)
        CHECK(stored.shape.rank > 0 && adapter_alpha_is_usable(stored.shape.alpha) && stored.base,
              "half an adapter");
    stored_adapter_free(&stored);
    if (parts[1].data)
        read_list(parts[1]);
    return 0;
}
