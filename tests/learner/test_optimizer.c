// test_optimizer.c - the learning rate's schedule and one AdamW step over sharded tensors.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "tests/model/tiny.h"

static void expect_rate(const OptimizerSettings *settings, int64_t step, double rate)
{
    double found = optimizer_rate(settings, step);
    if (!(fabs(found - rate) < 1e-15))
        fail_msg("rate %.17g at step %lld, not %.17g", found, (long long)step, rate);
}

static void the_rate_warms_up_and_stays(void **state)
{
    (void)state;
    OptimizerSettings settings = {.learning_rate = 0.1, .warmup_steps = 4, .total_steps = 10};
    for (int step = 0; step < 4; step++)
        expect_rate(&settings, step, 0.1 * (step + 1) / 4);
    expect_rate(&settings, 4, 0.1);
    expect_rate(&settings, 9, 0.1);
    settings.warmup_steps = 0;
    expect_rate(&settings, 0, 0.1);
}

static void the_rate_falls_to_its_least_share(void **state)
{
    (void)state;
    OptimizerSettings settings = {.learning_rate = 0.1,
                                  .schedule = SCHEDULE_LINEAR,
                                  .warmup_steps = 2,
                                  .total_steps = 10,
                                  .min_ratio = 0.2};
    expect_rate(&settings, 2, 0.1);
    expect_rate(&settings, 6, 0.1 * (0.2 + 0.8 * 0.5));
    expect_rate(&settings, 10, 0.02);
    settings.schedule = SCHEDULE_COSINE;
    expect_rate(&settings, 2, 0.1);
    expect_rate(&settings, 6, 0.1 * 0.6);
    expect_rate(&settings, 4, 0.1 * (0.2 + 0.8 * 0.5 * (1 + sqrt(0.5))));
    expect_rate(&settings, 10, 0.02);
}

typedef struct {
    Tiny tiny;
    Optimizer optimizer;
    Team ranks;
    Gradient gradient;
} Scene;

static void scene_make(Scene *scene, ElementType moments)
{
    tiny_make(&scene->tiny, TINY_QWEN3, kernels_cpu(), TYPE_F32, 5);
    const Parameters *parameters = &scene->tiny.parameters;
    optimizer_make(&scene->optimizer, parameters, kernels_cpu(),
                   (OptimizerForm){.moments = moments});
    scene->ranks = (Team){.inside = scene->tiny.group, .across = scene->tiny.group};
    gradient_make(&scene->gradient, parameters, kernels_cpu(), &collective_mpi, &scene->ranks);
    tiny_randomise(parameters, 5, scene->optimizer.master);
    tiny_perturb(parameters, 6, 0.01, scene->gradient.shards);
}

static void scene_free(Scene *scene)
{
    optimizer_free(&scene->optimizer, kernels_cpu());
    gradient_free(&scene->gradient);
    tiny_free(&scene->tiny);
}

static const OptimizerSettings ADAMW = {.learning_rate = 0.01,
                                        .beta1 = 0.9,
                                        .beta2 = 0.99,
                                        .epsilon = 1e-8,
                                        .weight_decay = 0.1,
                                        .max_gradient_norm = 0.5};

// Its gradient comes unit by unit, as a backward pass would end them.
static double take_update(Scene *scene, const OptimizerSettings *settings)
{
    GradientSink sink = gradient_sink(&scene->gradient);
    gradient_begin(&scene->gradient, true);
    for (int64_t u = 0; u < scene->tiny.parameters.unit_count; u++) {
        sink.begin(sink.context, u);
        sink.end(sink.context, u);
    }
    return optimizer_step(&scene->optimizer, settings, optimizer_rate(settings, 0),
                          &scene->gradient);
}

static double norm_of(const Scene *scene)
{
    double sum = 0;
    for (int64_t i = 0; i < scene->tiny.parameters.local; i++)
        sum += (double)scene->gradient.shards[i] * (double)scene->gradient.shards[i];
    return sqrt(sum);
}

static void two_updates_are_those_of_adamw_in_double(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TYPE_F32);
    double norm = norm_of(&scene), scale = 0.5 / norm;
    const float *means = scene.optimizer.moments.m;
    assert_true(norm > 0.5);
    for (int i = 0; i < 2; i++)
        assert_true(fabs(take_update(&scene, &ADAMW) / norm - 1) < 1e-6);
    assert_int_equal(scene.optimizer.updates, 2);
    for (int64_t t = 0; t < scene.tiny.parameters.tensor_count; t++) {
        Piece piece = parameters_piece(&scene.tiny.parameters, t);
        double decay = piece.tensor->rows > 0 ? 1 - 0.01 * 0.1 : 1; // matrices only
        for (int64_t j = piece.local; j < piece.local + piece.count; j++) {
            double g = (double)scene.gradient.shards[j] * scale, w = (double)scene.tiny.values[j];
            double m = 0, v = 0;
            for (int i = 1; i <= 2; i++) {
                m = 0.9 * m + 0.1 * g;
                v = 0.99 * v + 0.01 * g * g;
                w = w * decay -
                    0.01 * (m / (1 - pow(0.9, i))) / (sqrt(v / (1 - pow(0.99, i))) + 1e-8);
            }
            assert_true(fabs((double)scene.optimizer.master[j] - w) < 1e-6);
            assert_true(fabs((double)means[j] - m) < 1e-7);
        }
    }
    scene_free(&scene);
}

