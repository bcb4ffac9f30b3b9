// A file of settings, then what --set says: what was accepted is printed, and read back as the
// same.

#include <string.h>

#include "base/fail.h"
#include "input/settings.h"
#include "tests/fuzz/fuzz.h"

static void read_back(const Settings *settings)
{
    Settings read;
    Bytes printed = {0}, again = {0};
    settings_print(settings, &printed);
    CHECK(settings_read_text(&read, printed.data, printed.length, "run.ini", NULL, 0, NULL) == 0,
          "run.ini is refused: %s", fail_message());
    settings_print(&read, &again);
    CHECK(strcmp(printed.data, again.data) == 0, "run.ini comes back as another");
    settings_free(&read);
    bytes_free(&printed);
    bytes_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzPart parts[2];
    Settings settings;
    Bytes faults = {0}, warnings = {0};
    fuzz_parts(data, size, parts, 2);
    char *override = fuzz_text(parts[1]);
    const char *overrides[] = {override};
    if (settings_read_text(&settings, parts[0].data, parts[0].length, "x.ini", overrides,
                           parts[1].data != NULL, &faults) == 0) {
        for (int task = 0; task < TASK_COUNT; task++)
            settings_check(&settings, (Task)task, &faults, &warnings);
        read_back(&settings);
        settings_free(&settings);
    }
    release(override);
    bytes_free(&faults);
    bytes_free(&warnings);
    return 0;
}
