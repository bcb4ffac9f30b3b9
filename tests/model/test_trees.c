// test_trees.c - a tree computes what its independent sequences compute.

#include "tests/testing.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "tests/model/tiny.h"

enum { WIDE = 4096, NARROW = 130, TREES = 6 };

static const char *const isa_names[] = {"plain", "avx2", "avx512"};
enum { ISAS = sizeof isa_names / sizeof *isa_names };

// Log-probabilities of all targets into the branches' `reference`.
static void score(Tiny *tiny, Grove *grove, int64_t rows)
{
    Workspace workspace;
    Batch batch;
    Plan plan;
    PlanLayout layout = {.rows = rows, .slots = plan_slots(rows), .size = 1, .together = 1};
    plan_make(&plan, grove->trees, grove->count, tiny->model.shape, layout);
    workspace_make(&workspace, &tiny->model, WORKSPACE_SCORE, rows, layout.slots);
    batch_make(&batch, rows, layout.slots);
    for (int64_t b = 0; b < plan.count; b++) {
        plan_load(&plan, b, &batch);
        model_forward(&tiny->model, tiny->weights, &batch, &workspace, NULL);
        model_vocabulary(&tiny->model, tiny->weights, &batch, &workspace, 0.7f,
                         loss_store_reference, NULL, NULL);
    }
    batch_free(&batch);
    workspace_free(&workspace, &tiny->model);
    plan_free(&plan);
}

static const Branch *branch_at(const Grove *grove, int64_t index)
{
    int64_t tree = 0;
    while (index >= grove->trees[tree].branch_count)
        index -= grove->trees[tree++].branch_count;
    return &grove->trees[tree].branches[index];
}

static int64_t branches_of(const Grove *grove)
{
    int64_t count = 0;
    for (int64_t t = 0; t < grove->count; t++)
        count += grove->trees[t].branch_count;
    return count;
}

static void assert_same_scores(const Grove *a, const Grove *b)
{
    int64_t nonzero = 0;
    assert_int_equal(branches_of(a), branches_of(b));
    for (int64_t i = 0; i < branches_of(a); i++) {
        const Branch *left = branch_at(a, i), *right = branch_at(b, i);
        assert_int_equal(left->count, right->count);
        assert_memory_equal(left->reference, right->reference, (size_t)left->count * sizeof(float));
        for (int32_t t = 0; t < left->count; t++)
            nonzero += left->reference[t] < 0;
    }
    assert_true(nonzero > 100);
}

static void compare_scores(Tiny *tiny, int64_t trees)
{
    Grove tree, other;
    grove_make(&tree, trees, tiny->model.shape->vocabulary, 3);
    score(tiny, &tree, WIDE);
    for (int way = 0; way < 4; way++) {
        if (way < 2)
            grove_separate(&other, &tree, way == 1);
        else
            grove_copy(&other, &tree);
        score(tiny, &other, way == 2 ? NARROW : WIDE);
        assert_same_scores(&tree, &other);
        grove_free(&other);
    }
    grove_free(&tree);
}

static void log_probabilities_of_a_tree_are_those_of_its_sequences_bit_for_bit(void **state)
{
    (void)state;
    for (int isa = 0; isa < ISAS; isa++) {
        const Kernels *kernels = kernels_cpu_named(isa_names[isa]);
        bool slow = strcmp(isa_names[isa], "plain") == 0;
        for (int family = slow ? TINY_QWEN3 : 0; kernels && family < TINY_COUNT; family++) {
            for (int type = TYPE_F32; type <= TYPE_BF16; type++) {
                Tiny tiny;
                tiny_make(&tiny, (TinyFamily)family, kernels, (ElementType)type, 5);
                compare_scores(&tiny, slow ? 2 : TREES);
                tiny_free(&tiny);
            }
        }
    }
}

static void log_probabilities_have_the_same_bits_on_every_instruction_set(void **state)
{
    (void)state;
    Grove grove[ISAS];
    for (int isa = 0; isa < ISAS; isa++) {
        const Kernels *kernels = kernels_cpu_named(isa_names[isa]);
        if (!kernels)
            continue;
        Tiny tiny;
        tiny_make(&tiny, TINY_QWEN3, kernels, TYPE_F32, 5);
        grove_make(&grove[isa], 3, tiny.model.shape->vocabulary, 3);
        score(&tiny, &grove[isa], WIDE);
        assert_same_scores(&grove[0], &grove[isa]);
        if (isa > 0)
            grove_free(&grove[isa]);
        tiny_free(&tiny);
    }
    grove_free(&grove[0]);
}

// Losses and, in `gradient` (to be released), the gradient of a step.
typedef struct {
    double policy, divergence;
    float *gradient;
} Outcome;

