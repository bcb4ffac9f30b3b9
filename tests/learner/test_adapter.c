// test_adapter.c - low-rank adapters: what they add, and the frozen base beside them.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/learner/learner_testing.h"

enum { TREES = 3, CAPACITY = 24, ENGINE_TEST_ROWS = 32, SLOTS = 2048 };

static const double NOISE = 0.1;

// Log-probabilities of all targets into the branches' `reference`.
static void score(const Model *model, Weights *weights, Grove *grove)
{
    Workspace workspace;
    Batch batch;
    Plan plan;
    PlanLayout layout = {.rows = TINY_ADAPTER_ROWS,
                         .slots = plan_slots(TINY_ADAPTER_ROWS),
                         .size = 1,
                         .together = 1};
    plan_make(&plan, grove->trees, grove->count, model->shape, layout);
    workspace_make(&workspace, model, WORKSPACE_SCORE, TINY_ADAPTER_ROWS, layout.slots);
    batch_make(&batch, TINY_ADAPTER_ROWS, layout.slots);
    for (int64_t b = 0; b < plan.count; b++) {
        plan_load(&plan, b, &batch);
        model_forward(model, weights, &batch, &workspace, NULL);
        model_vocabulary(model, weights, &batch, &workspace, 0.7f, loss_store_reference, NULL,
                         NULL);
    }
    batch_free(&batch);
    workspace_free(&workspace, model);
    plan_free(&plan);
}

// The largest difference of a log-probability.
static double score_distance(const Grove *a, const Grove *b)
{
    double largest = 0;
    for (int64_t t = 0; t < a->count; t++) {
        for (int32_t i = 0; i < a->trees[t].branch_count; i++) {
            const Branch *left = &a->trees[t].branches[i], *right = &b->trees[t].branches[i];
            for (int32_t k = 0; k < left->count; k++)
                largest =
                    fmax(largest, fabs((double)left->reference[k] - (double)right->reference[k]));
        }
    }
    return largest;
}

static void an_adapter_begins_as_the_base_bit_for_bit(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        for (int type = TYPE_F32; type <= TYPE_BF16; type++) {
            Tiny tiny;
            TinyAdapter adapter;
            Grove plain, adapted;
            AdapterShape shape = tiny_adapter_shape(true);
            tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), (ElementType)type, 5);
            tiny_adapter_make(&adapter, &tiny, &shape, 0);
            grove_make(&plain, TREES, tiny.model.shape->vocabulary, 3);
            grove_make(&adapted, TREES, tiny.model.shape->vocabulary, 3);
            score(&tiny.model, tiny.weights, &plain);
            score(&adapter.model, adapter.weights, &adapted);
            assert_true(score_distance(&plain, &adapted) == 0);
            tiny_start_adapter(&adapter.parameters, NOISE, adapter.values);
            tiny_adapter_publish(&adapter);
            score(&adapter.model, adapter.weights, &adapted);
            assert_true(score_distance(&plain, &adapted) > 0.01);
            grove_free(&plain);
            grove_free(&adapted);
            tiny_adapter_free(&adapter);
            tiny_free(&tiny);
        }
    }
}

static void the_start_of_an_adapter_is_uniform_and_knows_no_ranks(void **state)
{
    (void)state;
    Parameters whole, shard;
    ModelShape shape = tiny_shape(TINY_QWEN3);
    AdapterShape pairs = tiny_adapter_shape(true);
    parameters_make_adapter(&whole, &shape, &pairs, 0, 1);
    float *values = allocate((size_t)whole.local, sizeof *values);
    parameters_start_adapter(&whole, 9, values);
    for (int64_t i = 0; i < whole.tensor_count; i++) {
        Piece piece = parameters_piece(&whole, i);
        double bound = i % 2 == 0 ? 1 / sqrt((double)piece.tensor->width) : 0, squares = 0;
        for (int64_t j = 0; j < piece.count; j++) {
            double value = (double)values[piece.local + j];
            assert_true(fabs(value) <= bound);
            squares += value * value;
        }
        double expected = (double)piece.count * bound * bound / 3;
        assert_true(fabs(squares - expected) <= 0.3 * expected);
    }
    for (int rank = 0; rank < 3; rank++) {
        parameters_make_adapter(&shard, &shape, &pairs, rank, 3);
        float *local = allocate((size_t)shard.local, sizeof *local);
        parameters_start_adapter(&shard, 9, local);
        for (int64_t i = 0; i < shard.tensor_count; i++) {
            Piece piece = parameters_piece(&shard, i), all = parameters_piece(&whole, i);
            assert_memory_equal(local + piece.local, values + all.local + piece.first,
                                (size_t)piece.count * sizeof *local);
        }
        release(local);
        parameters_free(&shard);
    }
    release(values);
    parameters_free(&whole);
}

