// test_show_attention.c - each finding is made where it should be, and only there.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "tests/files/scratch.h"
#include "tests/tools/made_run.h"
#include "tools/show_attention.h"

static const char cpu[] = "learn2ask 0.1.0\nbackend    cpu, avx2: no GPU can be used\n";

static void take(void *context, const char *finding)
{
    bytes_print(context, "%s\n", finding);
}

// The findings of a run of 14 steps, the last ten of which have `more`, the first four `before`.
static int find(const char *settings, const char *log_text, const char *before, const char *more,
                Bytes *found)
{
    Bytes journal = {0}, all = {0};
    ShowRun run;
    ShowLog log;
    bytes_print(&all, "[run]\ndirectory = r\n[train]\nbatch_contexts = 10\n%s", settings);
    made_run_begin("r", all.data);
    made_run_file("r", "log.txt", log_text);
    for (int64_t step = 1; step <= 14; step++)
        made_run_step(&journal, step, 1, step <= 4 ? before : more);
    made_run_file("r", "metrics.jsonl", journal.data);
    char *directory = duplicate(scratch_path("r"));
    assert_int_equal(show_run_open(&run, directory), 0);
    show_log_open(&log, directory);
    bytes_clear(found);
    bytes_append(found, "", 0);
    int count = show_attention_find(&run, &log, take, found);
    show_log_close(&log);
    show_run_close(&run);
    release(directory);
    bytes_free(&journal);
    bytes_free(&all);
    return count;
}

// One finding that says `part`; or none where that is NULL.
static void assert_found(const char *settings, const char *before, const char *more,
                         const char *part)
{
    Bytes found = {0};
    int count = find(settings, cpu, before, more, &found);
    if (count != (part != NULL) || (part && !strstr(found.data, part)))
        fail_msg("%d findings: %s; expected: %s", count, found.data, part ? part : "none");
    bytes_free(&found);
}

#define REWARDS                                                                                    \
    ",\"critic/rewards/mean\":1,\"critic/rewards/max\":4,\"response_length/mean\":10,\"actor/entropy\":1"

static void a_sound_run_has_no_findings(void **state)
{
    (void)state;
    assert_found("", REWARDS, REWARDS, NULL);
    assert_found("", "", "", NULL);
}

static void gradients_that_are_not_finite_are_found(void **state)
{
    (void)state;
    assert_found("", REWARDS ",\"actor/skipped_updates\":1", REWARDS,
                 "4 steps had a gradient or a loss that is not finite, the last one step 4; they "
                 "were left out");
    assert_found("not_finite = roll_back\n", ",\"actor/grad_norm\":null",
                 ",\"actor/grad_norm\":0.5", "rolled back");
    scratch_write_text("r/not-finite-000009.jsonl", "");
    assert_found("", "", "", "not-finite-000009.jsonl: the run stopped at a gradient");
    assert_int_equal(remove(scratch_path("r/not-finite-000009.jsonl")), 0);
}

static void responses_that_are_cut_off_are_found(void **state)
{
    (void)state;
    assert_found("[rollout]\nmax_response_tokens = 24\n", "", ",\"response_length/clip_ratio\":0.2",
                 "20 % of the responses are cut off at rollout.max_response_tokens = 24");
    assert_found("", ",\"response_length/clip_ratio\":1", ",\"response_length/clip_ratio\":0.04",
                 NULL);
}

static void responses_without_a_grade_are_found_with_the_cause(void **state)
{
    (void)state;
    static const char groups[] = "[rollout]\ngroup_size = 5\n"; // 50 responses a step
    assert_found(groups, "", ",\"reward/ungraded\":1,\"grading/unanswered\":1",
                 "2.0 % of the responses have no grade: the judge's answers cannot be used");
    assert_found(groups, "",
                 ",\"reward/ungraded\":9,\"grading/unanswered\":9,\"grading/unreached\":9",
                 "the judge did not answer");
    assert_found(groups, "", ",\"reward/ungraded\":0.4", NULL);
}

static void flat_groups_are_found_and_a_learned_task_is_told_apart(void **state)
{
    (void)state;
    assert_found("", "", REWARDS ",\"reward/flat_groups\":6",
                 "60 % of the groups are flat (all responses earn the same): raise "
                 "rollout.temperature or rollout.group_size, or have them replaced");
    assert_found("", "", ",\"reward/flat_groups\":6,\"sampling/replaced_contexts\":4", NULL);
    assert_found("", "", ",\"critic/rewards/mean\":3.9,\"critic/rewards/max\":4,\"reward/flat_groups\":9",
                 "there is little left to learn here");
    assert_found("", "", ",\"reward/flat_groups\":5", NULL);
}

