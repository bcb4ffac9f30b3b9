// test_reward.c - what responses earn, by every mode, fusion and trap.

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "reward/best_constant.h"
#include "reward/judge_rule.h"

#include "tests/dialogue/dialogue_testing.h"

#define CONTEXT                                                                                    \
    "[{\"role\": \"user\", \"content\": \"My ear hurts.\"}, {\"role\": \"assistant\", "            \
    "\"content\": \"When did the ear pain start?\"}, {\"role\": \"user\", \"content\": "           \
    "\"Yesterday.\"}]"
#define SAMPLE(cid, truth, info)                                                                   \
    "{\"cid\": \"" cid "\", \"session_id\": \"" cid "\", \"messages\": " CONTEXT                   \
    ", \"decision_truth\": \"" truth "\", \"info_set\": " info "}\n"

static const char training[] = SAMPLE("a", "continue", "[\"nature: sharp pain\", \"fever: none\"]")
    SAMPLE("b", "continue", "[\"hearing: muffled\"]") SAMPLE("c", "stop", "[]")
        SAMPLE("d", "continue", "[\"onset: yesterday\", \"ear pain\"]");

typedef struct {
    SampleSet set;
    RuleJudge *judge;
} World;

static World world_make(void)
{
    World world;
    if (samples_read(&world.set, file_with(training), (SampleOptions){0}))
        die_failed();
    world.judge = rule_judge_make(&world.set);
    return world;
}

static void world_free(World *world)
{
    rule_judge_free(world->judge);
    samples_free(&world->set);
}

static void check_grade(const World *world, int sample, const char *response,
                        RewardSettings settings, double a, double c, double f, double reward)
{
    Grade grade;
    rule_judge_grade(world->judge, &world->set.samples[sample], response, strlen(response),
                     settings, &grade);
    if (!grade.graded || grade.decision != a || grade.content != c || grade.format != f ||
        fabs(grade.reward - reward) > 1e-12)
        fail_msg("'%s': A %g C %g F %g reward %g instead of %g %g %g %g", response, grade.decision,
                 grade.content, grade.format, grade.reward, a, c, f, reward);
}

static void every_row_of_the_table_is_graded(void **state)
{
    (void)state;
    World world = world_make();
    RewardSettings product = {0}, trim = {.trim_stop = true};
    // A wrong action earns nothing, whatever is asked with it.
    check_grade(&world, 0, "<stop />", product, 0, 0, 0, 0);
    check_grade(&world, 0, "Any fever? <stop />", product, 0, 0, 0, 0);
    check_grade(&world, 2, "Any fever?", product, 0, 0, 0, 0);
    check_grade(&world, 2, "<stop/>", product, 0, 0, 0, 0);
    check_grade(&world, 2, "<STOP />", product, 0, 0, 0, 0);
    check_grade(&world, 2, "", product, 0, 0, 0, 0);
    // A right stop is worth 3, and 4 in its exact form.
    check_grade(&world, 2, "<stop />", product, 1, 1, 1, 4);
    check_grade(&world, 2, "<stop />\n", product, 1, 1, 0, 3);
    check_grade(&world, 2, " \t<stop />\n", trim, 1, 1, 1, 4);
    check_grade(&world, 2, "Any fever? <stop />", trim, 1, 1, 0, 3);
    check_grade(&world, 2, "<stop /><stop />", trim, 1, 1, 0, 3);
    // A right continue is judged.
    check_grade(&world, 0, "Do you have a fever?", product, 1, 1, 1, 4);
    check_grade(&world, 0, "Do you have a fever", product, 1, 1, 0, 3);
    check_grade(&world, 0, "Do you smoke cigars?", product, 1, 0, 1, 2);
    check_grade(&world, 0, "", product, 1, 0, 0, 1);
    world_free(&world);
}