static void an_adapter_adds_what_merged_weights_hold(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        TinyAdapter adapter;
        Grove beside, merged;
        AdapterShape shape = tiny_adapter_shape(family % 2 == 0);
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_F32, 5);
        tiny_adapter_make(&adapter, &tiny, &shape, NOISE);
        grove_make(&beside, TREES, tiny.model.shape->vocabulary, 3);
        grove_make(&merged, TREES, tiny.model.shape->vocabulary, 3);
        score(&adapter.model, adapter.weights, &beside);
        float *values = allocate((size_t)tiny.parameters.local, sizeof *values);
        tiny_merge(&tiny, &adapter, values);
        memcpy(tiny.values, values, (size_t)tiny.parameters.local * sizeof *values);
        tiny_publish(&tiny);
        score(&tiny.model, tiny.weights, &merged);
        assert_true(score_distance(&beside, &merged) < 1e-5 * 20);
        release(values);
        grove_free(&beside);
        grove_free(&merged);
        tiny_adapter_free(&adapter);
        tiny_free(&tiny);
    }
}

static void a_gathered_base_gives_the_bits_of_a_packed_one(void **state)
{
    (void)state;
    for (int type = TYPE_F32; type <= TYPE_BF16; type++) {
        Tiny tiny;
        TinyAdapter adapter;
        Grove grove;
        Learner learners[2];
        AdapterShape shape = tiny_adapter_shape(true);
        StepSettings settings = tiny_step_settings();
        settings.optimizer.learning_rate = 1e-3;
        tiny_make(&tiny, TINY_QWEN3, kernels_cpu(), (ElementType)type, 5);
        tiny_adapter_make(&adapter, &tiny, &shape, NOISE);
        grove_make(&grove, TREES, tiny.model.shape->vocabulary, 3);
        for (int way = 0; way < 2; way++) {
            tiny_adapter_learner_make(&learners[way], &tiny, &adapter, way == 0);
            learner_refer_to_base(&learners[way]);
            assert_true(take_step(&learners[way], &settings, &grove, "actor/kl") > 0);
        }
        size_t bytes = (size_t)adapter.parameters.local * sizeof(float);
        assert_memory_equal(learners[0].gradient.shards, learners[1].gradient.shards, bytes);
        assert_memory_equal(learners[0].optimizer.master, learners[1].optimizer.master, bytes);
        learner_free(&learners[0]);
        learner_free(&learners[1]);
        grove_free(&grove);
        tiny_adapter_free(&adapter);
        tiny_free(&tiny);
    }
}

static void the_base_is_the_reference_of_what_begins_as_the_base(void **state)
{
    (void)state;
    Tiny tiny;
    TinyAdapter adapter;
    Grove grove;
    Learner learner;
    AdapterShape shape = tiny_adapter_shape(true);
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_BF16, 5);
    tiny_adapter_make(&adapter, &tiny, &shape, 0);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    tiny_adapter_learner_make(&learner, &tiny, &adapter, false);
    learner_refer_to_base(&learner);
    assert_null(learner.reference_shards);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") == 0);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") > 0);
    learner_free(&learner);
    grove_free(&grove);
    tiny_adapter_free(&adapter);
    tiny_free(&tiny);
}

static void a_copy_of_the_adapter_is_the_reference_of_what_was_warmed_up(void **state)
{
    (void)state;
    Tiny tiny;
    TinyAdapter adapter;
    Grove grove;
    Learner learner;
    AdapterShape shape = tiny_adapter_shape(true);
    StepSettings settings = tiny_step_settings();
    settings.optimizer.learning_rate = 1e-3;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    tiny_adapter_make(&adapter, &tiny, &shape, NOISE);
    grove_make(&grove, 2, tiny.model.shape->vocabulary, 3);
    tiny_adapter_learner_make(&learner, &tiny, &adapter, false);
    learner_freeze_reference(&learner);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") == 0);
    assert_true(take_step(&learner, &settings, &grove, "actor/kl") > 0);
    assert_memory_equal(learner.reference_shards, adapter.values,
                        (size_t)adapter.parameters.local * sizeof(float));
    learner_free(&learner);
    grove_free(&grove);
    tiny_adapter_free(&adapter);
    tiny_free(&tiny);
}

// Large enough that the padding of tensors does not show.
static size_t state_of(LearnerMemory memory)
{
    return memory.masters + memory.moments + memory.gradients;
}

