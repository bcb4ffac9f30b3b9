// test_loss.c - losses and advantages against cases worked out by hand.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "learner/advantage.h"
#include "learner/loss.h"

static const LossSettings SETTINGS = {.clip_low = 0.2, .clip_high = 0.3, .clip_dual = 3};

typedef struct {
    double loss, derivative;
    LossSums sums;
} Found;

static Found loss_of(const LossSettings *settings, double logprob, double old, double reference,
                     double advantage)
{
    Found found = {0};
    TokenInput token = {logprob, old, reference, advantage};
    found.loss = algorithm_table[ALGORITHM_GRPO].token_loss(settings, &token, &found.derivative,
                                                            &found.sums, 1);
    return found;
}

static void expect(Found found, double loss, double derivative)
{
    if (!(fabs(found.loss - loss) < 1e-12 && fabs(found.derivative - derivative) < 1e-12))
        fail_msg("loss %.15g, slope %.15g; not %.15g, %.15g", found.loss, found.derivative, loss,
                 derivative);
}

static void on_the_sampling_policy_the_loss_is_the_negative_advantage(void **state)
{
    (void)state;
    Found found = loss_of(&SETTINGS, -1.5, -1.5, 0, 2);
    expect(found, -2, -2);
    assert_true(found.sums.gap_maximum == 0 && found.sums.ratio_sum == 1);
    assert_true(found.sums.clipped == 0 && found.sums.clipped_dual == 0);
    expect(loss_of(&SETTINGS, -1.5, -1.5, 0, -2), 2, 2);
    expect(loss_of(&SETTINGS, -1.5, -1.5, 0, 0), 0, 0); // all rewards of the group equal
}

static void inside_the_clip_the_slope_is_that_of_the_ratio(void **state)
{
    (void)state;
    double ratio = 1.25, old = -2, logprob = old + log(ratio);
    expect(loss_of(&SETTINGS, logprob, old, 0, 1), -ratio, -ratio);
    ratio = 0.85;
    expect(loss_of(&SETTINGS, old + log(ratio), old, 0, -1), ratio, ratio);
}

static void a_gain_beyond_the_clip_has_no_slope(void **state)
{
    (void)state;
    Found above = loss_of(&SETTINGS, -2 + log(1.5), -2, 0, 2);
    expect(above, -2 * 1.3, 0);
    assert_true(above.sums.clipped == 1);
    Found below = loss_of(&SETTINGS, -2 + log(0.5), -2, 0, -2);
    expect(below, 2 * 0.8, 0);
    assert_true(below.sums.clipped == 1 && below.sums.clipped_dual == 0);
}

static void a_loss_beyond_the_clip_keeps_its_slope(void **state)
{
    (void)state;
    Found below = loss_of(&SETTINGS, -2 + log(0.5), -2, 0, 2); // a good token became rarer
    expect(below, -2 * 0.5, -2 * 0.5);
    Found above = loss_of(&SETTINGS, -2 + log(2), -2, 0, -2); // a bad one became more frequent
    expect(above, 2 * 2, 2 * 2);
    assert_true(below.sums.clipped == 0 && above.sums.clipped == 0);
}

static void the_dual_clip_bounds_the_loss_of_bad_tokens_only(void **state)
{
    (void)state;
    Found bad = loss_of(&SETTINGS, -2 + log(4), -2, 0, -2);
    expect(bad, 2 * 3, 0);
    assert_true(bad.sums.clipped_dual == 1);
    Found good = loss_of(&SETTINGS, -2 + log(0.1), -2, 0, 2);
    assert_true(good.sums.clipped_dual == 0);
    expect(good, -2 * 0.1, -2 * 0.1);
    expect(loss_of(&SETTINGS, -2 + log(2.9), -2, 0, -2), 2 * 2.9, 2 * 2.9);
}

