// test_exchange.c - steps of training on any ranks in any roles: the same responses, the same loss
// and gradient; the same bits wherever the learner ranks are as many.

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "tests/exchange/run.h"

enum { STEPS = 2 };

static World everybody; // every rank in every role

// A world of these ranks, each in every role.
static World world_of(Group group)
{
    World world = {.all = group};
    for (int role = 0; role < ROLE_COUNT; role++) {
        world.group[role] = group;
        world.has[role] = true;
        world.count[role] = group.size;
    }
    return world;
}

static World alone(void)
{
    return world_of((Group){.comm = MPI_COMM_SELF, .size = 1});
}

// What a run leaves on every rank of its world; tensors lie as a single rank holds them.
typedef struct {
    TreeList trees;      // of the first step
    StepNumbers numbers; // of the first step; the gap is the largest
    float *gradient;     // owned: of the first step
    float *weights;      // owned: after all steps
} Outcome;

static void outcome_free(Outcome *outcome)
{
    tree_list_free(&outcome->trees);
    release(outcome->gradient);
    release(outcome->weights);
}

// Steps of training; losses and norm in the outcome are of the first.
static Outcome train(const World *world, Kind kind, int64_t trees)
{
    Run run;
    Outcome outcome = {0};
    run_open(&run, world, kind);
    run_publish(&run);
    run_roll_out(&run, trees, 0, &outcome.trees);
    outcome.numbers = run_learn(&run, &outcome.trees);
    outcome.gradient = run_gather(&run, run.learner.gradient.shards);
    for (uint32_t step = 1; step < STEPS; step++) {
        TreeList list = {0};
        run_publish(&run);
        run_roll_out(&run, trees, step, &list);
        double gap = run_learn(&run, &list).gap;
        outcome.numbers.gap = gap > outcome.numbers.gap ? gap : outcome.numbers.gap;
        tree_list_free(&list);
    }
    outcome.weights = run_gather(&run, run.learner.optimizer.master);
    run_close(&run);
    return outcome;
}

static void assert_same_responses(const TreeList *a, const TreeList *b)
{
    int64_t tokens = 0;
    assert_int_equal(a->count, b->count);
    for (int64_t t = 0; t < a->count; t++) {
        assert_int_equal(a->trees[t].session, t); // in the order of the step
        assert_int_equal(a->trees[t].branch_count, b->trees[t].branch_count);
        for (int32_t i = 0; i < a->trees[t].branch_count; i++) {
            const Branch *left = &a->trees[t].branches[i], *right = &b->trees[t].branches[i];
            size_t count = (size_t)right->count;
            assert_int_equal(left->count, right->count);
            assert_memory_equal(left->tokens, right->tokens,
                                (count + (size_t)right->forced) * sizeof(int32_t));
            assert_memory_equal(left->logprobs, right->logprobs, count * sizeof(float));
            tokens += right->count;
        }
    }
    assert_true(tokens > 0);
}

static void assert_near(double a, double b)
{
    double scale = fabs(b) > 1 ? fabs(b) : 1;
    if (!(fabs(a - b) <= 1e-5 * scale))
        fail_msg("%.17g is not %.17g", a, b);
}

static void assert_equal_but_for_rounding(const Parameters *whole, const Outcome *a,
                                          const Outcome *b)
{
    assert_same_responses(&a->trees, &b->trees);
    assert_near(a->numbers.policy, b->numbers.policy);
    assert_near(a->numbers.divergence, b->numbers.divergence);
    assert_near(a->numbers.norm, b->numbers.norm);
    double distance = gradient_distance(whole, a->gradient, b->gradient);
    if (!(distance <= 1e-5))
        fail_msg("gradients differ by %g", distance);
}

static void assert_equal_bits(const Parameters *whole, const Outcome *a, const Outcome *b)
{
    size_t bytes = (size_t)whole->local * sizeof(float);
    assert_same_responses(&a->trees, &b->trees);
    assert_memory_equal(&a->numbers, &b->numbers, sizeof a->numbers);
    assert_memory_equal(a->gradient, b->gradient, bytes);
    assert_memory_equal(a->weights, b->weights, bytes);
}

static void compare_with_one_rank(Kind kind, int64_t trees)
{
    Parameters whole;
    World single = alone();
    run_whole(&whole, kind);
    Outcome one = train(&single, kind, trees);
    Outcome all = train(&everybody, kind, trees);
    assert_true(one.numbers.gap == 0 && all.numbers.gap == 0);
    assert_equal_but_for_rounding(&whole, &all, &one);
    outcome_free(&one);
    outcome_free(&all);
    parameters_free(&whole);
}

static void any_number_of_shared_ranks_computes_the_same_step(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++)
        compare_with_one_rank(
            (Kind){.family = (TinyFamily)family, .type = TYPE_F32, .adapted = false}, 5);
    compare_with_one_rank((Kind){.family = TINY_SMOLLM, .type = TYPE_F32, .adapted = false},
                          1); // some ranks have no work
}

static void any_number_of_shared_ranks_computes_the_same_step_of_an_adapter(void **state)
{
    (void)state;
    compare_with_one_rank((Kind){.family = TINY_QWEN3, .type = TYPE_F32, .adapted = true}, 5);
    compare_with_one_rank((Kind){.family = TINY_LLAMA, .type = TYPE_F32, .adapted = true}, 1);
}