static void a_frozen_base_has_neither_moments_nor_gradients(void **state)
{
    (void)state;
    ModelShape shape = tiny_shape(TINY_SMOLLM);
    AdapterShape pairs = tiny_adapter_shape(true);
    Parameters base, adapter;
    shape.width = 960;
    shape.feed_forward = 2560;
    shape.vocabulary = 20000;
    for (int ranks = 1; ranks <= 2; ranks++) {
        parameters_make(&base, &shape, 0, ranks);
        parameters_make_adapter(&adapter, &shape, &pairs, 0, ranks);
        Model whole = {.parameters = &base, .shape = &base.shape, .kernels = kernels_cpu()};
        Model adapted = whole;
        adapted.adapter = &adapter;
        LearnerMemory all =
            learner_bytes(&whole, (LearnerNeeds){.ranks = ranks,
                                                 .micro_batch_tokens = TINY_ADAPTER_ROWS,
                                                 .gathers = true,
                                                 .reference = true});
        LearnerMemory little =
            learner_bytes(&adapted, (LearnerNeeds){.ranks = ranks,
                                                   .micro_batch_tokens = TINY_ADAPTER_ROWS,
                                                   .gathers = true,
                                                   .reference = false});
        assert_true(50 * state_of(little) < state_of(all) && 50 * little.windows < all.windows);
        assert_true(little.base > 0 &&
                    3 * little.base < state_of(all) + all.windows + all.reference);
        assert_true(learner_bytes(&adapted, (LearnerNeeds){.ranks = ranks,
                                                           .micro_batch_tokens = TINY_ADAPTER_ROWS,
                                                           .gathers = false,
                                                           .reference = false})
                        .base == 0);
        parameters_free(&base);
        parameters_free(&adapter);
    }
}

static void roll_out(Tiny *tiny, TinyAdapter *adapter, Grove *buds)
{
    Grove grove;
    Engine engine;
    const int32_t ends[] = {7, 77};
    Generation generation = {.temperature = 0.7,
                             .top_p = 1,
                             .repetition_penalty = 1,
                             .max_response_tokens = CAPACITY,
                             .end_tokens = ends,
                             .end_token_count = 2,
                             .seed = 1,
                             .purpose = PURPOSE_POLICY};
    grove_make(&grove, TREES, tiny->model.shape->vocabulary, 3);
    grove_sprout(buds, &grove, CAPACITY);
    engine_make(&engine, &adapter->model, adapter->weights, ENGINE_TEST_ROWS, SLOTS);
    engine_generate(&engine, buds->trees, buds->count, &generation);
    engine_free(&engine);
    grove_free(&grove);
}

// The gap of a learner that gathers its own weights, of which one was moved by 1 in 128.
static double gap_of(Tiny *tiny, TinyAdapter *adapter, Grove *buds, int64_t moved)
{
    Learner learner;
    StepSettings settings = tiny_step_settings();
    tiny_adapter_learner_make(&learner, tiny, adapter, false);
    learner_refer_to_base(&learner);
    float *master = learner.optimizer.master;
    if (moved >= 0)
        master[moved] *= 1 + 1.0f / 128;
    double gap = take_step(&learner, &settings, buds, "mismatch/logprob_gap_max");
    learner_free(&learner);
    return gap;
}

static void the_gap_is_zero_and_shows_a_pair_that_moved(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        for (int type = TYPE_F32; type <= TYPE_BF16; type++) {
            Tiny tiny;
            TinyAdapter adapter;
            Grove buds;
            AdapterShape shape = tiny_adapter_shape(family != TINY_LLAMA);
            tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), (ElementType)type, 5);
            tiny_adapter_make(&adapter, &tiny, &shape, 10 * NOISE);
            roll_out(&tiny, &adapter, &buds);
            assert_true(gap_of(&tiny, &adapter, &buds, -1) == 0);
            for (int64_t i = 0; i < 2 * LINEAR_COUNT && family == TINY_QWEN3; i++) {
                Piece piece = parameters_piece(&adapter.parameters, i);
                if (!(gap_of(&tiny, &adapter, &buds, piece.local + piece.count / 3) > 0))
                    fail_msg("%s moved and nothing shows", piece.tensor->name);
            }
            grove_free(&buds);
            tiny_adapter_free(&adapter);
            tiny_free(&tiny);
        }
    }
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_begins_as_the_base_bit_for_bit),
        cmocka_unit_test(the_start_of_an_adapter_is_uniform_and_knows_no_ranks),
        cmocka_unit_test(an_adapter_adds_what_merged_weights_hold),
        cmocka_unit_test(a_gathered_base_gives_the_bits_of_a_packed_one),
        cmocka_unit_test(the_base_is_the_reference_of_what_begins_as_the_base),
        cmocka_unit_test(a_copy_of_the_adapter_is_the_reference_of_what_was_warmed_up),
        cmocka_unit_test(a_frozen_base_has_neither_moments_nor_gradients),
        cmocka_unit_test(the_gap_is_zero_and_shows_a_pair_that_moved),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
