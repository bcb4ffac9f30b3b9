// test_tensor.c - an engine of several ranks says what an engine of one says, on all of them alike.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "parallel/team.h"
#include "tests/engine/sampling.h"

static Group world;

// A tiny model whole, and the part of it that this rank of an engine of `ranks` ranks holds.
typedef struct {
    Parameters parameters;
    Model whole, part;
    Weights *weights, *slices;
    Team team;
    TensorSlice slice;
} Cut;

// The families with heads for four ranks.
static ModelShape shape_of(TinyFamily family)
{
    ModelShape shape = tiny_shape(family);
    shape.heads = family == TINY_QWEN2 ? 4 : 8;
    shape.kv_heads = 4;
    return shape;
}

static void cut_make(Cut *cut, TinyFamily family, ElementType type, int ranks)
{
    const Kernels *kernels = kernels_cpu();
    ModelShape shape = shape_of(family);
    assert_int_equal(team_make(&cut->team, &world, ranks, "ranks"), 0);
    parameters_make(&cut->parameters, &shape, 0, 1);
    model_make(&cut->whole, &cut->parameters, NULL, kernels, type, TINY_POSITIONS);
    cut->slice = tensor_slice_of(&cut->parameters.shape, &cut->team.inside, &collective_mpi);
    cut->part = model_cut(&cut->whole, &cut->slice);
    cut->weights = weights_make(&cut->parameters, kernels, type, true);
    cut->slices = weights_make_slice(&cut->parameters, &cut->slice, kernels, type);
    float *values = allocate((size_t)cut->parameters.local, sizeof *values);
    tiny_randomise(&cut->parameters, 5, values);
    weights_load(cut->weights, elements_f32(values));
    weights_load(cut->slices, elements_f32(values));
    release(values);
}

static void cut_free(Cut *cut)
{
    weights_free(cut->weights);
    weights_free(cut->slices);
    model_free(&cut->whole);
    parameters_free(&cut->parameters);
    team_free(&cut->team);
}

// What every rank holds is what the first one holds.
static void assert_same_on_all_ranks(const void *data, size_t bytes)
{
    Bytes first = {0};
    bytes_append(&first, data, bytes);
    group_broadcast_bytes(&world, &first, 0);
    assert_memory_equal(first.data, data, bytes);
    bytes_free(&first);
}

// Logits of every row of two sequences; to be released.
static float *logits_of(const Model *model, Weights *weights, int64_t *count)
{
    enum { LENGTH = 40 };
    int32_t tokens[LENGTH], rows[2 * LENGTH];
    int64_t vocabulary = model->shape->vocabulary;
    Batch batch;
    Workspace workspace;
    batch_make(&batch, 2 * LENGTH, 4 * LENGTH);
    workspace_make(&workspace, model, WORKSPACE_SCORE, 2 * LENGTH, 4 * LENGTH);
    for (int32_t sequence = 0; sequence < 2; sequence++) {
        for (int32_t i = 0; i < LENGTH; i++)
            tokens[i] = (int32_t)((7 + 3 * sequence) * i * i + sequence) % (int32_t)vocabulary;
        batch_add_rows(&batch, tokens, LENGTH, 0, (Span){.own = sequence * 2 * LENGTH});
    }
    for (int32_t i = 0; i < 2 * LENGTH; i++)
        rows[i] = i;
    model_forward(model, weights, &batch, &workspace, NULL);
    Tensor z = model_logits(model, weights, &workspace, rows, 2 * LENGTH);
    *count = 2 * LENGTH * vocabulary;
    float *logits = allocate((size_t)*count, sizeof *logits);
    memcpy(logits, z.data, (size_t)*count * sizeof *logits);
    workspace_free(&workspace, model);
    batch_free(&batch);
    return logits;
}

static const TinyFamily families[] = {TINY_LLAMA, TINY_QWEN2, TINY_QWEN3};
enum { FAMILIES = sizeof families / sizeof *families };

static void logits_are_those_of_one_rank(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        for (int ranks = 1; ranks <= world.size; ranks *= 2) {
            Cut cut;
            int64_t count;
            cut_make(&cut, families[f], TYPE_F32, ranks);
            float *whole = logits_of(&cut.whole, cut.weights, &count);
            float *once = logits_of(&cut.part, cut.slices, &count);
            float *again = logits_of(&cut.part, cut.slices, &count);
            size_t bytes = (size_t)count * sizeof *whole;
            int64_t differing = 0;
            for (int64_t i = 0; i < count; i++) {
                if (!(fabs((double)once[i] - (double)whole[i]) <= 1e-5))
                    fail_msg("%s on %d ranks: logit %.9g is not %.9g", tiny_names[families[f]],
                             ranks, (double)once[i], (double)whole[i]);
                differing += once[i] != whole[i];
            }
            assert_int_equal(differing > 0, ranks > 1); // else nothing was divided
            assert_memory_equal(once, again, bytes);
            assert_same_on_all_ranks(once, bytes);
            release(whole);
            release(once);
            release(again);
            cut_free(&cut);
        }
    }
}

