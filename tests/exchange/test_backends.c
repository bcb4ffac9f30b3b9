// test_backends.c - steps of training on GPUs, a rank each: on the same trees the loss and gradient
// of the CPU, whatever the roles; sampled and learned twice, the same bits.
//
// Without GPUs, or with fewer than ranks, skipped. tests/cuda_on_cpu runs it on emulated ones. An
// argument chooses tests by their names.

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>

#include "base/fail.h"
#include "tests/exchange/run.h"

enum { TREES = 3, SKIPPED = 77 };

static World everybody; // every rank in every role
static Backend gpu;

// What a step leaves; tensors lie as a single rank holds them.
typedef struct {
    StepNumbers numbers;
    float *gradient, *weights; // owned
} Outcome;

static void outcome_free(Outcome *outcome)
{
    release(outcome->gradient);
    release(outcome->weights);
}

// A step on `trees`, or where it is empty on trees that are sampled into it.
static Outcome take_step(const World *world, Kind kind, TreeList *trees)
{
    Run run;
    Outcome outcome;
    run_open(&run, world, kind);
    run_publish(&run);
    if (trees->count == 0)
        run_roll_out(&run, TREES, 0, trees);
    outcome.numbers = run_learn(&run, trees);
    outcome.gradient = run_gather(&run, run.learner.gradient.shards);
    outcome.weights = run_gather(&run, run.learner.optimizer.master);
    run_close(&run);
    return outcome;
}

static void assert_near(const char *what, double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance * fmax(fabs(b), 1)))
        fail_msg("%s: %.9g on the GPU, %.9g on the CPU", what, a, b);
}

static void compare_with_cpu(const World *world, Kind kind)
{
    double tolerance = kind.type == TYPE_BF16 ? 1e-2 : 1e-5;
    Parameters whole;
    TreeList trees = {0};
    run_whole(&whole, kind);
    Outcome cpu = take_step(world, kind, &trees);
    kind.backend = &gpu;
    Outcome other = take_step(world, kind, &trees);
    assert_near("loss", other.numbers.policy, cpu.numbers.policy, tolerance);
    assert_near("divergence", other.numbers.divergence, cpu.numbers.divergence, tolerance);
    assert_near("norm", other.numbers.norm, cpu.numbers.norm, tolerance);
    double distance = gradient_distance(&whole, other.gradient, cpu.gradient);
    print_message("%s, %s%s: gradients within %.2g\n", kind_name(kind),
                  kind.type == TYPE_BF16 ? "bf16" : "fp32", kind.adapted ? ", adapter" : "",
                  distance);
    if (!(distance <= tolerance))
        fail_msg("gradients differ by %g", distance);
    outcome_free(&cpu);
    outcome_free(&other);
    tree_list_free(&trees);
    parameters_free(&whole);
}

static void compare_everything(const World *world)
{
    compare_with_cpu(world, (Kind){.family = TINY_QWEN2_TIED, .type = TYPE_F32});
    compare_with_cpu(world, (Kind){.demo = true, .type = TYPE_F32});
    compare_with_cpu(world, (Kind){.demo = true, .type = TYPE_BF16});
    compare_with_cpu(world, (Kind){.family = TINY_QWEN2, .type = TYPE_F32, .adapted = true});
}

// The smallest case that meets every wait between streams.
static void a_step_of_shared_ranks_agrees(void **state)
{
    (void)state;
    compare_with_cpu(&everybody, (Kind){.family = TINY_SMOLLM, .type = TYPE_F32});
}

static void shared_ranks_compute_what_cpus_compute(void **state)
{
    (void)state;
    compare_everything(&everybody);
}

static World split_in_two(void)
{
    World split;
    int half = everybody.all.size / 2;
    WorldPlan plan = {.split = true, .rollout = everybody.all.size - half, .learner = half};
    assert_int_equal(world_make(&split, plan), 0);
    return split;
}

static void split_ranks_compute_what_cpus_compute(void **state)
{
    (void)state;
    if (everybody.all.size < 2)
        skip();
    World split = split_in_two();
    compare_everything(&split);
    world_free(&split);
}

static void repeat(const World *world, Kind kind)
{
    Parameters whole;
    TreeList trees[2] = {0};
    Outcome outcomes[2];
    run_whole(&whole, kind);
    size_t bytes = (size_t)whole.local * sizeof(float);
    for (int i = 0; i < 2; i++)
        outcomes[i] = take_step(world, kind, &trees[i]);
    assert_memory_equal(&outcomes[0].numbers, &outcomes[1].numbers, sizeof outcomes[0].numbers);
    assert_memory_equal(outcomes[0].gradient, outcomes[1].gradient, bytes);
    assert_memory_equal(outcomes[0].weights, outcomes[1].weights, bytes);
    for (int i = 0; i < 2; i++) {
        outcome_free(&outcomes[i]);
        tree_list_free(&trees[i]);
    }
    parameters_free(&whole);
}

static void a_sampled_step_has_the_same_bits_every_time(void **state)
{
    (void)state;
    repeat(&everybody, (Kind){.family = TINY_LLAMA3, .type = TYPE_BF16, .backend = &gpu});
}

// A GPU for each rank of a node; false, and the reason on the first rank, where there are too few.
static bool open_gpus(void)
{
    Group node = group_of_node(&everybody.all);
    int count = kernels_cuda_count();
    bool enough = count >= node.size;
    if (!enough && everybody.all.rank == 0)
        printf("skipped: %s\n", count == 0 ? fail_message() : "fewer GPUs than ranks");
    if (enough) {
        gpu.kernels = kernels_cuda(node.rank);
        gpu.collective = everybody.all.size > 1 ? collective_nccl() : &collective_mpi;
        if (!gpu.kernels || !gpu.collective)
            die_failed();
    }
    group_free(&node);
    return enough;
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    if (world_make(&everybody, (WorldPlan){0}) != 0)
        die_failed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_shared_ranks_agrees),
        cmocka_unit_test(shared_ranks_compute_what_cpus_compute),
        cmocka_unit_test(split_ranks_compute_what_cpus_compute),
        cmocka_unit_test(a_sampled_step_has_the_same_bits_every_time),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failures = open_gpus() ? cmocka_run_group_tests(tests, NULL, NULL) : SKIPPED;
    world_free(&everybody);
    group_stop();
    return failures;
}