static void a_policy_without_entropy_is_found_unless_all_is_learned(void **state)
{
    (void)state;
    static const char poor[] = ",\"critic/rewards/mean\":1,\"critic/rewards/max\":4,"
                               "\"response_length/mean\":10,\"actor/entropy\":0.06";
    static const char rich[] = ",\"critic/rewards/mean\":3.9,\"critic/rewards/max\":4,"
                               "\"response_length/mean\":10,\"actor/entropy\":0.06";
    assert_found("", REWARDS, poor,
                 "entropy is down to 0.060 nats a token (1 at the stage's first step)");
    assert_found("", REWARDS, rich, NULL);
}

static void divergence_from_the_reference_is_found(void **state)
{
    (void)state;
    static const char far[] = ",\"response_length/mean\":10,\"actor/kl\":2";
    static const char near[] = ",\"response_length/mean\":10,\"actor/kl\":1.4";
    static const char held[] = "[algorithm]\nkl_coefficient = 0.01\n";
    static const char free_of_it[] = "[algorithm]\nkl_coefficient = 0\n";
    assert_found(held, near, far, "a response has moved 20 nats away from the reference");
    assert_found(held, near, near, NULL);
    assert_found(free_of_it, near, far, NULL);
}

static void a_gap_that_must_be_0_is_found(void **state)
{
    (void)state;
    static const char none[] = ",\"mismatch/logprob_gap_max\":0,\"mismatch/logprob_gap_mean\":0";
    static const char small[] =
        ",\"mismatch/logprob_gap_max\":1e-6,\"mismatch/logprob_gap_mean\":1e-7";
    static const char large[] = ",\"mismatch/logprob_gap_max\":2,\"mismatch/logprob_gap_mean\":0.2";
    Bytes found = {0};
    assert_found("", none, none, NULL);
    assert_found("", small, none,
                 "differ by up to 1e-06 in log-probability in 4 steps, the last "
                 "one step 4, where they must agree to the bit");
    assert_found("[rollout]\ntensor_parallel = 2\n", small, small, NULL);
    assert_found("[rollout]\ntensor_parallel = 2\n", small, large, "is more than rounding");
    assert_int_equal(find("", "learn2ask 0\nbackend    cuda, GPU 0\n", small, small, &found), 0);
    assert_int_equal(find("", "learn2ask 0\nbackend    cuda, GPU 0\n", small, large, &found), 1);
    bytes_free(&found);
}

static void ranks_that_wait_are_found(void **state)
{
    (void)state;
    assert_found("[reward]\njudge = served\n", "", ",\"group/rollout/idle\":0.7",
                 "rollout ranks wait for verdicts 70 % of their time: raise judge.in_flight");
    assert_found("[reward]\njudge = model\n", "", ",\"group/rollout/idle\":0.7",
                 "give the judge more ranks");
    static const char split[] =
        "[reward]\njudge = model\n[parallel]\nplacement = split\n[data]\ntrain = x\n";
    assert_found(split, "", ",\"group/rollout/idle\":0.1,\"group/grader/idle\":0.8",
                 "grader ranks are idle 80 % of their time");
    assert_found("[reward]\njudge = model\n", "", ",\"group/grader/idle\":0.8", NULL);
    assert_found("[reward]\njudge = served\n", "", ",\"group/rollout/idle\":0.5", NULL);
}

static void a_stage_of_few_steps_is_not_judged(void **state)
{
    (void)state;
    ShowRun run;
    ShowLog log;
    Bytes journal = {0}, found = {0};
    made_run_begin("few", "[run]\ndirectory = r\n");
    for (int64_t step = 1; step <= 20; step++)
        made_run_step(&journal, step, step > 11, ",\"response_length/clip_ratio\":1");
    made_run_file("few", "metrics.jsonl", journal.data);
    char *directory = duplicate(scratch_path("few"));
    assert_int_equal(show_run_open(&run, directory), 0);
    show_log_open(&log, directory);
    assert_int_equal(show_attention_find(&run, &log, take, &found), 0);
    show_log_close(&log);
    show_run_close(&run);
    release(directory);
    bytes_free(&journal);
    bytes_free(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_run_has_no_findings),
        cmocka_unit_test(gradients_that_are_not_finite_are_found),
        cmocka_unit_test(responses_that_are_cut_off_are_found),
        cmocka_unit_test(responses_without_a_grade_are_found_with_the_cause),
        cmocka_unit_test(flat_groups_are_found_and_a_learned_task_is_told_apart),
        cmocka_unit_test(a_policy_without_entropy_is_found_unless_all_is_learned),
        cmocka_unit_test(divergence_from_the_reference_is_found),
        cmocka_unit_test(a_gap_that_must_be_0_is_found),
        cmocka_unit_test(ranks_that_wait_are_found),
        cmocka_unit_test(a_stage_of_few_steps_is_not_judged),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
