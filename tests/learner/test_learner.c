// test_learner.c - whole steps: losses fall, references stay, memory is what was said; the scorer.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "learner/scorer.h"
#include "tests/learner/learner_testing.h"

enum { MICRO_BATCH = 300 };

static void sft_learns_what_it_is_shown(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    settings.algorithm = &algorithm_table[ALGORITHM_SFT];
    settings.temperature = 1;
    settings.optimizer.learning_rate = 0.01;
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_BF16, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    double first = take_step(&learner, &settings, &grove, "actor/pg_loss"), last = first;
    for (int step = 0; step < 40; step++)
        last = take_step(&learner, &settings, &grove, "actor/pg_loss");
    assert_true(first > 4 && last < 0.5 * first);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void good_responses_become_more_probable_and_bad_ones_less(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    settings.loss.kl_coefficient = 0;
    tiny_make(&tiny, TINY_QWEN2, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    double first = take_step(&learner, &settings, &grove, "actor/pg_loss"), last = first;
    for (int step = 0; step < 10; step++)
        last = take_step(&learner, &settings, &grove, "actor/pg_loss");
    assert_true(last < first - 0.1);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void a_frozen_reference_stays_while_the_policy_moves(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    learner_make(&learner, &tiny.model, &tiny.group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = MICRO_BATCH});
    tiny_randomise(&tiny.parameters, 5, learner.optimizer.master);
    learner_freeze_reference(&learner);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") == 0);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") > 0);
    assert_memory_equal(learner.reference_shards, tiny.values,
                        (size_t)tiny.parameters.local * sizeof(float));
    learner_freeze_reference(&learner); // anew: what its window holds is out of date
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") == 0);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void a_step_leaves_nothing_in_the_gradient_of_the_next(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    double norm = take_step(&learner, &settings, &grove, "actor/grad_norm");
    assert_true(norm > 0 && take_step(&learner, &settings, &grove, "actor/grad_norm") == norm);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void without_a_coefficient_there_is_no_divergence(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 1, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl_loss") > 0);
    settings.loss.kl_coefficient = 0;
    assert_true(isnan(take_step(&learner, &settings, &grove, "actor/kl_loss")));
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void a_step_that_nothing_scores_moves_no_weight(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    for (int64_t t = 0; t < grove.count; t++)
        for (int32_t b = 0; b < grove.trees[t].branch_count; b++)
            grove.trees[t].branches[b].graded = 0;
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    assert_true(take_step(&learner, &settings, &grove, "actor/grad_norm") == 0);
    assert_memory_equal(learner.optimizer.master, tiny.values,
                        (size_t)tiny.parameters.local * sizeof(float));
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void a_loss_that_is_not_finite_fails_and_changes_nothing(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 1, tiny.model.shape->vocabulary, 3);
    grove.trees[0].branches[0].graded = 1;
    grove.trees[0].branches[0].reward = NAN;
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    assert_int_equal(learner_step(&learner, &settings,
                                  &(StepBatch){.trees = grove.trees, .count = grove.count},
                                  &metrics),
                     -1);
    assert_memory_equal(learner.optimizer.master, tiny.values,
                        (size_t)tiny.parameters.local * sizeof(float));
    metrics_free(&metrics);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void the_scorer_finds_the_loss_of_sft(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    Scorer scorer;
    StepSettings settings = tiny_step_settings();
    double sum, tokens;
    settings.algorithm = &algorithm_table[ALGORITHM_SFT];
    settings.temperature = 1;
    tiny_make(&tiny, TINY_QWEN3, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 3, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    double loss = take_step(&learner, &settings, &grove, "actor/pg_loss");
    scorer_make(&scorer, &tiny.model, tiny.weights, &tiny.group, MICRO_BATCH);
    scorer_run(&scorer, grove.trees, grove.count, 1, &sum, &tokens);
    assert_true(tokens > 50 && fabs(sum / tokens / loss - 1) < 1e-7);
    scorer_free(&scorer);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void the_work_of_a_step_is_reported(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    StepSettings settings = tiny_step_settings();
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 3, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, 4096, NULL);
    double rows = 0, scored = 0;
    for (int64_t t = 0; t < grove.count; t++) {
        rows += (double)tree_rows(&grove.trees[t]);
        for (int32_t b = 0; b < grove.trees[t].branch_count; b++) {
            const Branch *branch = &grove.trees[t].branches[b];
            for (int32_t i = 0; i < branch->count; i++)
                scored += branch->graded && branch->scored[i];
        }
    }
    assert_true(take_step(&learner, &settings, &grove, "learner/rows") == rows);
    assert_true(take_step(&learner, &settings, &grove, "learner/trunk_repeats") == 0);
    assert_true(take_step(&learner, &settings, &grove, "learner/micro_batches") == 1);
    assert_true(take_step(&learner, &settings, &grove, "actor/tokens") == scored);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

// A learner that takes one step over the same grove, with weights of its own or an engine's.
static void several_updates(Tiny *tiny, Weights *resident, const StepSettings *settings,
                            Metrics *metrics, float *masters)
{
    Grove grove;
    Learner learner;
    grove_make(&grove, 4, tiny->model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny->model, &tiny->group, 5, MICRO_BATCH, resident);
    StepBatch batch = {.trees = grove.trees, .count = grove.count};
    assert_int_equal(learner_step(&learner, settings, &batch, metrics), 0);
    memcpy(masters, learner.optimizer.master, (size_t)tiny->parameters.local * sizeof *masters);
    learner_free(&learner);
    grove_free(&grove);
}

static void a_step_may_have_several_updates(void **state)
{
    (void)state;
    Tiny tiny;
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    settings.passes = 2;
    settings.mini_batches = 3;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    size_t count = (size_t)tiny.parameters.local;
    float *window = allocate(count, sizeof *window), *resident = allocate(count, sizeof *resident);
    Metrics metrics = {0}, same = {0}, one = {0};
    several_updates(&tiny, NULL, &settings, &metrics, window);
    several_updates(&tiny, tiny.weights, &settings, &same, resident);
    assert_true(metrics_get(&metrics, "actor/updates") == 6);
    assert_memory_equal(window, resident, count * sizeof *window);
    // The first update has the sampler's weights: its distances are the gap, the others drift.
    assert_true(metrics_get(&metrics, "policy/drift_mean") > 0);
    tiny_publish(&tiny);
    settings.passes = 1;
    settings.mini_batches = 1;
    several_updates(&tiny, NULL, &settings, &one, resident);
    assert_true(isnan(metrics_get(&one, "policy/drift_mean")));
    assert_true(metrics_get(&one, "mismatch/logprob_gap_mean") > 0);
    assert_true(metrics_get(&one, "actor/tokens") * 2 == metrics_get(&metrics, "actor/tokens"));
    metrics_free(&metrics), metrics_free(&same), metrics_free(&one);
    release(window), release(resident);
    tiny_free(&tiny);
}

static void stale_trees_drift(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    StepBatch batch = {.trees = grove.trees, .count = grove.count, .stale = true};
    assert_int_equal(learner_step(&learner, &settings, &batch, &metrics), 0);
    assert_true(isnan(metrics_get(&metrics, "mismatch/logprob_gap_mean")));
    assert_true(metrics_get(&metrics, "policy/drift_mean") > 0);
    metrics_free(&metrics);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

static void an_update_that_is_not_finite_can_be_skipped(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    Learner learner;
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    settings.mini_batches = 2;
    settings.not_finite = NOT_FINITE_SKIP;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    grove.trees[0].branches[0].graded = 1;
    grove.trees[0].branches[0].scored[0] = 1;
    grove.trees[0].branches[0].reward = NAN;
    tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, MICRO_BATCH, NULL);
    StepBatch batch = {.trees = grove.trees, .count = grove.count};
    assert_int_equal(learner_step(&learner, &settings, &batch, &metrics), 0);
    assert_true(metrics_get(&metrics, "actor/skipped_updates") == 1);
    assert_true(metrics_get(&metrics, "actor/updates") == 1);
    assert_true(isfinite(metrics_get(&metrics, "actor/grad_norm")));
    double norm;
    kernels_cpu()->square_sum(NULL, &norm, learner.optimizer.master, tiny.parameters.local);
    assert_true(isfinite(norm));
    metrics_free(&metrics);
    learner_free(&learner);
    grove_free(&grove);
    tiny_free(&tiny);
}

// The masters after a step that recomputes so much, and the bytes of its activations.
static size_t step_recomputing(const Tiny *tiny, Recompute recompute, float *masters)
{
    Grove grove;
    Learner learner;
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    grove_make(&grove, 3, tiny->model.shape->vocabulary, 3);
    learner_make(&learner, &tiny->model, &tiny->group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = MICRO_BATCH, .recompute = recompute});
    tiny_randomise(&tiny->parameters, 5, learner.optimizer.master);
    learner_freeze_reference(&learner);
    StepBatch batch = {.trees = grove.trees, .count = grove.count};
    assert_int_equal(learner_step(&learner, &settings, &batch, &metrics), 0);
    memcpy(masters, learner.optimizer.master, (size_t)tiny->parameters.local * sizeof *masters);
    size_t bytes = workspace_bytes(&tiny->model, learner.workspace.kind, learner.workspace.rows,
                                   learner.workspace.slots);
    metrics_free(&metrics);
    learner_free(&learner);
    grove_free(&grove);
    return bytes;
}

static void what_is_computed_again_has_the_same_bits(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), family % 2 ? TYPE_F32 : TYPE_BF16, 5);
        size_t count = (size_t)tiny.parameters.local, bytes[3];
        float *masters[3];
        for (int r = 0; r < 3; r++) {
            masters[r] = allocate(count, sizeof(float));
            bytes[r] = step_recomputing(&tiny, (Recompute)r, masters[r]);
            assert_memory_equal(masters[r], masters[0], count * sizeof(float));
        }
        assert_true(bytes[RECOMPUTE_NONE] > bytes[RECOMPUTE_ELEMENTWISE] &&
                    bytes[RECOMPUTE_ELEMENTWISE] > bytes[RECOMPUTE_LAYER]);
        for (int r = 0; r < 3; r++)
            release(masters[r]);
        tiny_free(&tiny);
    }
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sft_learns_what_it_is_shown),
        cmocka_unit_test(good_responses_become_more_probable_and_bad_ones_less),
        cmocka_unit_test(a_frozen_reference_stays_while_the_policy_moves),
        cmocka_unit_test(a_step_leaves_nothing_in_the_gradient_of_the_next),
        cmocka_unit_test(without_a_coefficient_there_is_no_divergence),
        cmocka_unit_test(a_step_that_nothing_scores_moves_no_weight),
        cmocka_unit_test(a_loss_that_is_not_finite_fails_and_changes_nothing),
        cmocka_unit_test(the_scorer_finds_the_loss_of_sft),
        cmocka_unit_test(the_work_of_a_step_is_reported),
        cmocka_unit_test(a_step_may_have_several_updates),
        cmocka_unit_test(stale_trees_drift),
        cmocka_unit_test(what_is_computed_again_has_the_same_bits),
        cmocka_unit_test(an_update_that_is_not_finite_can_be_skipped),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
