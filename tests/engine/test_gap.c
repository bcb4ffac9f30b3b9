// test_gap.c - the sampler's log-probabilities are the learner's own, to the bit.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/model/tiny.h"

enum { CAPACITY = 24, MICRO_BATCH = 400, ROWS = 32, SLOTS = 2048 };

static void sample(Tiny *tiny, Grove *buds, int64_t trees, double temperature, double penalty,
                   double top_p)
{
    Grove grove;
    Engine engine;
    const int32_t ends[] = {7, 77};
    Generation generation = {.temperature = temperature,
                             .top_p = top_p,
                             .repetition_penalty = penalty,
                             .max_response_tokens = CAPACITY,
                             .end_tokens = ends,
                             .end_token_count = 2,
                             .seed = 1,
                             .purpose = PURPOSE_POLICY};
    grove_make(&grove, trees, tiny->model.shape->vocabulary, 3);
    grove_sprout(buds, &grove, CAPACITY);
    engine_make(&engine, &tiny->model, tiny->weights, ROWS, SLOTS);
    engine_generate(&engine, buds->trees, buds->count, &generation);
    engine_free(&engine);
    grove_free(&grove);
}

// The metrics of a step of a learner that gathers its own weights, `moved` one of them.
static double step(Tiny *tiny, Grove *grove, double temperature, int64_t moved, int bits)
{
    Learner learner;
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    settings.temperature = temperature;
    tiny_learner_make(&learner, &tiny->model, &tiny->group, 5, MICRO_BATCH, NULL);
    if (moved >= 0) {
        uint32_t pattern;
        memcpy(&pattern, &learner.optimizer.master[moved], sizeof pattern);
        pattern += 1u << bits;
        memcpy(&learner.optimizer.master[moved], &pattern, sizeof pattern);
    }
    assert_int_equal(learner_step(&learner, &settings,
                                  &(StepBatch){.trees = grove->trees, .count = grove->count},
                                  &metrics),
                     0);
    double gap = metrics_get(&metrics, "mismatch/logprob_gap_max");
    double mean = metrics_get(&metrics, "mismatch/logprob_gap_mean");
    double ratio = metrics_get(&metrics, "mismatch/ratio_mean");
    assert_true((gap == 0) == (mean == 0) && (gap > 0 || ratio == 1));
    assert_true(metrics_get(&metrics, "actor/tokens") > 100 * (double)grove->count);
    assert_true(gap > 0 || metrics_get(&metrics, "actor/pg_clipfrac") == 0);
    metrics_free(&metrics);
    learner_free(&learner);
    return gap;
}

static void the_gap_is_zero_for_every_model_type_and_instruction_set(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "avx2", "avx512"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const Kernels *kernels = kernels_cpu_named(names[n]);
        for (int family = n == 0 ? TINY_QWEN3 : 0; kernels && family < TINY_COUNT; family++) {
            for (int type = TYPE_F32; type <= TYPE_BF16; type++) {
                Tiny tiny;
                Grove buds;
                tiny_make(&tiny, (TinyFamily)family, kernels, (ElementType)type, 5);
                sample(&tiny, &buds, n == 0 ? 1 : 4, 1, 1, 1);
                assert_true(step(&tiny, &buds, 1, -1, 0) == 0);
                grove_free(&buds);
                tiny_free(&tiny);
            }
        }
    }
}

static void the_gap_is_zero_at_any_temperature_penalty_and_truncation(void **state)
{
    (void)state;
    Tiny tiny;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_BF16, 5);
    for (int way = 0; way < 4; way++) {
        Grove buds;
        double temperature = way == 0 ? 0.7 : way == 1 ? 1.3 : 1;
        sample(&tiny, &buds, 4, temperature, way == 2 ? 1.3 : 1, way == 3 ? 0.5 : 1);
        assert_true(step(&tiny, &buds, temperature, -1, 0) == 0);
        grove_free(&buds);
    }
    tiny_free(&tiny);
}

static void a_weight_that_moved_by_one_unit_shows_as_a_gap(void **state)
{
    (void)state;
    for (int type = TYPE_F32; type <= TYPE_BF16; type++) {
        Tiny tiny;
        Grove buds;
        tiny_make(&tiny, TINY_QWEN2, kernels_cpu(), (ElementType)type, 5);
        sample(&tiny, &buds, 4, 0.7, 1, 1);
        assert_true(step(&tiny, &buds, 0.7, -1, 0) == 0);
        for (int64_t i = 0; i < tiny.parameters.tensor_count; i++) {
            const TensorPlace *tensor = &tiny.parameters.tensors[i];
            if (tensor->rows == tiny.model.shape->vocabulary)
                continue; // one token's weights: they show where it occurs
            Piece piece = parameters_piece(&tiny.parameters, i);
            int64_t element = piece.local + tensor->elements / 3;
            if (!(step(&tiny, &buds, 0.7, element, type == TYPE_BF16 ? 16 : 0) > 0))
                fail_msg("%s moved and nothing shows", tensor->name);
        }
        grove_free(&buds);
        tiny_free(&tiny);
    }
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gap_is_zero_for_every_model_type_and_instruction_set),
        cmocka_unit_test(the_gap_is_zero_at_any_temperature_penalty_and_truncation),
        cmocka_unit_test(a_weight_that_moved_by_one_unit_shows_as_a_gap),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
