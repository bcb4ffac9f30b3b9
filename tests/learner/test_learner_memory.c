// test_learner_memory.c - what learner_bytes says is what a learner takes, to the byte.

#include "tests/testing.h"

#include "tests/model/tiny.h"

static size_t taken; // device memory that was asked for

static void *counted_make(size_t bytes)
{
    taken += bytes;
    return kernels_cpu()->memory_make(bytes);
}

static Kernels counting(void)
{
    Kernels kernels = *kernels_cpu();
    kernels.memory_make = counted_make;
    return kernels;
}

static size_t sum_of(LearnerMemory memory)
{
    return memory.masters + memory.moments + memory.gradients + memory.activations +
           memory.windows + memory.reference;
}

// Makes a learner of rank 0 of `ranks` as `needs` says, whose groups have `together` ranks.
static void expect_bytes(TinyFamily family, bool adapted, int together, LearnerNeeds needs)
{
    Kernels kernels = counting();
    ModelShape shape = tiny_shape(family);
    AdapterShape pairs = tiny_adapter_shape(true);
    Parameters parameters, adapter;
    Model model;
    Learner learner;
    parameters_make(&parameters, &shape, 0, together);
    parameters_make_adapter(&adapter, &shape, &pairs, 0, together);
    model_make(&model, &parameters, adapted ? &adapter : NULL, &kernels, TYPE_BF16, TINY_POSITIONS);
    Weights *base = weights_make(&parameters, kernels_cpu(), TYPE_BF16, true);
    Weights *resident = adapted ? NULL : base;
    Group group = {.comm = MPI_COMM_SELF, .size = needs.ranks};
    Team team = {.inside = {.comm = MPI_COMM_SELF, .size = together},
                 .across = {.comm = MPI_COMM_SELF, .size = needs.ranks / together}};
    taken = 0;
    learner_make(&learner, &model, &group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = needs.micro_batch_tokens,
                                 .resident = needs.gathers ? NULL : resident,
                                 .base = adapted ? base : NULL,
                                 .ranks = &team,
                                 .keeps_units = needs.keeps_units,
                                 .recompute = needs.recompute,
                                 .optimizer = {.moments = needs.moments}});
    if (needs.reference)
        learner_freeze_reference(&learner);
    assert_int_equal(taken, sum_of(learner_bytes(&model, needs)));
    learner_free(&learner);
    weights_free(base);
    model_free(&model);
    parameters_free(&adapter);
    parameters_free(&parameters);
}

static void a_learner_takes_what_was_said_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        int ranks, together;
    } layouts[] = {{1, 1}, {2, 2}, {4, 2}, {4, 1}};
    for (int i = 0; i < 4; i++)
        for (int way = 0; way < 32; way++)
            expect_bytes((TinyFamily)(way % TINY_COUNT), way & 1, layouts[i].together,
                         (LearnerNeeds){.ranks = layouts[i].ranks,
                                        .micro_batch_tokens = 100,
                                        .gathers = (way & 2) || (way & 1),
                                        .keeps_units = way & 4,
                                        .reference = way & 8,
                                        .moments = way & 16 ? TYPE_BF16 : TYPE_F32,
                                        .recompute = (Recompute)((way + i) % 3)});
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_learner_takes_what_was_said_to_the_byte),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
