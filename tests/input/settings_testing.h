// settings_testing.h - reading settings from texts, for the tests of this directory.

#ifndef L2A_TESTS_INPUT_SETTINGS_TESTING_H
#define L2A_TESTS_INPUT_SETTINGS_TESTING_H

#include "tests/testing.h"

#include <string.h>

#include "base/fail.h"
#include "input/settings.h"

static inline int read_settings(Settings *settings, const char *text, Bytes *faults)
{
    return settings_read_text(settings, text, strlen(text), "run.ini", NULL, 0, faults);
}

// The text is refused, `line` ("error: run.ini:2: ...") is among the faults.
static inline void expect_fault(const char *text, const char *line)
{
    Settings settings;
    Bytes faults = {0};
    int status = read_settings(&settings, text, &faults);
    if (status == 0)
        fail_msg("this was accepted:\n%s", text);
    assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
    if (!strstr(faults.data, line))
        fail_msg("expected among the faults:\n%s\nfound:\n%s", line, faults.data);
    bytes_free(&faults);
}

static inline void expect_settings(Settings *settings, const char *text)
{
    Bytes faults = {0};
    if (read_settings(settings, text, &faults))
        fail_msg("refused:\n%s\n%s", text, faults.data);
    bytes_free(&faults);
}

#endif
