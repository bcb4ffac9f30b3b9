// test_advantage.c - advantages against cases worked out by hand.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "learner/advantage.h"

static const LossSettings KEEP = {0}, DROP = {.drop_flat_groups = true};

// Branches of one group with these rewards, a token each; NaN: not graded.
static Tree group_of(const float *rewards, int32_t count)
{
    const int32_t trunk[] = {1};
    Tree tree;
    tree_make(&tree, 0, trunk, 1, count);
    for (int32_t b = 0; b < count; b++) {
        Branch *branch = tree_add_branch(&tree, 1, 0, 1);
        branch->count = 1;
        branch->scored[0] = 1;
        branch->graded = !isnan(rewards[b]);
        branch->reward = branch->graded ? rewards[b] : 100;
    }
    return tree;
}

static bool is(const Tree *tree, int32_t branch, double advantage)
{
    return fabs((double)tree->branches[branch].advantages[0] - advantage) < 1e-6;
}

static void grpo_counts_in_deviations_of_the_group(void **state)
{
    (void)state;
    const float rewards[] = {1, 2, 4, 5};
    Tree tree = group_of(rewards, 4);
    assert_int_equal(advantage_group_relative(&KEEP, &tree, 1), 0);
    for (int b = 0; b < 4; b++)
        assert_true(is(&tree, b, ((double)rewards[b] - 3) / (sqrt(10.0 / 3) + 1e-6))); // unbiased
    tree_free(&tree);
}

static void centred_is_the_distance_from_the_mean(void **state)
{
    (void)state;
    const float rewards[] = {1, 2, NAN, 4, 5};
    Tree tree = group_of(rewards, 5);
    assert_int_equal(advantage_centred(&KEEP, &tree, 1), 0);
    assert_true(is(&tree, 0, -2) && is(&tree, 1, -1) && is(&tree, 2, 0) && is(&tree, 4, 2));
    tree_free(&tree);
}

static void leave_one_out_compares_with_the_others(void **state)
{
    (void)state;
    const float rewards[] = {1, 2, 6};
    Tree tree = group_of(rewards, 3);
    assert_int_equal(advantage_leave_one_out(&KEEP, &tree, 1), 0);
    assert_true(is(&tree, 0, 1 - 4.0) && is(&tree, 1, 2 - 3.5) && is(&tree, 2, 6 - 1.5));
    tree_free(&tree);
}

static void a_group_of_one_has_its_reward_as_advantage(void **state)
{
    (void)state;
    const float rewards[] = {0.625f, NAN};
    static const AdvantageFunction functions[] = {advantage_group_relative, advantage_centred,
                                                  advantage_leave_one_out};
    for (int32_t count = 1; count <= 2; count++) {
        for (int f = 0; f < 3; f++) {
            Tree tree = group_of(rewards, count);
            assert_int_equal(functions[f](&DROP, &tree, 1), 0);
            assert_true(tree.branches[0].advantages[0] == 0.625f && tree.branches[0].graded);
            tree_free(&tree);
        }
    }
}

static void a_flat_group_has_no_advantage_and_can_be_dropped(void **state)
{
    (void)state;
    const float rewards[] = {0.1f, 0.1f, 0.1f, 0.1f, 0.1f};
    static const AdvantageFunction functions[] = {advantage_group_relative, advantage_centred,
                                                  advantage_leave_one_out};
    for (int f = 0; f < 3; f++) {
        for (int drop = 0; drop < 2; drop++) {
            Tree tree = group_of(rewards, 5);
            assert_int_equal(functions[f](drop ? &DROP : &KEEP, &tree, 1), 1);
            for (int b = 0; b < 5; b++) {
                assert_true(tree.branches[b].advantages[0] == 0);
                assert_int_equal(tree.branches[b].graded, !drop);
            }
            tree_free(&tree);
        }
    }
}

static void every_context_of_a_tree_is_a_group_of_its_own(void **state)
{
    (void)state;
    const float rewards[] = {0, 1, 7, 7, 5};
    Tree tree = group_of(rewards, 5);
    for (int b = 0; b < 5; b++)
        tree.branches[b].sample = b / 2;
    assert_int_equal(advantage_group_relative(&DROP, &tree, 1), 1);
    assert_true(is(&tree, 1, 0.5 / (sqrt(0.5) + 1e-6)));
    assert_int_equal(tree.branches[1].graded, 1);
    assert_int_equal(tree.branches[2].graded + tree.branches[3].graded, 0);
    assert_true(tree.branches[4].advantages[0] == 5); // alone
    tree_free(&tree);
}

// Responses of two scored tokens and of one, and one without a grade: returns by hand, then
// whitened over the three tokens.
static void whitened_takes_the_divergence_off_and_standardises_all_tokens(void **state)
{
    (void)state;
    const int32_t trunk[] = {1};
    LossSettings settings = {.kl_coefficient = 0.5, .kl_estimator = KL_K1};
    Tree tree;
    tree_make(&tree, 0, trunk, 1, 3);
    for (int b = 0; b < 3; b++) {
        Branch *branch = tree_add_branch(&tree, 1, 0, 2);
        branch->count = 2;
        branch->scored[0] = 1;
        branch->scored[1] = b == 0;
        branch->reward = b == 0 ? 3 : 1;
        branch->graded = b < 2;
        branch->logprobs[0] = -1;
        branch->reference[0] = -1.5f; // k1 = 0.5
        branch->logprobs[1] = -2;
        branch->reference[1] = -1; // k1 = -1
    }
    advantage_whitened(&settings, &tree, 1);
    double returns[] = {3 + 0.5 - 0.25, 3 + 0.5, 1 - 0.25}, mean = 0, squares = 0;
    for (int i = 0; i < 3; i++)
        mean += returns[i] / 3;
    for (int i = 0; i < 3; i++)
        squares += (returns[i] - mean) * (returns[i] - mean);
    double scale = 1 / sqrt(squares / 2 + 1e-8);
    assert_true(is(&tree, 0, (returns[0] - mean) * scale));
    assert_true(fabs((double)tree.branches[0].advantages[1] - (returns[1] - mean) * scale) < 1e-6);
    assert_true(is(&tree, 1, (returns[2] - mean) * scale));
    assert_true(is(&tree, 2, 0)); // not graded
    tree_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grpo_counts_in_deviations_of_the_group),
        cmocka_unit_test(centred_is_the_distance_from_the_mean),
        cmocka_unit_test(leave_one_out_compares_with_the_others),
        cmocka_unit_test(a_group_of_one_has_its_reward_as_advantage),
        cmocka_unit_test(a_flat_group_has_no_advantage_and_can_be_dropped),
        cmocka_unit_test(every_context_of_a_tree_is_a_group_of_its_own),
        cmocka_unit_test(whitened_takes_the_divergence_off_and_standardises_all_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
