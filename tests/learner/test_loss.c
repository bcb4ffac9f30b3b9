// test_loss.c - the loss of every algorithm against cases worked out by hand and its own slopes.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "learner/loss.h"

enum { MOST = 6 };

static const LossSettings SETTINGS = {.clip_low = 0.2,
                                      .clip_high = 0.3,
                                      .clip_dual = 3,
                                      .opmd_tau = 1,
                                      .dpo_beta = 0.5,
                                      .longest_response = 8};

// One token: what the loss is told of it, and what it says.
typedef struct {
    double logprob, old, reference, advantage;
    bool masked;
} Token;

// Tokens of one or two responses, the second from `split` on.
typedef struct {
    Algorithm algorithm;
    LossSettings settings;
    Token tokens[MOST];
    int32_t count, split;
    bool moved, later; // weights that did not sample; tokens met before in this step
} Case;

typedef struct {
    double loss; // weighted sum of everything
    double slopes[MOST];
    LossSums sums;
} Found;

static void fill_branch(Tree *tree, const Token *tokens, int32_t count, int32_t sample)
{
    Branch *branch = tree_add_branch(tree, 1, 0, count);
    branch->count = count;
    branch->sample = sample;
    for (int32_t i = 0; i < count; i++) {
        branch->logprobs[i] = (float)tokens[i].old;
        branch->reference[i] = (float)tokens[i].reference;
        branch->advantages[i] = (float)tokens[i].advantage;
        branch->proximal[i] = (float)tokens[i].old;
        branch->scored[i] = !tokens[i].masked;
    }
}

// Index of a target's token in the case.
static int32_t place_in(const Case *test, const Tree *tree, TargetPlace place)
{
    return place.index + (place.branch == &tree->branches[0] ? 0 : test->split);
}

static void run_chunk(const Case *test, const Tree *tree, LossContext *context, const Batch *batch,
                      LossFunction function, Found *found)
{
    float logprobs[MOST], entropies[MOST] = {0}, slopes[MOST] = {0}, entropy_slopes[MOST] = {0};
    for (int64_t i = 0; i < batch->target_count; i++)
        logprobs[i] = (float)test->tokens[place_in(test, tree, batch->places[i])].logprob;
    function(context, &(LossChunk){.batch = batch,
                                   .count = batch->target_count,
                                   .logprobs = logprobs,
                                   .entropies = entropies,
                                   .coefficients = slopes,
                                   .entropy_slopes = entropy_slopes});
    for (int64_t i = 0; function == loss_chunk && i < batch->target_count; i++)
        found->slopes[place_in(test, tree, batch->places[i])] = (double)slopes[i];
}

static Found run(const Case *test)
{
    const int32_t trunk[] = {1};
    Tree tree;
    Batch batch;
    Found found = {0};
    LossContext context = {.algorithm = &algorithm_table[test->algorithm],
                           .settings = test->settings,
                           .samplers_weights = !test->moved,
                           .first_meeting = !test->later};
    tree_make(&tree, 0, trunk, 1, 2);
    int32_t first = test->split > 0 ? test->split : test->count;
    fill_branch(&tree, test->tokens, first, 0);
    if (first < test->count)
        fill_branch(&tree, test->tokens + first, test->count - first, 1);
    Part part = {.tree = &tree, .count = tree.branch_count};
    batch_make(&batch, 16, 64);
    batch_add(&batch, &part);
    batch_finish(&batch);
    loss_count(&context, &tree, 1);
    loss_begin(&context, &batch);
    if (context.algorithm->sequence_loss) {
        run_chunk(test, &tree, &context, &batch, loss_score, &found);
        loss_sequences(&context, &batch);
    }
    run_chunk(test, &tree, &context, &batch, loss_chunk, &found);
    found.sums = context.sums;
    found.loss = context.sums.policy + test->settings.kl_coefficient * context.sums.kl;
    loss_free(&context);
    batch_free(&batch);
    tree_free(&tree);
    return found;
}

// Float inputs: numbers of the cases are near, not equal, to what is meant.
static bool near(double a, double b)
{
    return fabs(a - b) <= 2e-6 * fmax(1, fabs(b));
}

static void expect_one(Algorithm algorithm, Token token, double loss, double slope)
{
    Case test = {.algorithm = algorithm, .settings = SETTINGS, .tokens = {token}, .count = 1};
    Found found = run(&test);
    if (!near(found.loss, loss) || !near(found.slopes[0], slope))
        fail_msg("%s: loss %.9g, slope %.9g; not %.9g, %.9g", algorithm_table[algorithm].name,
                 found.loss, found.slopes[0], loss, slope);
}

