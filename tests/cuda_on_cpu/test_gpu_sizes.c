// test_gpu_sizes.c - the working memory of the GPU's kernels is what kernels_cuda_scratch says.

#include "tests/testing.h"

#include "base/fail.h"
#include "tests/cuda_on_cpu/device_memory.h"
#include "tests/exchange/run.h"

enum { TREES = 1 };

static World world;
static Backend gpu;

// Of a call with all rows of the trees, branches' among them.
static CudaWork work_of(const Run *run, const TreeList *trees, bool learns)
{
    const ModelShape *shape = run->model.shape;
    int64_t rows = 0, branches = 0;
    for (int64_t t = 0; t < trees->count; t++) {
        rows += tree_rows(&trees->trees[t]);
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++)
            branches += branch_rows(&trees->trees[t].branches[b]);
    }
    return (CudaWork){.rows = rows,
                      .short_rows = branches,
                      .logit_rows = SCORED_CHUNK,
                      .positions = TINY_POSITIONS,
                      .width = shape->width,
                      .feed_forward = shape->feed_forward,
                      .vocabulary = shape->vocabulary,
                      .heads = shape->heads,
                      .head_width = shape->head_width,
                      .type = run->model.type,
                      .learns = learns};
}

// What was taken since `before` lies a little below what was said, apart from cuBLASLt's share.
static void expect_taken(size_t before, CudaWork work)
{
    size_t taken = device_memory_used() - before, said = kernels_cuda_scratch(&work);
    size_t fixed = kernels_cuda_scratch(&(CudaWork){0});
    print_message("said %zu, taken %zu bytes beside %zu of cuBLASLt's\n", said - fixed,
                  taken - fixed, fixed);
    assert_true(taken <= said && 10 * (taken - fixed) >= 9 * (said - fixed));
}

// On so few trees that they make one micro-batch.
static void learning_takes_what_is_said(void **state)
{
    (void)state;
    Run run;
    TreeList trees = {0};
    run_open(&run, &world, (Kind){.family = TINY_QWEN2_TIED, .type = TYPE_BF16, .backend = &gpu});
    size_t before = device_memory_used();
    run_publish(&run);
    run_roll_out(&run, TREES, 0, &trees);
    run_learn(&run, &trees);
    CudaWork work = work_of(&run, &trees, true);
    assert_true(work.rows <= run.learner.workspace.rows);
    expect_taken(before, work);
    tree_list_free(&trees);
    run_close(&run);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    if (world_make(&world, (WorldPlan){0}) != 0)
        die_failed();
    gpu.kernels = kernels_cuda_count() > 0 ? kernels_cuda(0) : NULL;
    gpu.collective = &collective_mpi;
    if (!gpu.kernels)
        die_failed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learning_takes_what_is_said),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    world_free(&world);
    group_stop();
    return failures;
}