static void a_step_of_one_layout_has_the_same_bits_every_time(void **state)
{
    (void)state;
    for (int adapted = 0; adapted < 2; adapted++) {
        Parameters whole;
        Kind kind = {.family = TINY_QWEN3, .type = TYPE_BF16, .adapted = adapted};
        run_whole(&whole, kind);
        Outcome once = train(&everybody, kind, 4);
        Outcome again = train(&everybody, kind, 4);
        assert_equal_bits(&whole, &once, &again);
        outcome_free(&once);
        outcome_free(&again);
        parameters_free(&whole);
    }
}

// Half the ranks roll out, half learn; as many ranks that do both compute the same.
static void split_roles_give_the_bits_of_as_many_shared_learners(void **state)
{
    (void)state;
    int half = everybody.all.size / 2;
    if (half == 0)
        skip();
    Group first = group_split(&everybody.all, everybody.all.rank < half ? 0 : 1, "a half");
    World shared = world_of(first), split;
    WorldPlan plan = {.split = true, .rollout = everybody.all.size - half, .learner = half};
    assert_int_equal(world_make(&split, plan), 0);
    for (int i = 0; i < 2 * TINY_COUNT; i++) {
        Parameters whole;
        Kind kind = {.family = (TinyFamily)(i / 2), .type = TYPE_BF16, .adapted = i % 2};
        run_whole(&whole, kind);
        Outcome a = train(&split, kind, 4);
        Outcome b = train(&shared, kind, 4);
        assert_true(a.numbers.gap == 0 && b.numbers.gap == 0);
        assert_equal_bits(&whole, &a, &b);
        outcome_free(&a);
        outcome_free(&b);
        parameters_free(&whole);
    }
    world_free(&split);
    group_free(&first);
}

static void rollout_ranks_may_outnumber_the_trees_and_the_learners(void **state)
{
    (void)state;
    int size = everybody.all.size;
    if (size < 2)
        skip();
    World split, single = alone();
    WorldPlan plan = {.split = true, .rollout = size - 1, .learner = 1};
    Parameters whole;
    Kind kind = {.family = TINY_SMOLLM, .type = TYPE_F32, .adapted = false};
    run_whole(&whole, kind);
    assert_int_equal(world_make(&split, plan), 0);
    Outcome a = train(&split, kind, 2);
    Outcome b = train(&single, kind, 2);
    assert_equal_bits(&whole, &a, &b);
    outcome_free(&a);
    outcome_free(&b);
    world_free(&split);
    parameters_free(&whole);
}

static void the_largest_gap_is_told_to_all_ranks(void **state)
{
    (void)state;
    Run run;
    run_open(&run, &everybody, (Kind){.family = TINY_LLAMA, .type = TYPE_F32, .adapted = false});
    run_publish(&run);
    for (int64_t moved = 0; moved < 4; moved++) { // on whichever rank learns from this tree
        TreeList list = {0};
        run_roll_out(&run, 4, 0, &list);
        list.trees[moved].branches[0].logprobs[0] -= 0.5f;
        Metrics metrics = {0};
        StepSettings settings = tiny_step_settings();
        assert_int_equal(learner_step(&run.learner, &settings,
                                      &(StepBatch){.trees = list.trees, .count = list.count},
                                      &metrics),
                         0);
        assert_near(metrics_get(&metrics, "mismatch/logprob_gap_max"), 0.5);
        metrics_free(&metrics);
        tree_list_free(&list);
    }
    run_close(&run);
}

static void published_weights_are_the_masters_of_all_learners(void **state)
{
    (void)state;
    Run run;
    ModelShape shape = tiny_shape(TINY_LLAMA);
    Parameters whole;
    parameters_make(&whole, &shape, 0, 1);
    float *expected = allocate((size_t)whole.local, sizeof *expected);
    tiny_randomise(&whole, 5, expected);
    run_open(&run, &everybody, (Kind){.family = TINY_LLAMA, .type = TYPE_F32, .adapted = false});
    float *found = run_gather(&run, run.learner.optimizer.master);
    assert_memory_equal(found, expected, (size_t)whole.local * sizeof *found);
    release(found);
    run_close(&run);
    release(expected);
    parameters_free(&whole);
}

static void the_checksum_of_tensors_knows_no_ranks(void **state)
{
    (void)state;
    Kind kind = {.family = TINY_QWEN2, .type = TYPE_F32, .adapted = false};
    World single = alone();
    const World *worlds[] = {&single, &everybody};
    Backend backend = {.kernels = kernels_cpu(), .collective = &collective_mpi};
    uint64_t sums[3];
    for (int i = 0; i < 3; i++) {
        Run run;
        run_open(&run, worlds[i > 0], kind);
        if (i == 2 && everybody.all.rank == 0)
            run.learner.optimizer.master[3] += 1;
        sums[i] = exchange_tensor_checksum(&backend, run.publication, run.trained,
                                           run.learner.optimizer.master);
        run_close(&run);
    }
    assert_true(sums[0] == sums[1] && sums[1] != sums[2]);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    if (world_make(&everybody, (WorldPlan){0}) != 0)
        die_failed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_shared_ranks_computes_the_same_step),
        cmocka_unit_test(any_number_of_shared_ranks_computes_the_same_step_of_an_adapter),
        cmocka_unit_test(a_step_of_one_layout_has_the_same_bits_every_time),
        cmocka_unit_test(split_roles_give_the_bits_of_as_many_shared_learners),
        cmocka_unit_test(rollout_ranks_may_outnumber_the_trees_and_the_learners),
        cmocka_unit_test(the_largest_gap_is_told_to_all_ranks),
        cmocka_unit_test(the_checksum_of_tensors_knows_no_ranks),
        cmocka_unit_test(published_weights_are_the_masters_of_all_learners),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    world_free(&everybody);
    group_stop();
    return failures;
}
