// test_plan.c - the plan deals every branch out once, whatever the ranks and micro-batches.

#include "tests/testing.h"

#include <string.h>

#include "learner/plan.h"
#include "tests/model/tiny.h"

enum { TREES = 7 };

static bool comes_before(const Part *a, const Part *b)
{
    return a->tree < b->tree || (a->tree == b->tree && a->first < b->first);
}

// Plans of all ranks; returns how often branch b of tree t is computed in `met`.
static void count_branches(Grove *grove, const ModelShape *shape, int64_t rows, int size,
                           int met[TREES][16])
{
    Batch batch;
    int64_t slots = plan_slots(rows), batches = -1, planned = 0, found = 0;
    memset(met, 0, TREES * sizeof *met);
    batch_make(&batch, rows, slots);
    for (int rank = 0; rank < size; rank++) {
        Plan plan;
        PlanLayout layout = {
            .rows = rows, .slots = slots, .rank = rank, .size = size, .together = 1};
        plan_make(&plan, grove->trees, grove->count, shape, layout);
        if (batches >= 0)
            assert_int_equal(plan.count, batches); // ranks keep step
        batches = plan.count;
        planned = plan.rows;
        for (int64_t b = 0; b < plan.count; b++) {
            plan_load(&plan, b, &batch);
            assert_true(batch.rows <= rows && batch.slots <= slots);
            found += batch.rows;
            for (int64_t p = plan.starts[b]; p < plan.starts[b + 1]; p++)
                assert_true(p == 0 || comes_before(&plan.parts[p - 1], &plan.parts[p]));
            for (int64_t p = plan.starts[b]; p < plan.starts[b + 1]; p++)
                for (int32_t i = 0; i < plan.parts[p].count; i++)
                    met[plan.parts[p].tree - grove->trees][plan.parts[p].first + i]++;
        }
        assert_int_equal(plan.starts[plan.count], plan.part_count);
        plan_free(&plan);
    }
    assert_int_equal(found, planned);
    batch_free(&batch);
}

static void every_branch_is_computed_once(void **state)
{
    (void)state;
    static const int64_t rows[] = {90, 130, 300, 4096};
    int met[TREES][16];
    Grove grove;
    ModelShape shape = tiny_shape(TINY_LLAMA);
    grove_make(&grove, TREES, shape.vocabulary, 2);
    for (int size = 1; size <= 9; size++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            count_branches(&grove, &shape, rows[r], size, met);
            for (int64_t t = 0; t < grove.count; t++)
                for (int32_t b = 0; b < grove.trees[t].branch_count; b++)
                    assert_int_equal(met[t][b], 1);
        }
    }
    grove_free(&grove);
}

static void trunks_of_split_trees_are_counted_as_repeats(void **state)
{
    (void)state;
    Grove grove;
    Plan whole, split;
    ModelShape shape = tiny_shape(TINY_LLAMA);
    grove_make(&grove, TREES, shape.vocabulary, 2);
    PlanLayout wide = {.rows = 4096, .slots = plan_slots(4096), .size = 1, .together = 1};
    PlanLayout narrow = {.rows = 90, .slots = plan_slots(90), .size = 1, .together = 1};
    plan_make(&whole, grove.trees, grove.count, &shape, wide);
    plan_make(&split, grove.trees, grove.count, &shape, narrow);
    assert_int_equal(whole.count, 1);
    assert_int_equal(whole.trunk_repeats, 0);
    assert_int_equal(whole.part_count, TREES);
    assert_true(split.count > 1 && split.trunk_repeats > 0);
    // A part's trunk ends where its own branches attach: no more rows than the repeats.
    assert_true(split.rows <= whole.rows + split.trunk_repeats && split.rows > whole.rows);
    plan_free(&whole);
    plan_free(&split);
    grove_free(&grove);
}

