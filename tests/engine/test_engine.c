// test_engine.c - the caches, the rows of a pass and the company of other trees do not show in the
// responses; where responses end.

#include "tests/testing.h"

#include <string.h>

#include "tests/engine/sampling.h"

static void caches_and_rows_of_a_pass_do_not_show_in_the_responses(void **state)
{
    (void)state;
    Tiny tiny;
    Grove expected;
    Generation generation = generation_of(0.9);
    generation.repetition_penalty = 1.2;
    tiny_make(&tiny, TINY_QWEN3, kernels_cpu(), TYPE_BF16, 5);
    make_buds(&expected, TREES, tiny.model.shape->vocabulary);
    int64_t least = least_slots(&expected);
    generate(&tiny, &expected, 1024, SLOTS, &generation);
    const int64_t slots[] = {SLOTS, least, least + 32, 3 * least}, rows[] = {1, 7, 160};
    for (size_t s = 0; s < sizeof slots / sizeof *slots; s++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            Grove buds;
            make_buds(&buds, TREES, tiny.model.shape->vocabulary);
            generate(&tiny, &buds, rows[r], slots[s], &generation);
            assert_same_responses(&buds, &expected);
            grove_free(&buds);
        }
    }
    grove_free(&expected);
    tiny_free(&tiny);
}

static void other_trees_do_not_show_in_the_responses(void **state)
{
    (void)state;
    Tiny tiny;
    Grove all, buds;
    Generation generation = generation_of(1);
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    make_buds(&all, TREES, tiny.model.shape->vocabulary);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    generate(&tiny, &all, ROWS, SLOTS, &generation);
    for (int64_t t = TREES - 1; t >= 0; t--) {
        Grove one = {.trees = &buds.trees[t], .count = 1};
        generate(&tiny, &one, ROWS, SLOTS, &generation);
    }
    assert_same_responses(&buds, &all);
    grove_free(&all);
    grove_free(&buds);
    tiny_free(&tiny);
}

static void more_branches_than_a_chunk_of_logits_decode_together(void **state)
{
    (void)state;
    enum { WANTED = 2 * SCORED_CHUNK + 5 };
    Tiny tiny;
    const int32_t trunk[] = {3, 1, 4, 1, 5};
    Tree together, alone;
    Generation generation = generation_of(1);
    generation.max_response_tokens = 2;
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    tree_make(&together, 0, trunk, 5, WANTED);
    for (int32_t b = 0; b < WANTED; b++)
        tree_add_branch(&together, 5, 0, 2)->repeat = b;
    generate(&tiny, &(Grove){&together, 1}, 1024, SLOTS, &generation);
    for (int32_t b = 0; b < WANTED; b += 50) {
        tree_make(&alone, 0, trunk, 5, 1);
        tree_add_branch(&alone, 5, 0, 2)->repeat = b;
        generate(&tiny, &(Grove){&alone, 1}, 1, SLOTS, &generation);
        assert_same_branch(&together.branches[b], &alone.branches[0]);
        tree_free(&alone);
    }
    tree_free(&together);
    tiny_free(&tiny);
}

static bool is_even(int32_t token)
{
    return token % 2 == 0;
}

static void a_response_ends_with_its_end_token_or_at_the_limit(void **state)
{
    (void)state;
    int32_t ends[128];
    for (int32_t i = 0; i < 106; i++)
        ends[i] = 2 * i;
    Tiny tiny;
    Grove buds, longer;
    Generation generation = generation_of(1.5);
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    make_buds(&longer, TREES, tiny.model.shape->vocabulary);
    generation.end_tokens = ends;
    generation.end_token_count = 106;
    generation.max_response_tokens = 3;
    generate(&tiny, &buds, ROWS, SLOTS, &generation);
    generation.forced_length = true;
    generate(&tiny, &longer, ROWS, SLOTS, &generation);
    int64_t finished = 0, cut = 0;
    for (int64_t t = 0; t < buds.count; t++) {
        for (int32_t b = 0; b < buds.trees[t].branch_count; b++) {
            const Branch *branch = &buds.trees[t].branches[b], *all = &longer.trees[t].branches[b];
            const int32_t *tokens = branch->tokens + branch->forced;
            for (int32_t i = 0; i + 1 < branch->count; i++)
                assert_false(is_even(tokens[i]));
            assert_int_equal(branch->finished, is_even(tokens[branch->count - 1]));
            assert_true(branch->finished ? branch->count <= 3 : branch->count == 3);
            assert_int_equal(all->count, 3);
            assert_int_equal(all->finished, 0);
            // Until its end the response is the same.
            assert_memory_equal(tokens, all->tokens + all->forced,
                                (size_t)branch->count * sizeof *tokens);
            finished += branch->finished;
            cut += !branch->finished;
        }
    }
    assert_true(finished > 5 && cut > 1);
    grove_free(&buds);
    grove_free(&longer);
    tiny_free(&tiny);
}

static void prefill_and_decode_rows_are_counted(void **state)
{
    (void)state;
    Tiny tiny;
    Grove buds;
    Engine engine;
    Generation generation = generation_of(1);
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    engine_make(&engine, &tiny.model, tiny.weights, ROWS, SLOTS);
    engine_generate(&engine, buds.trees, buds.count, &generation);
    int64_t rows = 0;
    for (int64_t t = 0; t < buds.count; t++)
        rows += tree_rows(&buds.trees[t]);
    assert_int_equal(engine.counts.prefill_rows + engine.counts.decode_rows, rows);
    assert_int_equal(engine.counts.decode_steps, CAPACITY - 1);
    engine_free(&engine);
    grove_free(&buds);
    tiny_free(&tiny);
}

static void no_trunk_is_computed_twice_though_branches_take_turns(void **state)
{
    (void)state;
    Tiny tiny;
    Grove buds;
    Engine engine;
    Generation generation = generation_of(1);
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    int64_t rows = 0, slots = 0, branches = 0;
    for (int64_t t = 0; t < buds.count; t++) {
        const Tree *tree = &buds.trees[t];
        int64_t needed = slots_aligned(tree->trunk_length);
        for (int32_t b = 0; b < tree->branch_count; b++)
            needed += slots_aligned(tree->branches[b].forced + CAPACITY);
        slots = needed > slots ? needed : slots;
    }
    engine_make(&engine, &tiny.model, tiny.weights, ROWS, slots + 64);
    engine_generate(&engine, buds.trees, buds.count, &generation);
    for (int64_t t = 0; t < buds.count; t++)
        rows += tree_rows(&buds.trees[t]);
    for (int64_t t = 0; t < buds.count; t++)
        branches += buds.trees[t].branch_count;
    // But for its last row, which a branch that started later may need again.
    int64_t computed = engine.counts.prefill_rows + engine.counts.decode_rows;
    assert_true(computed > rows && computed <= rows + branches);
    assert_true(engine.counts.decode_steps > CAPACITY - 1);
    engine_free(&engine);
    grove_free(&buds);
    tiny_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caches_and_rows_of_a_pass_do_not_show_in_the_responses),
        cmocka_unit_test(other_trees_do_not_show_in_the_responses),
        cmocka_unit_test(more_branches_than_a_chunk_of_logits_decode_together),
        cmocka_unit_test(a_response_ends_with_its_end_token_or_at_the_limit),
        cmocka_unit_test(prefill_and_decode_rows_are_counted),
        cmocka_unit_test(no_trunk_is_computed_twice_though_branches_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