static void a_distance_beyond_twenty_is_cut(void **state)
{
    (void)state;
    Found far = loss_of(&SETTINGS, -1, -100, 0, -1);
    expect(far, 3, 0); // e^20 meets the dual clip
    Found near_zero = loss_of(&SETTINGS, -100, -1, 0, 1);
    expect(near_zero, -exp(-20), 0);
    assert_true(far.sums.gap_maximum == 99);
    assert_true(fabs(far.sums.ratio_sum - exp(20)) < 1e-4);
}

static void the_kl_term_is_added_with_its_coefficient(void **state)
{
    (void)state;
    LossSettings settings = SETTINGS;
    settings.kl_coefficient = 0.1;
    settings.kl_estimator = KL_K2;
    Found found = loss_of(&settings, -1.5, -1.5, -1, 2);
    expect(found, -2 + 0.1 * 0.125, -2 + 0.1 * -0.5);
    assert_true(found.sums.policy == -2 && found.sums.kl == 0.125 && found.sums.kl_tokens == 0.125);
}

static void every_estimator_has_the_value_of_its_formula(void **state)
{
    (void)state;
    double slope, x = 0.7, lp = -2, ref = lp + x;
    assert_true(loss_kl(KL_NONE, lp, ref, &slope) == 0 && slope == 0);
    assert_true(fabs(loss_kl(KL_K1, lp, ref, &slope) + x) < 1e-15 && slope == 1);
    assert_true(fabs(loss_kl(KL_K2, lp, ref, &slope) - x * x / 2) < 1e-15);
    assert_true(fabs(loss_kl(KL_K3, lp, ref, &slope) - (exp(x) - 1 - x)) < 1e-14);
    assert_true(fabs(loss_kl(KL_LOW_VARIANCE_K3, lp, ref, &slope) - (exp(x) - 1 - x)) < 1e-14);
    assert_true(fabs(loss_kl(KL_ABS, lp, ref, &slope) - x) < 1e-15 && slope == -1);
    assert_true(fabs(loss_kl(KL_ABS, ref, lp, &slope) - x) < 1e-15 && slope == 1);
    assert_true(loss_kl(KL_ABS, lp, lp, &slope) == 0 && slope == 0);
    assert_true(loss_kl(KL_LOW_VARIANCE_K3, -30, 0, &slope) == 10 && slope == 0); // cut
    assert_true(loss_kl(KL_LOW_VARIANCE_K3, 0, -30, &slope) == 10 && slope == 0);
}

static void slopes_of_the_estimators_are_their_derivatives(void **state)
{
    (void)state;
    static const double distances[] = {-2.5, -0.3, 0.2, 1.1, 2};
    for (int estimator = KL_NONE; estimator <= KL_ABS; estimator++) {
        for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
            double slope, ignored, lp = -3, ref = lp + distances[i], h = 1e-5;
            loss_kl((KlEstimator)estimator, lp, ref, &slope);
            double numeric = (loss_kl((KlEstimator)estimator, lp + h, ref, &ignored) -
                              loss_kl((KlEstimator)estimator, lp - h, ref, &ignored)) /
                             (2 * h);
            assert_true(fabs(slope - numeric) < 1e-8);
        }
    }
}

static void slopes_of_the_clipped_loss_are_its_derivatives(void **state)
{
    (void)state;
    static const double ratios[] = {0.05, 0.5, 0.79, 0.81, 1, 1.29, 1.31, 2, 2.95, 3.05, 10};
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        for (double a = -1.5; a < 2; a += 3) {
            double lp = -3, old = lp - log(ratios[i]), h = 1e-6;
            double numeric = (loss_of(&SETTINGS, lp + h, old, 0, a).loss -
                              loss_of(&SETTINGS, lp - h, old, 0, a).loss) /
                             (2 * h);
            assert_true(fabs(loss_of(&SETTINGS, lp, old, 0, a).derivative - numeric) < 1e-7);
        }
    }
}