static Found grpo(Token token)
{
    Case test = {.algorithm = ALGORITHM_GRPO, .settings = SETTINGS, .tokens = {token}, .count = 1};
    return run(&test);
}

static void on_the_sampling_policy_the_loss_is_the_negative_advantage(void **state)
{
    (void)state;
    static const Algorithm clipped[] = {ALGORITHM_GRPO, ALGORITHM_DR_GRPO, ALGORITHM_DAPO,
                                        ALGORITHM_GSPO, ALGORITHM_RLOO,    ALGORITHM_REINFORCE};
    for (size_t i = 0; i < sizeof clipped / sizeof *clipped; i++) {
        expect_one(clipped[i], (Token){-1.5, -1.5, 0, 2, false}, -2, -2);
        expect_one(clipped[i], (Token){-1.5, -1.5, 0, -2, false}, 2, 2);
        expect_one(clipped[i], (Token){-1.5, -1.5, 0, 0, false}, 0, 0); // rewards all equal
    }
    Found found = grpo((Token){-1.5, -1.5, 0, 2, false});
    assert_true(found.sums.gap.tokens == 1 && found.sums.gap.maximum == 0);
    assert_true(found.sums.gap.ratio == 1 && found.sums.gap.k3 == 0 && found.sums.clipped == 0);
}

static void the_clip_holds_at_both_sides(void **state)
{
    (void)state;
    static const Algorithm clipped[] = {ALGORITHM_GRPO, ALGORITHM_GSPO};
    for (int i = 0; i < 2; i++) {
        double old = -2;
        expect_one(clipped[i], (Token){old + log(1.25), old, 0, 1, false}, -1.25, -1.25);
        expect_one(clipped[i], (Token){old + log(0.85), old, 0, -1, false}, 0.85, 0.85);
        expect_one(clipped[i], (Token){old + log(1.5), old, 0, 2, false}, -2 * 1.3, 0);
        expect_one(clipped[i], (Token){old + log(0.5), old, 0, -2, false}, 2 * 0.8, 0);
        // Losses, not gains, keep their slope beyond the clip.
        expect_one(clipped[i], (Token){old + log(0.5), old, 0, 2, false}, -1, -1);
        expect_one(clipped[i], (Token){old + log(2), old, 0, -2, false}, 4, 4);
    }
    assert_true(grpo((Token){-2 + log(1.5), -2, 0, 2, false}).sums.clipped == 1);
    assert_true(grpo((Token){-2 + log(2), -2, 0, -2, false}).sums.clipped == 0);
}

static void the_dual_clip_bounds_the_loss_of_bad_tokens_only(void **state)
{
    (void)state;
    expect_one(ALGORITHM_GRPO, (Token){-2 + log(4), -2, 0, -2, false}, 2 * 3, 0);
    expect_one(ALGORITHM_GRPO, (Token){-2 + log(0.1), -2, 0, 2, false}, -2 * 0.1, -2 * 0.1);
    expect_one(ALGORITHM_GRPO, (Token){-2 + log(2.9), -2, 0, -2, false}, 2 * 2.9, 2 * 2.9);
    assert_true(grpo((Token){-2 + log(4), -2, 0, -2, false}).sums.clipped_dual == 1);
}

static void a_distance_beyond_twenty_is_cut(void **state)
{
    (void)state;
    Found far = grpo((Token){-1, -100, 0, -1, false});
    assert_true(near(far.loss, 3) && far.slopes[0] == 0); // e^20 meets the dual clip
    assert_true(far.sums.gap.maximum == 99 && near(far.sums.gap.ratio, exp(20)));
    expect_one(ALGORITHM_GRPO, (Token){-100, -1, 0, 1, false}, -exp(-20), 0);
}

