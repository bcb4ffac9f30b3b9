// test_scaling.c - the scaling model against cases worked out by hand.

#include "tests/testing.h"

#include <math.h>

#include "benchmarks/scaling_model.h"

// Three units: embedding, one layer, norm and output; no arithmetic in the first.
static void make_parameters(Parameters *parameters)
{
    ModelShape shape = {.layers = 1,
                        .width = 64,
                        .feed_forward = 128,
                        .vocabulary = 1000,
                        .positions = 64,
                        .heads = 4,
                        .kv_heads = 2,
                        .head_width = 16};
    parameters_make(parameters, &shape, 0, 1);
}

static const ScalingCase CASE = {.ranks = 8,
                                 .shard_group = 8,
                                 .node = 8,
                                 .inside = {1e-5, 1e9},
                                 .between = {1e-4, 1e8},
                                 .rate = 1e10,
                                 .rows = 1000,
                                 .scored = 100,
                                 .micro_batches = 1,
                                 .weight_bytes = 4,
                                 .reshards = true};

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 + 1e-9 * fabs(b);
}

static void a_collective_has_latency_and_bandwidth(void **state)
{
    (void)state;
    assert_true(near(scaling_collective(&CASE, 8, false, 8e6), 7e-5 + 8e6 * 7 / (8 * 1e9)));
    assert_true(near(scaling_collective(&CASE, 4, true, 4e6), 3e-4 + 4e6 * 3 / (4 * 1e8)));
    assert_true(scaling_collective(&CASE, 1, false, 8e6) == 0);
}

static void free_collectives_leave_arithmetic(void **state)
{
    (void)state;
    Parameters parameters;
    make_parameters(&parameters);
    ScalingCase one = CASE;
    one.inside = (Link){0, 1e300};
    ScalingResult result = scaling_step(&one, &parameters);
    double layer = 1000.0 * (double)shape_layer_products(&parameters.shape);
    double output = 100.0 * 64 * 1000;
    assert_true(near(result.arithmetic, 3 * 2 * (layer + output) / 1e10));
    assert_true(near(result.step, result.arithmetic) && fabs(result.exposed) < 1e-12);
    parameters_free(&parameters);
}

// Without arithmetic the channel is all: three gathers, three reductions.
static void without_arithmetic_all_communication_is_exposed(void **state)
{
    (void)state;
    Parameters parameters;
    make_parameters(&parameters);
    ScalingCase one = CASE;
    one.rate = 1e300;
    double bytes = 0;
    for (int64_t u = 0; u < 3; u++)
        bytes += (double)parameters.units[u].shard.global * 4;
    ScalingResult result = scaling_step(&one, &parameters);
    assert_true(near(result.exposed, 2 * (3 * 7e-5 + bytes * 7 / (8 * 1e9))));
    assert_true(near(result.exposed, result.communication));
    parameters_free(&parameters);
}

// Long arithmetic hides all but the first gather and the last reduction.
static void long_arithmetic_hides_what_lies_between(void **state)
{
    (void)state;
    Parameters parameters;
    make_parameters(&parameters);
    ScalingCase one = CASE;
    one.rate = 1e6;
    double bytes = (double)parameters.units[0].shard.global * 4;
    double first = 7e-5 + bytes * 7 / (8 * 1e9);
    // The layer's gather runs under no arithmetic: the embedding has none.
    double layer = 7e-5 + (double)parameters.units[1].shard.global * 4 * 7 / (8 * 1e9);
    ScalingResult result = scaling_step(&one, &parameters);
    // At the end the embedding's reduction waits for the layer's: the embedding has no arithmetic.
    assert_true(near(result.exposed, first + layer + layer + first));
    parameters_free(&parameters);
}

static void groups_of_one_rank_only_add_up(void **state)
{
    (void)state;
    Parameters parameters;
    make_parameters(&parameters);
    ScalingCase one = CASE;
    one.shard_group = 1;
    double sums = 0;
    for (int64_t u = 0; u < 3; u++)
        sums += 2 * (7e-5 + (double)parameters.units[u].shard.global * 4 * 7 / (8 * 1e9));
    ScalingResult result = scaling_step(&one, &parameters);
    assert_true(near(result.exposed, sums));
    one.shard_group = 8; // the same ranks in one group need less memory
    assert_true(scaling_step(&one, &parameters).memory < result.memory);
    parameters_free(&parameters);
}

static void the_best_group_fits_and_is_fastest(void **state)
{
    (void)state;
    Parameters parameters;
    make_parameters(&parameters);
    ScalingCase one = CASE;
    one.ranks = 64;
    int best = scaling_best(&one, &parameters, 1e12);
    one.shard_group = best;
    double step = scaling_step(&one, &parameters).step;
    for (int group = 8; group <= 64; group *= 2) {
        one.shard_group = group;
        assert_true(scaling_step(&one, &parameters).step >= step);
    }
    assert_int_equal(scaling_best(&one, &parameters, 1), 0);
    one.shard_group = 64;
    double least = scaling_step(&one, &parameters).memory;
    assert_int_equal(scaling_best(&one, &parameters, least), 64);
    parameters_free(&parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_collective_has_latency_and_bandwidth),
        cmocka_unit_test(free_collectives_leave_arithmetic),
        cmocka_unit_test(without_arithmetic_all_communication_is_exposed),
        cmocka_unit_test(long_arithmetic_hides_what_lies_between),
        cmocka_unit_test(groups_of_one_rank_only_add_up),
        cmocka_unit_test(the_best_group_fits_and_is_fastest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
