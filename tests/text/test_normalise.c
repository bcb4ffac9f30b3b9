// test_normalise.c - NFC, and the way back from the normalised text to the text.

#include "tests/testing.h"

#include <string.h>

#include "base/memory.h"
#include "text/normalise.h"
#include "text/unicode.h"

static uint8_t *classes;

static int make_classes(void **state)
{
    (void)state;
    classes = unicode_classes_make();
    return 0;
}

static int free_classes(void **state)
{
    (void)state;
    release(classes);
    return 0;
}

static void assert_nfc(const char *text, const char *expected)
{
    Bytes out = {0};
    if (!normalise_nfc(classes, text, strlen(text), &out, NULL))
        bytes_append_text(&out, text);
    if (strcmp(out.data, expected) != 0)
        fail_msg("NFC of '%s' is '%s', not '%s'", text, out.data, expected);
    bytes_free(&out);
}

static void marks_join_the_letter_before_them(void **state)
{
    (void)state;
    assert_nfc("e\u0301te\u0301", "été");
    assert_nfc("a\u0323\u0307", "\u1ea1\u0307");
    assert_nfc("a\u0307\u0323", "\u1ea1\u0307");
    assert_nfc("\u1112\u1161\u11ab", "한");
    assert_nfc("\uac00\u11a8", "각");
    assert_nfc("\u0301x", "\u0301x");
    assert_nfc("\n\u0301", "\n\u0301");
}

static void single_characters_are_replaced_by_their_equals(void **state)
{
    (void)state;
    assert_nfc("\u2126 \u212b \uf900", "Ω Å 豈");
    assert_nfc("\u0958", "\u0915\u093c");
    assert_nfc("\u0344", "\u0308\u0301");
}

static void composed_text_is_left_alone_without_copying(void **state)
{
    (void)state;
    Bytes out = {0};
    const char text[] = "plain ASCII, é, ß, 你好, 한국어, 😀\n";
    assert_false(normalise_nfc(classes, text, strlen(text), &out, NULL));
    assert_int_equal(out.length, 0);
    bytes_free(&out);
}

// The normaliser that ids have to agree with knows no character of Unicode 10 or later.
static void characters_newer_than_the_model_library_stay_as_they_are(void **state)
{
    (void)state;
    assert_nfc("\U00011935\U00011930", "\U00011935\U00011930");
    assert_nfc("a\u08ca\u0316", "a\u08ca\u0316");
    assert_nfc("\U000105d2\u0307", "\U000105d2\u0307");
}

static void offsets_lead_back_to_the_text(void **state)
{
    (void)state;
    const char text[] = "xe\u0301y\u2126z"; // x e ◌́◌́ y ΩΩΩ z -> x éé y ΩΩ z
    Bytes out = {0};
    Edits edits = {0};
    assert_true(normalise_nfc(classes, text, strlen(text), &out, &edits));
    assert_string_equal(out.data, "xéyΩz");
    const size_t sources[] = {0, 1, 4, 4, 5, 8, 8, 9};
    for (size_t target = 0; target <= out.length; target++)
        assert_int_equal(normalise_source(&edits, target), sources[target]);
    bytes_free(&out);
    release(edits.items);
}

static void stretches_that_stay_are_no_edits(void **state)
{
    (void)state;
    const char text[] = "\u0301a \n\u0301 q\u0301"; // marks that nothing takes in
    Bytes out = {0};
    Edits edits = {0};
    normalise_nfc(classes, text, strlen(text), &out, &edits);
    assert_int_equal(edits.count, 0);
    for (size_t target = 0; target <= strlen(text); target++)
        assert_int_equal(normalise_source(&edits, target), target);
    bytes_free(&out);
    release(edits.items);
}

static void invalid_sequences_are_told_from_valid_ones(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC3",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xFF",
                                      "\xE4\xBD"};
    uint32_t code;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(unicode_decode(bad[i], strlen(bad[i]), &code), 0);
    assert_int_equal(unicode_decode("\xF0\x9F\x98\x80", 4, &code), 4);
    assert_int_equal(code, 0x1F600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_join_the_letter_before_them),
        cmocka_unit_test(single_characters_are_replaced_by_their_equals),
        cmocka_unit_test(composed_text_is_left_alone_without_copying),
        cmocka_unit_test(characters_newer_than_the_model_library_stay_as_they_are),
        cmocka_unit_test(offsets_lead_back_to_the_text),
        cmocka_unit_test(stretches_that_stay_are_no_edits),
        cmocka_unit_test(invalid_sequences_are_told_from_valid_ones),
    };
    return cmocka_run_group_tests(tests, make_classes, free_classes);
}