static void generate_with(const Model *model, Weights *weights, Grove *buds)
{
    Engine engine;
    Generation generation = generation_of(0.9);
    generation.repetition_penalty = 1.2;
    make_buds(buds, TREES, model->shape->vocabulary);
    engine_make(&engine, model, weights, ROWS, SLOTS);
    engine_generate(&engine, buds->trees, buds->count, &generation);
    engine_free(&engine);
}

static void assert_same_words(const Grove *a, const Grove *b, double tolerance)
{
    for (int64_t t = 0; t < a->count; t++) {
        for (int32_t i = 0; i < a->trees[t].branch_count; i++) {
            const Branch *left = &a->trees[t].branches[i], *right = &b->trees[t].branches[i];
            assert_int_equal(left->count, CAPACITY);
            assert_memory_equal(left->tokens, right->tokens,
                                (size_t)(left->forced + CAPACITY) * sizeof *left->tokens);
            for (int32_t j = 0; j < CAPACITY; j++)
                assert_true(fabs((double)left->logprobs[j] - (double)right->logprobs[j]) <=
                            tolerance);
        }
    }
}

static void responses_are_those_of_one_rank(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        for (int ranks = 1; ranks <= world.size; ranks *= 2) {
            Cut cut;
            Grove whole, once, again;
            cut_make(&cut, families[f], TYPE_F32, ranks);
            generate_with(&cut.whole, cut.weights, &whole);
            generate_with(&cut.part, cut.slices, &once);
            generate_with(&cut.part, cut.slices, &again);
            assert_same_words(&once, &whole, ranks > 1 ? 1e-5 : 0);
            assert_same_words(&once, &again, 0);
            grove_free(&whole);
            grove_free(&once);
            grove_free(&again);
            cut_free(&cut);
        }
    }
}

// With bf16 caches as well: the bits depend on how many ranks an engine has, not on how many
// engines there are.
static void responses_have_the_same_bits_in_every_engine(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= world.size; ranks *= 2) {
        Cut cut;
        Grove buds;
        cut_make(&cut, TINY_QWEN3, TYPE_BF16, ranks);
        generate_with(&cut.part, cut.slices, &buds);
        for (int64_t t = 0; t < buds.count; t++)
            for (int32_t i = 0; i < buds.trees[t].branch_count; i++) {
                const Branch *branch = &buds.trees[t].branches[i];
                assert_same_on_all_ranks(branch->tokens + branch->forced,
                                         CAPACITY * sizeof *branch->tokens);
                assert_same_on_all_ranks(branch->logprobs, CAPACITY * sizeof *branch->logprobs);
            }
        grove_free(&buds);
        cut_free(&cut);
    }
}

static void a_rank_holds_its_share(void **state)
{
    (void)state;
    for (int ranks = 2; ranks <= world.size; ranks *= 2) {
        Cut cut;
        Engine engine;
        cut_make(&cut, TINY_LLAMA, TYPE_F32, ranks);
        const Kernels *kernels = kernels_cpu();
        const ModelShape *shape = cut.whole.shape;
        engine_make(&engine, &cut.part, cut.slices, ROWS, SLOTS);
        assert_int_equal(engine.caches[0].heads, shape->kv_heads / ranks);
        engine_free(&engine);
        // Of the caches, all but what no rank shares of the activations.
        size_t fewer = engine_bytes(&cut.whole, ROWS, SLOTS) - engine_bytes(&cut.part, ROWS, SLOTS);
        size_t caches = 2 * (size_t)shape->layers *
                        kernels->cache_bytes(SLOTS, shape->kv_heads, shape->head_width, TYPE_F32);
        assert_true(fewer >= caches - caches / (size_t)ranks);
        size_t whole = weights_bytes(&cut.parameters, kernels, TYPE_F32, true);
        size_t mine = weights_slice_bytes(&cut.parameters, &cut.slice, kernels, TYPE_F32);
        assert_true(mine < whole);
        cut_free(&cut);
    }
}

static void ranks_that_do_not_divide_the_model_are_refused(void **state)
{
    (void)state;
    ModelShape shape = tiny_shape(TINY_LLAMA); // 6 heads, 2 of keys and values
    assert_int_equal(tensor_slice_check(&shape, 2, "x"), 0);
    assert_int_equal(tensor_slice_check(&shape, 3, "rollout.tensor_parallel"), -1);
    assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
    assert_string_equal(fail_message(),
                        "rollout.tensor_parallel = 3 must divide the model's 6 heads, its 2 "
                        "key/value heads and its feed-forward width of 104");
    shape.feed_forward = 103;
    assert_int_equal(tensor_slice_check(&shape, 2, "x"), -1);
    shape = tiny_shape(TINY_QWEN2);
    assert_int_equal(tensor_slice_check(&shape, 8, "x"), -1);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    world = group_world();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_one_rank),
        cmocka_unit_test(responses_are_those_of_one_rank),
        cmocka_unit_test(responses_have_the_same_bits_in_every_engine),
        cmocka_unit_test(a_rank_holds_its_share),
        cmocka_unit_test(ranks_that_do_not_divide_the_model_are_refused),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_free(&world);
    group_stop();
    return failures;
}