static void ranks_share_the_work_evenly(void **state)
{
    (void)state;
    enum { MANY = 40, RANKS = 4 };
    Grove grove;
    ModelShape shape = tiny_shape(TINY_LLAMA);
    grove_make(&grove, MANY, shape.vocabulary, 4);
    int64_t least = INT64_MAX, most = 0;
    for (int rank = 0; rank < RANKS; rank++) {
        Plan plan;
        PlanLayout layout = {
            .rows = 400, .slots = plan_slots(400), .rank = rank, .size = RANKS, .together = 1};
        int64_t rows = 0;
        plan_make(&plan, grove.trees, grove.count, &shape, layout);
        for (int64_t p = 0; p < plan.part_count; p++)
            rows += part_rows(&plan.parts[p]);
        least = rows < least ? rows : least;
        most = rows > most ? rows : most;
        plan_free(&plan);
    }
    assert_true(most - least < most / 10);
    grove_free(&grove);
}

static void a_step_without_trees_has_an_empty_plan(void **state)
{
    (void)state;
    Plan plan;
    Tree bare;
    const int32_t trunk[] = {1, 2};
    ModelShape shape = tiny_shape(TINY_LLAMA);
    PlanLayout layout = {.rows = 100, .slots = 200, .size = 2, .together = 1};
    plan_make(&plan, NULL, 0, &shape, layout);
    assert_int_equal(plan.count, 0);
    plan_free(&plan);
    tree_make(&bare, 0, trunk, 2, 0); // a tree without branches asks for nothing
    plan_make(&plan, &bare, 1, &shape, layout);
    assert_int_equal(plan.count + plan.rows, 0);
    plan_free(&plan);
    tree_free(&bare);
}

static void rows_slots_and_targets_lie_as_the_header_says(void **state)
{
    (void)state;
    const int32_t trunk[] = {10, 11, 12, 13, 14};
    Tree tree;
    Batch batch;
    tree_make(&tree, 0, trunk, 5, 2);
    Branch *one = tree_add_branch(&tree, 2, 1, 3), *two = tree_add_branch(&tree, 4, 0, 2);
    one->count = 3;
    two->count = 2;
    memcpy(one->tokens, (int32_t[]){20, 21, 22, 23}, 16);
    memcpy(two->tokens, (int32_t[]){30, 31}, 8);
    memset(one->scored, 1, 3);
    memset(two->scored, 1, 2);
    Part part = {.tree = &tree, .count = 2};
    batch_make(&batch, 16, 64);
    batch_add(&batch, &part);
    batch_finish(&batch);
    // The trunk as far as a branch attaches; of a branch all but the last token.
    static const int32_t tokens[] = {10, 11, 12, 13, 20, 21, 22, 30};
    static const int32_t positions[] = {0, 1, 2, 3, 2, 3, 4, 4};
    static const int32_t slots[] = {0, 1, 2, 3, 16, 17, 18, 32};
    assert_int_equal(batch.rows, 8);
    assert_int_equal(batch.slots, 48);
    assert_memory_equal(batch.tokens, tokens, sizeof tokens);
    assert_memory_equal(batch.positions, positions, sizeof positions);
    assert_memory_equal(batch.slot_of_row, slots, sizeof slots);
    // Scored rows: 3 (trunk) for 30, 4 (forced) for 21, 5 for 22, 6 for 23, 7 for 31.
    static const int32_t rows[] = {3, 4, 5, 6, 7}, targets[] = {30, 21, 22, 23, 31};
    assert_int_equal(batch.scored_count, 5);
    assert_memory_equal(batch.scored_rows, rows, sizeof rows);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(batch.targets[i].row, i);
        assert_int_equal(batch.targets[i].token, targets[i]);
        const TargetPlace *place = &batch.places[i];
        assert_int_equal(place->branch->tokens[place->branch->forced + place->index], targets[i]);
    }
    batch_free(&batch);
    tree_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_branch_is_computed_once),
        cmocka_unit_test(trunks_of_split_trees_are_counted_as_repeats),
        cmocka_unit_test(ranks_share_the_work_evenly),
        cmocka_unit_test(a_step_without_trees_has_an_empty_plan),
        cmocka_unit_test(rows_slots_and_targets_lie_as_the_header_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