static void padding_between_tensors_stays_zero(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TYPE_F32);
    take_update(&scene, &ADAMW);
    double sum = 0, of_tensors = 0;
    for (int64_t i = 0; i < scene.tiny.parameters.local; i++)
        sum += fabs((double)scene.optimizer.master[i]);
    for (int64_t t = 0; t < scene.tiny.parameters.tensor_count; t++) {
        Piece piece = parameters_piece(&scene.tiny.parameters, t);
        for (int64_t j = piece.local; j < piece.local + piece.count; j++)
            of_tensors += fabs((double)scene.optimizer.master[j]);
    }
    assert_true(sum == of_tensors);
    scene_free(&scene);
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TYPE_F32);
    size_t bytes = (size_t)scene.tiny.parameters.local * sizeof(float);
    scene.gradient.shards[7] = NAN;
    assert_true(isnan(take_update(&scene, &ADAMW)));
    assert_memory_equal(scene.optimizer.master, scene.tiny.values, bytes);
    assert_int_equal(scene.optimizer.updates, 0);
    scene.gradient.shards[7] = INFINITY;
    assert_true(isinf(take_update(&scene, &ADAMW)));
    assert_memory_equal(scene.optimizer.master, scene.tiny.values, bytes);
    scene_free(&scene);
}

static void a_restart_forgets_moments_and_updates(void **state)
{
    (void)state;
    Scene scene, fresh;
    scene_make(&scene, TYPE_F32);
    scene_make(&fresh, TYPE_F32);
    const Parameters *parameters = &scene.tiny.parameters;
    size_t bytes = (size_t)parameters->local * sizeof(float);
    take_update(&scene, &ADAMW);
    optimizer_restart(&scene.optimizer, parameters, kernels_cpu());
    memcpy(scene.optimizer.master, fresh.optimizer.master, bytes);
    take_update(&scene, &ADAMW);
    take_update(&fresh, &ADAMW);
    assert_memory_equal(scene.optimizer.master, fresh.optimizer.master, bytes);
    scene_free(&scene);
    scene_free(&fresh);
}

static void without_a_limit_gradients_are_not_clipped(void **state)
{
    (void)state;
    Scene free_run, wide;
    OptimizerSettings unlimited = ADAMW, loose = ADAMW;
    unlimited.max_gradient_norm = 0;
    loose.max_gradient_norm = 1e9;
    scene_make(&free_run, TYPE_F32);
    scene_make(&wide, TYPE_F32);
    take_update(&free_run, &unlimited);
    take_update(&wide, &loose);
    assert_memory_equal(free_run.optimizer.master, wide.optimizer.master,
                        (size_t)wide.tiny.parameters.local * sizeof(float));
    scene_free(&free_run);
    scene_free(&wide);
}

// What is kept of a first moment that began as 0, in bf16.
static uint16_t narrowed(float gradient, Draw draw, int64_t word)
{
    uint32_t words[4], bits;
    float m = (1 - (float)ADAMW.beta1) * gradient;
    memcpy(&bits, &m, sizeof bits);
    draw_words(draw, words);
    return (uint16_t)((bits + (words[word] & 0xffff)) >> 16);
}

static void moments_in_bf16_are_rounded_by_draws_that_know_no_ranks(void **state)
{
    (void)state;
    const ModelShape shape = tiny_shape(TINY_QWEN3);
    OptimizerSettings settings = ADAMW;
    settings.max_gradient_norm = 0;
    settings.rounding = (Draw){.seed = 11, .round = 1};
    for (int place = 0; place < 3; place++) { // the only rank, and the two of two
        Scene scene = {0};
        Group group = {.comm = MPI_COMM_SELF, .size = 1};
        int64_t met = 0;
        parameters_make(&scene.tiny.parameters, &shape, place / 2, place > 0 ? 2 : 1);
        const Parameters *parameters = &scene.tiny.parameters;
        scene.ranks = (Team){.inside = group, .across = group};
        optimizer_make(&scene.optimizer, parameters, kernels_cpu(),
                       (OptimizerForm){.moments = TYPE_BF16});
        gradient_make(&scene.gradient, parameters, kernels_cpu(), &collective_mpi, &scene.ranks);
        tiny_perturb(parameters, 6, 0.01, scene.gradient.shards);
        take_update(&scene, &settings);
        const uint16_t *means = scene.optimizer.moments.m;
        for (int64_t t = 0; t < parameters->tensor_count; t++) {
            Piece piece = parameters_piece(parameters, t);
            for (int64_t i = 0; i < piece.count; i++, met++) {
                int64_t element = piece.first + i;
                Draw draw = {.seed = 11, .purpose = PURPOSE_ROUNDING, .step = 1, .round = 1};
                draw.session = (uint32_t)t, draw.position = (uint32_t)(element / 4);
                uint16_t wanted =
                    narrowed(scene.gradient.shards[piece.local + i], draw, element % 4);
                assert_int_equal(means[piece.local + i], wanted);
            }
        }
        assert_true(met > 0);
        optimizer_free(&scene.optimizer, kernels_cpu());
        gradient_free(&scene.gradient);
        parameters_free(&scene.tiny.parameters);
    }
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_warms_up_and_stays),
        cmocka_unit_test(the_rate_falls_to_its_least_share),
        cmocka_unit_test(two_updates_are_those_of_adamw_in_double),
        cmocka_unit_test(padding_between_tensors_stays_zero),
        cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing),
        cmocka_unit_test(a_restart_forgets_moments_and_updates),
        cmocka_unit_test(without_a_limit_gradients_are_not_clipped),
        cmocka_unit_test(moments_in_bf16_are_rounded_by_draws_that_know_no_ranks),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
