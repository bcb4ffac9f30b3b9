// test_stages.c - which stages a data set can serve, and what the main one is held to.

#include "tests/testing.h"

#include <string.h>

#include "base/fail.h"
#include "tasks/stages.h"

static const AlgorithmRow sft = {.name = "sft"};

typedef struct {
    int64_t warmup_steps;
    bool main_samples;
    SampleCounts counts;
    int status;
} Case;

static void sft_needs_the_words_of_experts(void **state)
{
    (void)state;
    const SampleCounts told = {.kept_continue = 3, .speechless = 2},
                       untold = {.kept_continue = 3, .kept_stop = 1, .speechless = 3},
                       stops = {.kept_stop = 2};
    const Case cases[] = {
        {1, true, untold, -1}, {0, false, untold, -1}, {0, true, untold, 0},
        {1, true, told, 0},    {0, false, told, 0},    {1, false, stops, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        StagePlan stages[STAGE_COUNT] = {
            [STAGE_WARMUP] = {.steps = cases[i].warmup_steps, .step.algorithm = &sft},
            [STAGE_MAIN] = {.steps = 1, .step.algorithm = &sft, .samples = cases[i].main_samples},
        };
        Dataset dataset = {.set.counts = cases[i].counts};
        assert_int_equal(stages_check(stages, &dataset, "rounds.jsonl"), cases[i].status);
        if (cases[i].status != 0) {
            assert_int_equal(fail_code(), EXIT_BAD_DATA);
            assert_non_null(strstr(fail_message(), "rounds.jsonl: no sample"));
        }
    }
}

static void only_an_adapter_that_adds_nothing_yet_is_held_to_its_base(void **state)
{
    (void)state;
    static const struct {
        int64_t warmup_steps;
        double kl_coefficient;
        bool begins_adapter;
        Reference expected;
    } cases[] = {
        {0, 0.1, true, REFERENCE_BASE},  {3, 0.1, true, REFERENCE_COPY},
        {0, 0.1, false, REFERENCE_COPY}, {3, 0.1, false, REFERENCE_COPY},
        {0, 0, true, REFERENCE_NONE},    {3, 0, false, REFERENCE_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        StagePlan stages[STAGE_COUNT] = {
            [STAGE_WARMUP] = {.steps = cases[i].warmup_steps},
            [STAGE_MAIN] = {.step = {.algorithm = &algorithm_table[ALGORITHM_GRPO],
                                     .loss.kl_coefficient = cases[i].kl_coefficient}},
        };
        assert_int_equal(stages_reference(stages, cases[i].begins_adapter), cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sft_needs_the_words_of_experts),
        cmocka_unit_test(only_an_adapter_that_adds_nothing_yet_is_held_to_its_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