static void the_kl_term_is_added_with_its_coefficient(void **state)
{
    (void)state;
    Case test = {.algorithm = ALGORITHM_GRPO,
                 .settings = SETTINGS,
                 .tokens = {{-1.5, -1.5, -1, 2, false}},
                 .count = 1};
    test.settings.kl_coefficient = 0.1;
    test.settings.kl_estimator = KL_K2;
    Found found = run(&test);
    assert_true(near(found.loss, -2 + 0.1 * 0.125) && near(found.slopes[0], -2 + 0.1 * -0.5));
    assert_true(found.sums.policy == -2 && found.sums.kl == 0.125 && found.sums.kl_tokens == 0.125);
    test.algorithm = ALGORITHM_REINFORCE; // takes it off the reward
    assert_true(run(&test).sums.kl == 0 && run(&test).slopes[0] == -2);
    test.algorithm = ALGORITHM_SFT;
    assert_true(run(&test).sums.kl == 0);
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

// Four tokens of one response and two of another, one of them masked; away from every kink.
static Case six_tokens(Algorithm algorithm, Aggregation aggregation)
{
    Case test = {.algorithm = algorithm,
                 .settings = SETTINGS,
                 .tokens = {{-1.0, -1.1, -1.3, 1.5, false},
                            {-2.0, -1.9, -1.5, 1.5, false},
                            {-0.5, -3.0, -9.0, 1.5, true},
                            {-1.5, -1.25, -1.5, 1.5, false},
                            {-2.5, -2.6, -2.0, -0.75, false},
                            {-0.25, -0.375, -0.5, -0.75, false}},
                 .count = 6,
                 .split = 4};
    test.settings.kl_coefficient = 0.1;
    test.settings.kl_estimator = KL_K3;
    test.settings.aggregation = aggregation;
    if (algorithm == ALGORITHM_GSPO)
        test.settings.clip_low = test.settings.clip_high = 0.4;
    return test;
}

static double policy_of(Case test, int32_t token, double step)
{
    test.tokens[token].logprob += step;
    return run(&test).loss;
}

// CISPO's ratio is a weight without a slope: its loss is no potential of its slopes.
static bool has_potential(Algorithm algorithm)
{
    return algorithm != ALGORITHM_CISPO;
}

// Fewer hundredths than halves: steps of 2^-9 are exact in fp32, and so is the difference of
// losses but for the third order.
static void slopes_of_every_algorithm_are_its_derivatives(void **state)
{
    (void)state;
    for (int a = ALGORITHM_GRPO; a <= ALGORITHM_DPO; a++) {
        for (int g = 0; g <= AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM_NORM && has_potential((Algorithm)a);
             g++) {
            Case test = six_tokens((Algorithm)a, (Aggregation)g);
            if (a == ALGORITHM_DPO)
                test.settings.aggregation = AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM;
            Found found = run(&test);
            for (int32_t i = 0; i < test.count; i++) {
                double h = 0x1p-9;
                double numeric = (policy_of(test, i, h) - policy_of(test, i, -h)) / (2 * h);
                if (!(fabs(found.slopes[i] - numeric) < 1e-5 + 1e-4 * fabs(numeric)))
                    fail_msg("%s, aggregation %d, token %d: slope %.9g, not %.9g",
                             algorithm_table[a].name, g, i, found.slopes[i], numeric);
            }
            assert_true(found.slopes[2] == 0); // masked
        }
    }
}

static void tokens_weigh_as_the_aggregation_says(void **state)
{
    (void)state;
    // Three scored tokens of one response, one of another; advantages 1 and -1; ratio 1.
    static const struct {
        Aggregation aggregation;
        double first, second;
    } cases[] = {{AGGREGATE_TOKEN_MEAN, -0.25, 0.25},
                 {AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN, -1.0 / 6, 0.5},
                 {AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM, -0.5, 0.5},
                 {AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM_NORM, -0.0625, 0.0625}};
    for (int i = 0; i < 4; i++) {
        Case test = {.algorithm = ALGORITHM_GRPO,
                     .settings = SETTINGS,
                     .tokens = {{-1, -1, 0, 1, false},
                                {-1, -1, 0, 1, false},
                                {-1, -1, 0, 1, true},
                                {-1, -1, 0, 1, false},
                                {-1, -1, 0, -1, false}},
                     .count = 5,
                     .split = 4};
        test.settings.aggregation = cases[i].aggregation;
        Found found = run(&test);
        assert_true(near(found.slopes[0], cases[i].first) && near(found.slopes[3], cases[i].first));
        assert_true(near(found.slopes[4], cases[i].second) && found.slopes[2] == 0);
        assert_true(found.sums.tokens == 4);
    }
}

static void gspo_has_one_ratio_for_a_response(void **state)
{
    (void)state;
    Case test = {.algorithm = ALGORITHM_GSPO,
                 .settings = SETTINGS,
                 .tokens = {{-1.0, -1.5, 0, 2, false}, {-2.0, -1.75, 0, 2, false}},
                 .count = 2};
    test.settings.aggregation = AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN;
    double ratio = exp((0.5 - 0.25) / 2);
    Found found = run(&test);
    assert_true(near(found.loss, -2 * ratio));
    assert_true(near(found.slopes[0], -ratio) && near(found.slopes[1], -ratio)); // 2 r / 2 tokens
    test.settings.clip_high = 0.1;
    found = run(&test);
    assert_true(near(found.loss, -2 * 1.1) && found.slopes[0] == 0 && found.sums.clipped == 2);
}

static void cispo_clips_the_weight_and_keeps_the_slope(void **state)
{
    (void)state;
    expect_one(ALGORITHM_CISPO, (Token){-1, -1 - log(1.25), 0, 2, false}, 2 * 1.25, -2 * 1.25);
    expect_one(ALGORITHM_CISPO, (Token){-1, -1 - log(2), 0, 2, false}, 2 * 1.3, -2 * 1.3);
    expect_one(ALGORITHM_CISPO, (Token){-1, -1 - log(0.5), 0, -2, false}, -2 * 0.5, 2 * 0.5);
}

static void opmd_divides_by_one_and_tau(void **state)
{
    (void)state;
    expect_one(ALGORITHM_OPMD, (Token){-1.5, -7, 0, 2, false}, 1.5, -1);
    expect_one(ALGORITHM_OPMD, (Token){-1.5, -7, 0, -2, false}, -1.5, 1);
}

static void sft_is_the_negative_log_probability(void **state)
{
    (void)state;
    expect_one(ALGORITHM_SFT, (Token){-1.25, 0, 0, 0, false}, 1.25, -1);
}

static void dpo_is_summed_by_pair(void **state)
{
    (void)state;
    Case test = {
        .algorithm = ALGORITHM_DPO,
        .settings = SETTINGS,
        .tokens = {{-1, 0, -2, 0, false}, {-1, 0, -1.5, 0, false}, {-3, 0, -2.5, 0, false}},
        .count = 3,
        .split = 2};
    test.settings.aggregation = AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM;
    double margin = 0.5 * ((-2 + 3.5) - (-3 + 2.5)); // 1
    Found found = run(&test);
    assert_true(near(found.loss, log(1 + exp(-margin))));
    double slope = 0.5 / (1 + exp(margin));
    assert_true(near(found.slopes[0], -slope) && near(found.slopes[1], -slope));
    assert_true(near(found.slopes[2], slope));
    assert_true(found.sums.pairs == 1 && found.sums.won == 1 && near(found.sums.margin, 1));
    test.tokens[0].masked = test.tokens[1].masked = true; // a pair needs both
    assert_true(run(&test).loss == 0 && run(&test).slopes[2] == 0 && run(&test).sums.pairs == 0);
}

static void importance_weights_are_truncated(void **state)
{
    (void)state;
    Case test = {.algorithm = ALGORITHM_GRPO,
                 .settings = SETTINGS,
                 .tokens = {{-2 + log(1.5), -2, 0, 1, false}},
                 .count = 1};
    test.settings.importance_cap = 2;
    Found found = run(&test); // the ratio to itself is 1, the weight 1.5
    assert_true(near(found.loss, -1.5) && near(found.slopes[0], -1.5));
    assert_true(found.sums.clipped == 0 && found.sums.gap.truncated == 0);
    test.tokens[0].logprob = -2 + log(3);
    found = run(&test);
    assert_true(near(found.loss, -2) && near(found.slopes[0], -2) && found.sums.gap.truncated == 1);
    test.later = true; // its proximal policy is the sampler in this test
    assert_true(near(run(&test).loss, -1.3) && run(&test).slopes[0] == 0);
}

static void distances_of_other_weights_are_drift(void **state)
{
    (void)state;
    Case test = {.algorithm = ALGORITHM_GRPO,
                 .settings = SETTINGS,
                 .tokens = {{-1, -1.5, 0, 1, false}},
                 .count = 1,
                 .moved = true};
    Found found = run(&test);
    assert_true(found.sums.gap.tokens == 0 && found.sums.moved.tokens == 1);
    assert_true(found.sums.moved.maximum == 0.5 && found.sums.moved.drift == -0.5);
    assert_true(near(found.sums.moved.k3, exp(0.5) - 1.5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_sampling_policy_the_loss_is_the_negative_advantage),
        cmocka_unit_test(the_clip_holds_at_both_sides),
        cmocka_unit_test(the_dual_clip_bounds_the_loss_of_bad_tokens_only),
        cmocka_unit_test(a_distance_beyond_twenty_is_cut),
        cmocka_unit_test(the_kl_term_is_added_with_its_coefficient),
        cmocka_unit_test(every_estimator_has_the_value_of_its_formula),
        cmocka_unit_test(slopes_of_the_estimators_are_their_derivatives),
        cmocka_unit_test(slopes_of_every_algorithm_are_its_derivatives),
        cmocka_unit_test(tokens_weigh_as_the_aggregation_says),
        cmocka_unit_test(gspo_has_one_ratio_for_a_response),
        cmocka_unit_test(cispo_clips_the_weight_and_keeps_the_slope),
        cmocka_unit_test(opmd_divides_by_one_and_tau),
        cmocka_unit_test(sft_is_the_negative_log_probability),
        cmocka_unit_test(dpo_is_summed_by_pair),
        cmocka_unit_test(importance_weights_are_truncated),
        cmocka_unit_test(distances_of_other_weights_are_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