static Outcome step(Tiny *tiny, Grove *grove, int64_t rows, Aggregation aggregation)
{
    Learner learner;
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    settings.loss.aggregation = aggregation;
    tiny_learner_make(&learner, &tiny->model, &tiny->group, 5, rows, tiny->weights);
    assert_int_equal(learner_step(&learner, &settings,
                                  &(StepBatch){.trees = grove->trees, .count = grove->count},
                                  &metrics),
                     0);
    size_t elements = (size_t)tiny->parameters.local;
    Outcome outcome = {.policy = metrics_get(&metrics, "actor/pg_loss"),
                       .divergence = metrics_get(&metrics, "actor/kl_loss"),
                       .gradient = allocate(elements, sizeof(float))};
    memcpy(outcome.gradient, learner.gradient.shards, elements * sizeof(float));
    metrics_free(&metrics);
    learner_free(&learner);
    return outcome;
}

static void assert_near(double a, double b)
{
    double scale = b > 1 ? b : b < -1 ? -b : 1;
    if (!(a - b <= 1e-5 * scale && b - a <= 1e-5 * scale))
        fail_msg("%.17g is not %.17g", a, b);
}

static void assert_same_outcome(const Tiny *tiny, Outcome a, Outcome b)
{
    assert_near(a.policy, b.policy);
    assert_near(a.divergence, b.divergence);
    double distance = gradient_distance(&tiny->parameters, a.gradient, b.gradient);
    if (!(distance <= 1e-5))
        fail_msg("gradients differ by %g", distance);
}

static void compare_steps(Tiny *tiny, Aggregation aggregation)
{
    Grove tree, other;
    grove_make(&tree, TREES, tiny->model.shape->vocabulary, 3);
    Outcome whole = step(tiny, &tree, WIDE, aggregation);
    assert_true(whole.policy != 0 && whole.divergence > 0);
    for (int way = 0; way < 4; way++) {
        if (way < 2)
            grove_separate(&other, &tree, way == 1);
        else
            grove_copy(&other, &tree);
        // A narrow micro-batch splits trees; a tree that is not split fills one of 300 rows.
        Outcome parts = step(tiny, &other, way == 2 ? NARROW : way == 3 ? 300 : WIDE, aggregation);
        assert_same_outcome(tiny, parts, whole);
        release(parts.gradient);
        grove_free(&other);
    }
    release(whole.gradient);
    grove_free(&tree);
}

static void gradients_of_a_tree_are_those_of_its_sequences(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_F32, 5);
        compare_steps(&tiny, AGGREGATE_TOKEN_MEAN);
        tiny_free(&tiny);
    }
}

static void every_aggregation_is_the_same_for_trees_and_sequences(void **state)
{
    (void)state;
    Tiny tiny;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    compare_steps(&tiny, AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN);
    compare_steps(&tiny, AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM);
    tiny_free(&tiny);
}

static void windowed_weights_give_the_bits_of_resident_ones(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        Grove grove;
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_BF16, 5);
        grove_make(&grove, TREES, tiny.model.shape->vocabulary, 3);
        Outcome resident = step(&tiny, &grove, NARROW, AGGREGATE_TOKEN_MEAN);
        Weights *weights = tiny.weights;
        tiny.weights = NULL;
        Outcome windowed = step(&tiny, &grove, NARROW, AGGREGATE_TOKEN_MEAN);
        tiny.weights = weights;
        assert_memory_equal(resident.gradient, windowed.gradient,
                            (size_t)tiny.parameters.local * sizeof(float));
        release(resident.gradient);
        release(windowed.gradient);
        grove_free(&grove);
        tiny_free(&tiny);
    }
}

static void threads_do_not_show_in_the_bits_of_a_gradient(void **state)
{
    (void)state;
    Tiny tiny;
    Grove grove;
    int threads = omp_get_max_threads();
    tiny_make(&tiny, TINY_QWEN3, kernels_cpu(), TYPE_F32, 5);
    grove_make(&grove, TREES, tiny.model.shape->vocabulary, 3);
    omp_set_num_threads(1);
    Outcome one = step(&tiny, &grove, WIDE, AGGREGATE_TOKEN_MEAN);
    omp_set_num_threads(3);
    Outcome three = step(&tiny, &grove, WIDE, AGGREGATE_TOKEN_MEAN);
    omp_set_num_threads(threads);
    assert_true(one.policy == three.policy);
    assert_memory_equal(one.gradient, three.gradient,
                        (size_t)tiny.parameters.local * sizeof(float));
    release(one.gradient);
    release(three.gradient);
    grove_free(&grove);
    tiny_free(&tiny);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_probabilities_of_a_tree_are_those_of_its_sequences_bit_for_bit),
        cmocka_unit_test(log_probabilities_have_the_same_bits_on_every_instruction_set),
        cmocka_unit_test(gradients_of_a_tree_are_those_of_its_sequences),
        cmocka_unit_test(every_aggregation_is_the_same_for_trees_and_sequences),
        cmocka_unit_test(threads_do_not_show_in_the_bits_of_a_gradient),
        cmocka_unit_test(windowed_weights_give_the_bits_of_resident_ones),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