static void modes_and_fusions_follow_their_formulas(void **state)
{
    (void)state;
    World world = world_make();
    const char *two = "Any fever? Any chills?"; // F = 0.5; C = 1 or less by stems
    double c = rule_judge_content(world.judge, &world.set.samples[0], two, strlen(two));
    assert_true(c > 0);
    RewardSettings product = {.mode = MODE_RA_RS, .fusion = FUSION_PRODUCT},
                   sum = {.mode = MODE_RA_RS, .fusion = FUSION_SUM}, content = {.mode = MODE_RA},
                   decision = {.mode = MODE_RS, .fusion = FUSION_SUM};
    check_grade(&world, 0, two, product, 1, c, 0.5, 1 + 2 * c + 0.5);
    check_grade(&world, 0, two, sum, 1, c, 0.5, 1 + c + 0.5);
    check_grade(&world, 0, two, content, 1, c, 0.5, 2 * c + 0.5);
    check_grade(&world, 0, two, decision, 1, c, 0.5, 3.5);
    check_grade(&world, 2, two, content, 0, 0, 0, 0);
    check_grade(&world, 2, "<stop />", sum, 1, 1, 1, 3);
    world_free(&world);
}

static void question_sentences_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double format;
    } cases[] = {
        {"Any fever?", 1},
        {"Any fever? Or chills?", 0.5},
        {"A? B? C?", 0},
        {"Tell me more.", 0},
        {"", 0},
        {"?", 0},
        {"Really??", 1},
        {"Really?! Since when? ", 0.5},
        {"您发烧吗？", 1},
        {"您发烧吗？咳嗽吗？", 0.5},
        {"Any fever? ?", 1},
        {"Any \"fever?\"", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (rule_judge_format(cases[i].text, strlen(cases[i].text)) != cases[i].format)
            fail_msg("'%s' is not worth %g", cases[i].text, cases[i].format);
}

static void repeated_questions_have_no_content(void **state)
{
    (void)state;
    World world = world_make();
    const Sample *sample = &world.set.samples[3];
    const char *repeat = "And when did the pain in the ear start?",
               *other = "How bad is the ear pain?";
    assert_true(rule_judge_content(world.judge, sample, repeat, strlen(repeat)) == 0);
    assert_true(rule_judge_content(world.judge, sample, other, strlen(other)) == 1);
    world_free(&world);
}

static void listing_many_words_does_not_pay(void **state)
{
    (void)state;
    World world = world_make();
    const char *list = "Any fever, chills, nausea, cough, rash, dizziness, numbness, swelling, "
                       "vomiting, bleeding, headache, cramps or itching?";
    assert_true(rule_judge_content(world.judge, &world.set.samples[0], list, strlen(list)) == 0);
    world_free(&world);
}

static void weights_kept_with_a_run_grade_the_same(void **state)
{
    (void)state;
    World world = world_make();
    const char *path = file_with("");
    assert_int_equal(rule_judge_write(world.judge, path), 0);
    RuleJudge *read = rule_judge_read(path);
    assert_non_null(read);
    static const char *const questions[] = {"Any fever?", "Is the pain sharp or dull?", "Hearing?"};
    for (int i = 0; i < 9; i++) {
        const Sample *sample = &world.set.samples[i % 4 == 2 ? 0 : i % 4];
        const char *text = questions[i % 3];
        assert_true(rule_judge_content(read, sample, text, strlen(text)) ==
                    rule_judge_content(world.judge, sample, text, strlen(text)));
    }
    rule_judge_free(read);
    world_free(&world);
    assert_null(rule_judge_read("/nowhere"));
}

static void the_best_constant_is_what_greedy_search_finds(void **state)
{
    (void)state;
    World world = world_make();
    BestConstant constant = best_constant_find(world.judge, &world.set);
    Bytes text = {0};
    best_constant_text(&constant, &text);
    assert_true(constant.count > 0);
    double score = best_constant_score(world.judge, &constant, &world.set);
    assert_true(fabs(score - constant.score) < 1e-12);
    // No single word does better.
    for (int i = 0; i < 4; i++) {
        BestConstant single = {.count = 1};
        static const char *const words[] = {"fever", "sharp", "hear", "pain"};
        assert_true(stem_parse(words[i], &single.stems[0]));
        assert_true(best_constant_score(world.judge, &single, &world.set) <= score);
    }
    bytes_free(&text);
    world_free(&world);
}

// Mean C of the doctors' own next words.
static double doctors(const RuleJudge *judge, const SampleSet *set, int64_t *graded)
{
    double sum = 0;
    int64_t continues = 0;
    Bytes text = {0};
    for (int64_t i = 0; i < set->count; i++) {
        const Sample *sample = &set->samples[i];
        if (sample->truth != TRUTH_CONTINUE)
            continue;
        bytes_clear(&text);
        bytes_append_text(&text, "");
        for (int64_t m = 0; m < sample->expert_count; m++)
            bytes_print(&text, " %s", sample->expert[m].content);
        sum += rule_judge_content(judge, sample, text.data, text.length);
        continues++;
    }
    bytes_free(&text);
    *graded += continues;
    return sum / (double)continues;
}

static void the_measured_values_of_mts_dialog_come_out(void **state)
{
    (void)state;
    SampleSet train, test;
    char *train_path = mts_dialog("train_processed.jsonl");
    char *test_path = mts_dialog("test_processed.jsonl");
    assert_int_equal(samples_read(&train, train_path, (SampleOptions){0}), 0);
    assert_int_equal(samples_read(&test, test_path, (SampleOptions){0}), 0);
    RuleJudge *judge = rule_judge_make(&train);
    int64_t graded = 0;
    double start = clock_now();
    double train_score = doctors(judge, &train, &graded),
           test_score = doctors(judge, &test, &graded);
    double rate = (double)graded / (clock_now() - start);
    BestConstant constant = best_constant_find(judge, &train);
    double constant_score = best_constant_score(judge, &constant, &test);
    print_message("doctors %.4f, %.4f; best constant %.4f, %.4f; %.0f responses a second\n",
                  train_score, test_score, constant.score, constant_score, rate);
    assert_true(fabs(train_score - 0.384) < 0.01);
    assert_true(fabs(test_score - 0.381) < 0.01);
    assert_true(fabs(constant.score - 0.16) < 0.03);
    assert_true(fabs(constant_score - 0.15) < 0.03);
    const char *question = "Do you have any fever, pain, or weakness?";
    double sum = 0;
    for (int64_t i = 0; i < train.count; i++)
        sum += rule_judge_content(judge, &train.samples[i], question, strlen(question));
    assert_true(fabs(sum / (double)train.counts.kept_continue - 0.143) < 0.001);
    rule_judge_free(judge);
    samples_free(&train);
    samples_free(&test);
    free(train_path);
    free(test_path);
}

static void a_judges_odd_scores_are_taken_as_they_are(void **state)
{
    (void)state;
    RewardSettings settings = {.mode = MODE_RA_RS, .fusion = FUSION_PRODUCT};
    Grade grade = reward_judged(settings, 0.7, -2);
    assert_true(grade.graded && fabs(grade.reward - (1 + 2 * 0.7 - 2)) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_is_graded),
        cmocka_unit_test(modes_and_fusions_follow_their_formulas),
        cmocka_unit_test(question_sentences_are_counted),
        cmocka_unit_test(repeated_questions_have_no_content),
        cmocka_unit_test(listing_many_words_does_not_pay),
        cmocka_unit_test(weights_kept_with_a_run_grade_the_same),
        cmocka_unit_test(the_best_constant_is_what_greedy_search_finds),
        cmocka_unit_test(the_measured_values_of_mts_dialog_come_out),
        cmocka_unit_test(a_judges_odd_scores_are_taken_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
