// test_split.c - the hand-written pre-tokenisers against the regular expressions they stand for.

#include "tests/testing.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/memory.h"
#include "base/random.h"
#include "text/split.h"
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

// Characters on whose classes PCRE2 and the table agree, those that matter often.
static const char *const characters[] = {
    "a",      "b",      "e",        "l",      "L",      "s",  "S",          "t",
    "T",      "r",      "R",        "v",      "V",      "m",  "d",          "D",
    "'",      "'",      "'",        " ",      " ",      " ",  " ",          "\t",
    "\n",     "\n",     "\r",       "\v",     "0",      "1",  "2",          "9",
    ".",      "!",      "_",        "/",      "é",      "ß",  "ſ",          "你",
    "好",     "ｱ",      "٣",        "½",      "Ⅷ",      "。", "…",          "\u00a0",
    "\u3000", "\u2028", "\xC2\x85", "\u0301", "\u200b", "😀",  "\U0001d7ce", "\U00010380",
};

static void random_text(Draw draw, Bytes *text)
{
    uint64_t kinds = sizeof characters / sizeof *characters;
    bytes_clear(text);
    uint64_t length = 1 + draw_below(draw, 30);
    for (draw.position = 1; draw.position <= length; draw.position++)
        bytes_append_text(text, characters[draw_below(draw, kinds)]);
}

// The lengths of the pieces that `regex` makes of text[at, end).
static size_t pieces_by_regex(pcre2_code *regex, const char *text, size_t at, size_t end,
                              size_t *lengths)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(regex, NULL);
    size_t count = 0;
    while (at < end) {
        int found = pcre2_match(regex, (PCRE2_SPTR)text, end, at, PCRE2_ANCHORED, match, NULL);
        assert_int_equal(found, 1);
        size_t next = pcre2_get_ovector_pointer(match)[1];
        lengths[count++] = next - at;
        at = next;
    }
    pcre2_match_data_free(match);
    return count;
}

static pcre2_code *compiled(const char *regex)
{
    int error;
    size_t place;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP, &error, &place, NULL);
    assert_non_null(code);
    return code;
}

static void assert_same_pieces(const Splitter *splitter, const Bytes *text, const size_t *lengths,
                               size_t count)
{
    size_t at = 0, part_end = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = split_next(splitter, classes, text->data, text->length, at, &part_end);
        if (length != lengths[i])
            fail_msg("piece %zu of '%s' (%s) has %zu bytes, not %zu", i, text->data,
                     split_regex(splitter->pattern), length, lengths[i]);
        at += length;
    }
    assert_int_equal(at, text->length);
}

static void compare_with_regex(SplitPattern pattern)
{
    pcre2_code *regex = compiled(split_regex(pattern));
    Splitter splitter = {.pattern = pattern};
    Bytes text = {0};
    size_t lengths[200];
    for (uint32_t i = 0; i < 100000; i++) {
        random_text((Draw){.seed = 1, .purpose = PURPOSE_GENERATE, .step = i}, &text);
        size_t count = pieces_by_regex(regex, text.data, 0, text.length, lengths);
        assert_same_pieces(&splitter, &text, lengths, count);
    }
    bytes_free(&text);
    pcre2_code_free(regex);
}

static void gpt2_pieces_are_those_of_its_regular_expression(void **state)
{
    (void)state;
    compare_with_regex(SPLIT_GPT2);
}

static void qwen2_pieces_are_those_of_its_regular_expression(void **state)
{
    (void)state;
    compare_with_regex(SPLIT_QWEN2);
}

static void llama3_pieces_are_those_of_its_regular_expression(void **state)
{
    (void)state;
    compare_with_regex(SPLIT_LLAMA3);
}

// Numbers are cut out first; what is left and right of one is then a text of its own.
static void compare_digits(bool individual)
{
    pcre2_code *regex = compiled(split_regex(SPLIT_GPT2));
    pcre2_code *parts = compiled(individual ? "\\p{N}|\\P{N}+" : "\\p{N}+|\\P{N}+");
    Splitter splitter = {.digits = true, .digits_individual = individual, .pattern = SPLIT_GPT2};
    Bytes text = {0};
    size_t lengths[200], part_lengths[200];
    for (uint32_t i = 0; i < 50000; i++) {
        random_text((Draw){.seed = 2, .purpose = PURPOSE_GENERATE, .step = i}, &text);
        size_t part_count = pieces_by_regex(parts, text.data, 0, text.length, part_lengths);
        size_t count = 0, at = 0;
        for (size_t part = 0; part < part_count; at += part_lengths[part++])
            count +=
                pieces_by_regex(regex, text.data, at, at + part_lengths[part], lengths + count);
        assert_same_pieces(&splitter, &text, lengths, count);
    }
    bytes_free(&text);
    pcre2_code_free(regex);
    pcre2_code_free(parts);
}

static void digits_stand_alone_before_the_pattern_is_asked(void **state)
{
    (void)state;
    compare_digits(true);
}

static void numbers_stand_together_when_digits_are_not_individual(void **state)
{
    (void)state;
    compare_digits(false);
}

static void known_patterns_are_found_by_their_text_only(void **state)
{
    (void)state;
    for (int i = SPLIT_GPT2; i <= SPLIT_LLAMA3; i++) {
        SplitPattern pattern;
        assert_int_equal(split_find(split_regex((SplitPattern)i), &pattern), 0);
        assert_int_equal(pattern, i);
    }
    SplitPattern pattern;
    assert_int_equal(split_find("\\s+|\\S+", &pattern), -1);
    assert_int_equal(split_find("", &pattern), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_pieces_are_those_of_its_regular_expression),
        cmocka_unit_test(qwen2_pieces_are_those_of_its_regular_expression),
        cmocka_unit_test(llama3_pieces_are_those_of_its_regular_expression),
        cmocka_unit_test(digits_stand_alone_before_the_pattern_is_asked),
        cmocka_unit_test(numbers_stand_together_when_digits_are_not_individual),
        cmocka_unit_test(known_patterns_are_found_by_their_text_only),
    };
    return cmocka_run_group_tests(tests, make_classes, free_classes);
}