// A tree of two branches: three tokens, of which the second is not scored, and one token.
static Tree two_branches(void)
{
    const int32_t trunk[] = {1, 2, 3};
    Tree tree;
    tree_make(&tree, 0, trunk, 3, 3);
    for (int32_t b = 0; b < 2; b++) {
        Branch *branch = tree_add_branch(&tree, 3, 0, 3);
        branch->count = b == 0 ? 3 : 1;
        memset(branch->scored, 1, 3);
        branch->advantage = b == 0 ? 1 : -1;
        branch->sample = b;
    }
    tree.branches[0].scored[1] = 0;
    return tree;
}

// Coefficients of the three scored tokens of two_branches.
static void coefficients_of(Aggregation aggregation, int32_t graded, float coefficients[3],
                            LossSums *sums)
{
    Tree tree = two_branches();
    Batch batch;
    Part part = {.tree = &tree, .count = 2};
    float logprobs[3] = {0};
    LossContext context = {.algorithm = &algorithm_table[ALGORITHM_GRPO], .settings = SETTINGS};
    context.settings.aggregation = aggregation;
    tree.branches[1].graded = graded;
    batch_make(&batch, 16, 64);
    batch_add(&batch, &part);
    batch_finish(&batch);
    loss_count(&context, &tree, 1);
    assert_int_equal(batch.target_count, graded ? 3 : 2);
    loss_chunk(&context, &batch, 0, batch.target_count, logprobs, coefficients);
    *sums = context.sums;
    batch_free(&batch);
    tree_free(&tree);
}

static void tokens_weigh_as_the_aggregation_says(void **state)
{
    (void)state;
    float c[3];
    LossSums sums;
    // Targets come by row: the trunk's last row has the first tokens of both branches.
    coefficients_of(AGGREGATE_TOKEN_MEAN, 1, c, &sums);
    assert_true(c[0] == -1.0f / 3 && c[1] == 1.0f / 3 && c[2] == -1.0f / 3);
    assert_true(sums.tokens == 3 && fabs(sums.policy + 1.0 / 3) < 1e-15);
    coefficients_of(AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN, 1, c, &sums);
    assert_true(c[0] == -0.25f && c[1] == 0.5f && c[2] == -0.25f);
    coefficients_of(AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM, 1, c, &sums);
    assert_true(c[0] == -0.5f && c[1] == 0.5f && c[2] == -0.5f);
}

static void an_ungraded_branch_counts_nowhere(void **state)
{
    (void)state;
    float c[3];
    LossSums sums;
    coefficients_of(AGGREGATE_TOKEN_MEAN, 0, c, &sums);
    assert_true(c[0] == -0.5f && c[1] == -0.5f && sums.tokens == 2);
    coefficients_of(AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM, 0, c, &sums);
    assert_true(c[0] == -1 && c[1] == -1);
}

static void sft_is_the_negative_log_probability(void **state)
{
    (void)state;
    TokenInput token = {.logprob = -1.25};
    LossSums sums = {0};
    double slope;
    double loss = algorithm_table[ALGORITHM_SFT].token_loss(&SETTINGS, &token, &slope, &sums, 0.5);
    assert_true(loss == 1.25 && slope == -1 && sums.policy == 0.625);
}

// Branches of one group with these rewards; NaN: not graded.
static Tree group_of(const float *rewards, int32_t count)
{
    const int32_t trunk[] = {1};
    Tree tree;
    tree_make(&tree, 0, trunk, 1, count);
    for (int32_t b = 0; b < count; b++) {
        Branch *branch = tree_add_branch(&tree, 1, 0, 1);
        branch->graded = !isnan(rewards[b]);
        branch->reward = branch->graded ? rewards[b] : 100;
    }
    return tree;
}

static void advantages_are_distances_in_deviations_of_the_group(void **state)
{
    (void)state;
    const float rewards[] = {1, 2, 4, 5};
    Tree tree = group_of(rewards, 4);
    assert_int_equal(advantage_group_relative(&tree, false), 0);
    double deviation = sqrt(10.0 / 3); // unbiased
    for (int b = 0; b < 4; b++)
        assert_true(fabs((double)tree.branches[b].advantage -
                         ((double)rewards[b] - 3) / (deviation + 1e-6)) < 1e-7);
    tree_free(&tree);
}

