// test_inputs.c - the input files that ship are accepted, without a fault and without a warning.
//
//     test_inputs FILE.ini...

#include <stdio.h>

#include "base/fail.h"
#include "input/settings.h"

static int is_accepted(const char *path)
{
    Settings settings;
    Bytes faults = {0}, warnings = {0};
    int status = settings_read(&settings, path, NULL, 0, &faults);
    if (status == 0) {
        status = settings_check(&settings, TASK_CHECK, &faults, &warnings);
        settings_free(&settings);
    }
    printf("%s: %s\n%s%s", path, status || warnings.length ? "refused" : "accepted",
           faults.length ? faults.data : "", warnings.length ? warnings.data : "");
    int accepted = status == 0 && warnings.length == 0;
    bytes_free(&faults);
    bytes_free(&warnings);
    return accepted;
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? 0 : 1;
    for (int i = 1; i < argc; i++)
        if (!is_accepted(argv[i]))
            status = 1;
    return status;
}
