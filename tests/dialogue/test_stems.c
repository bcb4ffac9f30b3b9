// test_stems.c - stems and their weights.

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/stems.h"
#include "dialogue/stem_weights.h"

#include "tests/dialogue/dialogue_testing.h"

static void check(const char *text, size_t length, const char *expected)
{
    StemSet set = {0};
    Bytes found = {0};
    bytes_append_text(&found, "");
    stems_add(&set, text, length);
    for (size_t i = 0; i < set.count; i++) {
        char stem[STEM_TEXT_BYTES];
        Stem parsed;
        stem_text(set.stems[i], stem);
        assert_true(stem_parse(stem, &parsed));
        assert_int_equal(stem_compare(&parsed, &set.stems[i]), 0);
        bytes_print(&found, "%s%s", i ? " " : "", stem);
    }
    assert_string_equal(found.data, expected);
    stems_free(&set);
    bytes_free(&found);
}

static void english_words_lose_one_suffix_and_keep_seven_letters(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Do you have any fever, pain, or weakness?", "fever pain weak"},
        {"palpitations medications vaccinations", "medic palpit vaccin"},
        {"coughing coughings coughed coughs cough", "cough"},
        {"red bed ring sing", "bed red ring sing"}, // three letters must remain
        {"seemingly happiness allergies tried dizzy", "allerg dizz happi seem tri"},
        {"hypothyroidism hypothyroid", "hypothy"},
        {"it's x-ray 3 days ago", "ray"},
        {"The patient complains of the", ""},
        {"supercalifragilisticexpialidociousations", "superca"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void other_scripts_have_stems_too(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Où fièvre", "fièvre"},
        {"ＦＥＶＥＲ ﬁbre", "fever fibre"}, // NFKC: full width, ligature
        {"您发烧吗？痛", "发烧 您发 烧吗 痛"},
        {"咳嗽cough咳嗽", "cough 咳嗽"},
        {"ｶﾞﾝ", "ガン"},
        {"боли болит", "боли болит"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void bytes_that_are_not_utf8_part_words(void **state)
{
    (void)state;
    check("fever\xff\xffpain", 11, "fever pain");
    check("caf\xc3", 4, "caf");
    check("fever\0pain", 10, "fever pain");
    check("", 0, "");
}

static void equal_stems_count_once_and_jaccard_counts_sets(void **state)
{
    (void)state;
    StemSet a = {0}, b = {0};
    assert_true(stems_jaccard(&a, &b) == 0);
    stems_add(&a, "fever pain pains", 16);
    stems_add(&b, "fever cough pain", 16);
    assert_int_equal(a.count, 2);
    assert_true(fabs(stems_jaccard(&a, &b) - 2.0 / 3) < 1e-15);
    stems_free(&a);
    stems_free(&b);
}

static void count_text(StemWeights *weights, const char *text)
{
    StemSet set = {0};
    stems_add(&set, text, strlen(text));
    stem_weights_count(weights, &set);
    stems_free(&set);
}

static StemSet set_of(const char *text)
{
    StemSet set = {0};
    stems_add(&set, text, strlen(text));
    return set;
}

static void stem_weights_are_log_ratios_and_the_overlap_is_an_f_score(void **state)
{
    (void)state;
    StemWeights weights = {0};
    count_text(&weights, "fever cough");
    count_text(&weights, "fever");
    count_text(&weights, "rash");
    StemSet q = set_of("fever rash unseen"), i = set_of("fever cough");
    assert_true(fabs(stem_weights_of(&weights, q.stems[0]) - log(4.0 / 3)) < 1e-14);
    assert_int_equal(stem_weights_documents(&weights, q.stems[0]), 2);
    double fever = log(4.0 / 3), once = log(2.0), never = log(4.0);
    double expected = 2 * fever / (fever + once + never + fever + once);
    assert_true(fabs(stem_weights_overlap(&weights, &q, &i) - expected) < 1e-14);
    stems_clear(&q);
    stems_clear(&i);
    assert_true(stem_weights_overlap(&weights, &q, &i) == 0);
    stems_free(&q);
    stems_free(&i);
    stem_weights_free(&weights);
}

static void stem_weights_come_back_from_their_file_the_same(void **state)
{
    (void)state;
    StemWeights weights = {0}, read;
    for (int i = 0; i < 300; i++) {
        char text[64];
        snprintf(text, sizeof text, "fever %c%c%c 咳嗽%s", 'a' + i % 26, 'a' + i / 26, 'q',
                 i % 2 ? " rash" : "");
        count_text(&weights, text);
    }
    const char *path = file_with("");
    assert_int_equal(stem_weights_write(&weights, path), 0);
    assert_int_equal(stem_weights_read(&read, path), 0);
    assert_int_equal(read.documents, 300);
    assert_int_equal(read.count, weights.count);
    StemFrequency *a = stem_weights_sorted(&weights), *b = stem_weights_sorted(&read);
    assert_memory_equal(a, b, weights.count * sizeof *a);
    release(a);
    release(b);
    stem_weights_free(&weights);
    stem_weights_free(&read);
    unlink(path);
}

static void unusable_weight_files_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{", "cannot read the stem weights"},
        {"{\"stems\": {}}", "no stem weights"},
        {"{\"documents\": 3, \"stems\": {\"fever\": 4}}", "'fever' is not a stem"},
        {"{\"documents\": 3, \"stems\": {\"fevereight\": 1}}", "'fevereight' is not a stem"},
        {"{\"documents\": 3, \"stems\": {\"\": 1}}", "'' is not a stem"},
    };
    StemWeights weights;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = file_with(cases[i][0]);
        assert_int_equal(stem_weights_read(&weights, path), -1);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
        assert_message(cases[i][1]);
        assert_message(path);
        unlink(path);
    }
    const char *large = file_with("");
    assert_int_equal(truncate(large, (off_t)STEM_WEIGHTS_FILE_LIMIT + 1), 0);
    assert_int_equal(stem_weights_read(&weights, large), -1);
    assert_message("at most 1000000000 are allowed");
    assert_int_equal(stem_weights_read(&weights, "/nowhere/weights.json"), -1);
    assert_int_equal(fail_code(), EXIT_NO_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(english_words_lose_one_suffix_and_keep_seven_letters),
        cmocka_unit_test(other_scripts_have_stems_too),
        cmocka_unit_test(bytes_that_are_not_utf8_part_words),
        cmocka_unit_test(equal_stems_count_once_and_jaccard_counts_sets),
        cmocka_unit_test(stem_weights_are_log_ratios_and_the_overlap_is_an_f_score),
        cmocka_unit_test(stem_weights_come_back_from_their_file_the_same),
        cmocka_unit_test(unusable_weight_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