static void a_group_of_one_has_its_reward_as_advantage(void **state)
{
    (void)state;
    const float rewards[] = {0.625f, NAN};
    for (int32_t count = 1; count <= 2; count++) {
        Tree tree = group_of(rewards, count);
        assert_int_equal(advantage_group_relative(&tree, true), 0);
        assert_true(tree.branches[0].advantage == 0.625f && tree.branches[0].graded);
        tree_free(&tree);
    }
}

static void a_flat_group_has_no_advantage_and_can_be_dropped(void **state)
{
    (void)state;
    const float rewards[] = {0.1f, 0.1f, 0.1f, 0.1f, 0.1f};
    for (int drop = 0; drop < 2; drop++) {
        Tree tree = group_of(rewards, 5);
        assert_int_equal(advantage_group_relative(&tree, drop), 1);
        for (int b = 0; b < 5; b++) {
            assert_true(tree.branches[b].advantage == 0);
            assert_int_equal(tree.branches[b].graded, !drop);
        }
        tree_free(&tree);
    }
}

static void ungraded_branches_are_outside_their_group(void **state)
{
    (void)state;
    const float rewards[] = {1, NAN, 3};
    Tree tree = group_of(rewards, 3);
    assert_int_equal(advantage_group_relative(&tree, false), 0);
    double expected = 1 / (sqrt(2) + 1e-6);
    assert_true(fabs((double)tree.branches[0].advantage + expected) < 1e-7);
    assert_true(tree.branches[1].advantage == 0 && tree.branches[1].graded == 0);
    assert_true(fabs((double)tree.branches[2].advantage - expected) < 1e-7);
    tree_free(&tree);
}

static void every_context_of_a_tree_is_a_group_of_its_own(void **state)
{
    (void)state;
    const float rewards[] = {0, 1, 7, 7, 5};
    Tree tree = group_of(rewards, 5);
    for (int b = 0; b < 5; b++)
        tree.branches[b].sample = b / 2;
    assert_int_equal(advantage_group_relative(&tree, true), 1);
    double expected = 0.5 / (sqrt(0.5) + 1e-6);
    assert_true(fabs((double)tree.branches[1].advantage - expected) < 1e-7);
    assert_int_equal(tree.branches[1].graded, 1);
    assert_int_equal(tree.branches[2].graded + tree.branches[3].graded, 0);
    assert_true(tree.branches[4].advantage == 5); // alone
    tree_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_sampling_policy_the_loss_is_the_negative_advantage),
        cmocka_unit_test(inside_the_clip_the_slope_is_that_of_the_ratio),
        cmocka_unit_test(a_gain_beyond_the_clip_has_no_slope),
        cmocka_unit_test(a_loss_beyond_the_clip_keeps_its_slope),
        cmocka_unit_test(the_dual_clip_bounds_the_loss_of_bad_tokens_only),
        cmocka_unit_test(a_distance_beyond_twenty_is_cut),
        cmocka_unit_test(the_kl_term_is_added_with_its_coefficient),
        cmocka_unit_test(every_estimator_has_the_value_of_its_formula),
        cmocka_unit_test(slopes_of_the_estimators_are_their_derivatives),
        cmocka_unit_test(slopes_of_the_clipped_loss_are_its_derivatives),
        cmocka_unit_test(tokens_weigh_as_the_aggregation_says),
        cmocka_unit_test(an_ungraded_branch_counts_nowhere),
        cmocka_unit_test(sft_is_the_negative_log_probability),
        cmocka_unit_test(advantages_are_distances_in_deviations_of_the_group),
        cmocka_unit_test(a_group_of_one_has_its_reward_as_advantage),
        cmocka_unit_test(a_flat_group_has_no_advantage_and_can_be_dropped),
        cmocka_unit_test(ungraded_branches_are_outside_their_group),
        cmocka_unit_test(every_context_of_a_tree_is_a_group_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
