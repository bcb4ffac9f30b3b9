// test_adapter_gradients.c - the gradients of low-rank adapters.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "tests/learner/learner_testing.h"

enum { TREES = 3 };

static const double NOISE = 0.1;

static StepSettings sft_settings(void)
{
    StepSettings settings = tiny_step_settings();
    settings.algorithm = &algorithm_table[ALGORITHM_SFT];
    settings.temperature = 1;
    return settings;
}

static double loss_at(Tiny *tiny, TinyAdapter *adapter, Grove *grove)
{
    Learner learner;
    StepSettings settings = sft_settings();
    tiny_adapter_learner_make(&learner, tiny, adapter, false);
    double loss = take_step(&learner, &settings, grove, "actor/pg_loss");
    learner_free(&learner);
    return loss;
}

// Along a direction that only this tensor moves in: its own gradient.
static void check_difference(Tiny *tiny, TinyAdapter *adapter, Grove *grove, const float *gradient,
                             int64_t tensor)
{
    Piece piece = parameters_piece(&adapter->parameters, tensor);
    float *values = adapter->values + piece.local, *kept = allocate((size_t)piece.count, 4);
    double length = 0, slope = 0;
    memcpy(kept, values, (size_t)piece.count * sizeof *kept);
    for (int64_t j = 0; j < piece.count; j++)
        length += (double)gradient[piece.local + j] * (double)gradient[piece.local + j];
    double step = 4e-3 / sqrt(length), losses[2];
    for (int side = 0; side < 2; side++) {
        for (int64_t j = 0; j < piece.count; j++)
            values[j] = (float)((double)kept[j] + (side ? step : -step) / sqrt(length) *
                                                      (double)gradient[piece.local + j]);
        losses[side] = loss_at(tiny, adapter, grove);
    }
    slope = (losses[1] - losses[0]) / (2 * step);
    if (!(fabs(slope / sqrt(length) - 1) < 5e-3))
        fail_msg("%s: slope %g, length %g", piece.tensor->name, slope, sqrt(length));
    memcpy(values, kept, (size_t)piece.count * sizeof *kept);
    release(kept);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    static const TinyFamily families[] = {TINY_QWEN3, TINY_QWEN2};
    for (int f = 0; f < 2; f++) {
        Tiny tiny;
        TinyAdapter adapter;
        Grove grove;
        Learner learner;
        AdapterShape shape = tiny_adapter_shape(true);
        StepSettings settings = sft_settings();
        tiny_make(&tiny, families[f], kernels_cpu(), TYPE_F32, 5);
        tiny_adapter_make(&adapter, &tiny, &shape, NOISE);
        grove_make(&grove, 1, tiny.model.shape->vocabulary, 3);
        tiny_adapter_learner_make(&learner, &tiny, &adapter, true);
        take_step(&learner, &settings, &grove, "actor/pg_loss");
        for (int64_t i = 0; i < adapter.parameters.tensor_count; i++)
            check_difference(&tiny, &adapter, &grove, learner.gradient.shards, i);
        learner_free(&learner);
        grove_free(&grove);
        tiny_adapter_free(&adapter);
        tiny_free(&tiny);
    }
}

// What the gradient of merged weights makes of A and B: dA = s B^T dW, dB = s dW A^T.
static void expect_from_merged(const Tiny *tiny, const TinyAdapter *adapter, const float *whole,
                               float *expected)
{
    const Parameters *pairs = &adapter->parameters;
    double scale = pairs->adapter.alpha / (double)pairs->adapter.rank;
    int64_t rank = pairs->adapter.rank;
    for (int64_t i = 0; i < pairs->tensor_count; i += 2) {
        Piece a = parameters_piece(pairs, i), b = parameters_piece(pairs, i + 1);
        int64_t in = a.tensor->width, out = b.tensor->rows, t = 0;
        const char *module = strstr(a.tensor->name, "layers.");
        size_t length = strlen(module) - strlen("lora_A.weight");
        while (strncmp(tiny->parameters.tensors[t].name + strlen("model."), module, length) != 0 ||
               tiny->parameters.tensors[t].rows == 0)
            t++;
        const float *dw = whole + parameters_piece(&tiny->parameters, t).local;
        for (int64_t r = 0; r < rank; r++) {
            for (int64_t k = 0; k < in; k++) {
                double sum = 0;
                for (int64_t n = 0; n < out; n++)
                    sum += (double)adapter->values[b.local + n * rank + r] * (double)dw[n * in + k];
                expected[a.local + r * in + k] = (float)(scale * sum);
            }
            for (int64_t n = 0; n < out; n++) {
                double sum = 0;
                for (int64_t k = 0; k < in; k++)
                    sum += (double)dw[n * in + k] * (double)adapter->values[a.local + r * in + k];
                expected[b.local + n * rank + r] = (float)(scale * sum);
            }
        }
    }
}

static void compare_with_merged(Tiny *tiny, TinyAdapter *adapter, Grove *grove)
{
    Learner pairs, whole;
    StepSettings settings = tiny_step_settings();
    settings.loss.kl_coefficient = 0;
    float *expected = allocate((size_t)adapter->parameters.local, sizeof *expected);
    tiny_adapter_learner_make(&pairs, tiny, adapter, false);
    double loss = take_step(&pairs, &settings, grove, "actor/pg_loss");
    learner_make(&whole, &tiny->model, &tiny->group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = TINY_ADAPTER_ROWS});
    tiny_merge(tiny, adapter, whole.optimizer.master);
    double merged = take_step(&whole, &settings, grove, "actor/pg_loss");
    assert_true(fabs(loss - merged) < 1e-5);
    expect_from_merged(tiny, adapter, whole.gradient.shards, expected);
    double distance = gradient_distance(&adapter->parameters, pairs.gradient.shards, expected);
    if (!(distance < 2e-5))
        fail_msg("gradients differ by %g", distance);
    learner_free(&pairs);
    learner_free(&whole);
    release(expected);
}

static void gradients_are_those_that_merged_weights_give(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        TinyAdapter adapter;
        Grove grove;
        AdapterShape shape = tiny_adapter_shape(family != TINY_SMOLLM);
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_F32, 5);
        tiny_adapter_make(&adapter, &tiny, &shape, NOISE);
        grove_make(&grove, TREES, tiny.model.shape->vocabulary, 3);
        compare_with_merged(&tiny, &adapter, &grove);
        grove_free(&grove);
        tiny_adapter_free(&adapter);
        tiny_free(&tiny);
    }
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_finite_differences),
        cmocka_unit_test(gradients_are_those_that_merged_weights_give),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
