// test_facts.c - which answers of an extractor are lists of facts, and what is asked.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "dialogue/facts.h"

static void expect_facts(const char *text, const char *json)
{
    json_t *facts = facts_parse(text, strlen(text)),
           *wanted = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (facts ? !json_equal(facts, wanted) : !json_is_null(wanted))
        fail_msg("%s is not %s", text, json);
    json_decref(facts);
    json_decref(wanted);
}

static void lists_of_strings_are_facts(void **state)
{
    (void)state;
    expect_facts("[]", "[]");
    expect_facts(" \n[ ]\t\n", "[]");
    expect_facts("['symptom: dry cough']", "[\"symptom: dry cough\"]");
    expect_facts("['a', \"b\" ,\n 'c',]", "[\"a\", \"b\", \"c\"]");
    expect_facts("['it''s']", "null");
    expect_facts("['it\\'s', \"it's\", 'say \"ah\"']", "[\"it's\", \"it's\", \"say \\\"ah\\\"\"]");
    expect_facts("['\\x41\\u00e4\\U0001F600\\101\\\\']", "[\"A\\u00e4\\ud83d\\ude00A\\\\\"]");
    expect_facts("['a\\qb', 'line\\\nend', 't\\tn\\n.']",
                 "[\"a\\\\qb\", \"lineend\", \"t\\tn\\n.\"]");
    expect_facts("['  spaces  ']", "[\"spaces\"]");
    expect_facts("['咳嗽', '发热']", "[\"咳嗽\", \"发热\"]");
    expect_facts("<think>[ 'no' ]\nlong</think>\n\n['yes']", "[\"yes\"]");
}

static void everything_else_is_not(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          "None",           "[",           "]",         "['a'",         "['a]",
        "['a'] .",   "Here: ['a']",    "```['a']```", "[1]",       "['a', 1]",     "[['a']]",
        "['a' 'b']", "['a',, 'b']",    "[,]",         "('a',)",    "{'a'}",        "['']",
        "['  ']",    "['a\nb']",       "['\\x4']",    "['\\u12']", "['\\ud800']",  "['\\0']",
        "[a]",       "['a'; 'b']",     "[b'a']",      "['a'],",    "<think>['a']", "['\\N{DASH}']",
        "['a\xFF']", "['\\U00110000']"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (facts_parse(texts[i], strlen(texts[i])))
            fail_msg("%s is taken for facts", texts[i]);
    assert_null(facts_parse("['a\0b']", 7));
}

static void answers_beyond_all_measure_are_refused(void **state)
{
    (void)state;
    Bytes text = {0};
    bytes_append_text(&text, "[");
    for (int i = 0; i < FACTS_LIMIT; i++)
        bytes_append_text(&text, "'a',");
    bytes_append_text(&text, "]");
    json_t *facts = facts_parse(text.data, text.length);
    assert_int_equal(json_array_size(facts), FACTS_LIMIT);
    json_decref(facts);
    text.length--;
    bytes_append_text(&text, "'one more']");
    assert_null(facts_parse(text.data, text.length));
    bytes_clear(&text);
    for (int i = 0; i < FACTS_BYTES_LIMIT; i++)
        bytes_append_text(&text, " ");
    bytes_append_text(&text, "[]");
    assert_null(facts_parse(text.data, text.length));
    bytes_free(&text);
}

// Nothing is read behind the end, whatever the answer: the sanitizers watch.
static void any_bytes_can_be_parsed(void **state)
{
    (void)state;
    static const char pieces[] = "[]'\"\\,x0u4U \n<think></think>\xC3\xA4";
    for (uint32_t n = 0; n < 20000; n++) {
        char text[24] = {0};
        Draw draw = {.seed = 3, .purpose = PURPOSE_GENERATE, .step = n};
        size_t length = draw_below(draw, sizeof text);
        for (size_t i = 0; i < length; i++) {
            draw.position = (uint32_t)i + 1;
            text[i] = pieces[draw_below(draw, sizeof pieces - 1)];
        }
        char *exact = allocate(length, 1);
        memcpy(exact, text, length);
        json_decref(facts_parse(exact, length));
        release(exact);
    }
}

static void expect_f1(const char *found, const char *truth, double f1)
{
    json_t *a = json_loads(found, 0, NULL), *b = json_loads(truth, 0, NULL);
    double forth = facts_f1(a, b), back = facts_f1(b, a);
    if (forth < f1 - 1e-9 || forth > f1 + 1e-9 || back < f1 - 1e-9 || back > f1 + 1e-9)
        fail_msg("%s and %s: %g, back %g, not %g", found, truth, forth, back, f1);
    json_decref(a);
    json_decref(b);
}

static void agreement_is_in_values_under_the_same_field(void **state)
{
    (void)state;
    expect_f1("[]", "[]", 1);
    expect_f1("[]", "[\"symptom: cough\"]", 0);
    expect_f1("[\"symptom: cough\"]", "[\"symptom: cough\"]", 1);
    expect_f1("[\"symptom: fever\"]", "[\"symptom: cough\"]", 0);
    expect_f1("[\"Symptom: dry coughing\"]", "[\"symptom: cough\"]", 1);
    expect_f1("[\"symptom location: head\"]", "[\"symptom: head\"]", 0);
    expect_f1("[\"T: 39\"]", "[\"T: 39\"]", 1); // equal, though without a stem
    expect_f1("[\"T: 39\"]", "[\"T: 41\"]", 0);
    expect_f1("[\"symptom: cough\", \"symptom: rash\"]", "[\"symptom: rash\"]", 2.0 / 3);
    expect_f1("[\"symptom: cough\", \"symptom: cough\"]", "[\"symptom: cough\"]", 2.0 / 3);
}

static void a_future_is_asked_about_as_lines(void **state)
{
    (void)state;
    Bytes text = {0};
    json_t *future = json_loads("[{\"role\": \"assistant\", \"content\": \"Since when?\"},"
                                " {\"role\": \"user\", \"content\": \"Two days.\"}]",
                                0, NULL);
    facts_question(future, &text);
    assert_string_equal(text.data, "assistant: Since when?\nuser: Two days.");
    json_decref(future);
    bytes_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_strings_are_facts),
        cmocka_unit_test(everything_else_is_not),
        cmocka_unit_test(answers_beyond_all_measure_are_refused),
        cmocka_unit_test(any_bytes_can_be_parsed),
        cmocka_unit_test(agreement_is_in_values_under_the_same_field),
        cmocka_unit_test(a_future_is_asked_about_as_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
