// Texts that nobody wrote: whatever the bytes, a text is read or refused, and what is read prints
// and reads back the same. Under the asan preset this also shows that no byte is touched wrongly.

#include "tests/input/settings_testing.h"

#include <stdlib.h>

#include "base/random.h"

enum { MUTANTS = 20000, CHANGES = 6 };

static uint64_t below(uint32_t mutant, uint32_t *position, uint64_t bound)
{
    Draw draw = {.seed = 7, .purpose = PURPOSE_GENERATE, .step = mutant, .position = (*position)++};
    return draw_below(draw, bound);
}

// Replaces, removes or inserts a byte, or copies a piece of the text to another place.
static size_t change(char *text, size_t length, uint32_t mutant, uint32_t *position)
{
    static const char telling[] = "[]=;#\"'\\:\n\r\t .-+eE0915{}~$\0\x80\xc3\xff\xef";
    size_t at = below(mutant, position, length + 1);
    char letter = telling[below(mutant, position, sizeof telling - 1)];
    switch (below(mutant, position, 4)) {
    case 0:
        if (at < length)
            text[at] = letter;
        return length;
    case 1:
        if (at == length)
            return length;
        memmove(text + at, text + at + 1, length - at - 1);
        return length - 1;
    case 2:
        memmove(text + at + 1, text + at, length - at);
        text[at] = letter;
        return length + 1;
    default: {
        size_t from = below(mutant, position, length + 1), room = length - (at > from ? at : from);
        size_t bytes = below(mutant, position, (room < 64 ? room : 64) + 1);
        memmove(text + at, text + from, bytes);
        return length;
    }
    }
}

static void read_again(const Settings *settings)
{
    Bytes first = {0}, second = {0};
    Settings again;
    settings_print(settings, &first);
    expect_settings(&again, first.data);
    settings_print(&again, &second);
    assert_string_equal(first.data, second.data);
    settings_free(&again);
    bytes_free(&first);
    bytes_free(&second);
}

// Whether the text was read.
static int try_text(const char *text, size_t length, int64_t *ambiguous)
{
    Settings settings;
    Bytes faults = {0};
    int status = settings_read_text(&settings, text, length, "run.ini", NULL, 0, &faults);
    if (status == 0) {
        assert_int_equal(faults.length, 0);
        settings_check(&settings, TASK_CHECK, &faults, NULL);
        read_again(&settings);
        settings_free(&settings);
    } else {
        assert_true(faults.length > 0);
        *ambiguous += strstr(faults.data, "two ways") != NULL;
    }
    bytes_free(&faults);
    return status == 0;
}

static void changed_texts_are_read_or_refused(void **state)
{
    (void)state;
    Bytes original = {0};
    settings_print_defaults(&original);
    int64_t read = 0, ambiguous = 0;
    for (uint32_t mutant = 0; mutant < MUTANTS; mutant++) {
        uint32_t position = 0;
        // A beginning of the text: every change then meets something.
        size_t length = 200 + below(mutant, &position, original.length - 199);
        char *text = malloc(length + CHANGES);
        memcpy(text, original.data, length);
        uint64_t changes = below(mutant, &position, CHANGES + 1);
        for (uint64_t i = 0; i < changes; i++)
            length = change(text, length, mutant, &position);
        read += try_text(text, length, &ambiguous);
        free(text);
    }
    // Both ends are reached; and the scan leaves nothing for the second reading to find.
    assert_true(read > MUTANTS / 100 && read < MUTANTS / 2);
    assert_int_equal(ambiguous, 0);
    bytes_free(&original);
}

static void noise_is_refused(void **state)
{
    (void)state;
    int64_t ambiguous = 0;
    for (uint32_t mutant = 0; mutant < MUTANTS; mutant++) {
        uint32_t position = 0;
        char text[64];
        size_t length = 1 + below(mutant, &position, sizeof text);
        for (size_t i = 0; i < length; i++)
            text[i] = (char)below(mutant, &position, 256);
        try_text(text, length, &ambiguous);
    }
    assert_int_equal(ambiguous, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_texts_are_read_or_refused),
        cmocka_unit_test(noise_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
