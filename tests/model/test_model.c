// test_model.c - the model against PyTorch's numbers and finite differences; shapes, files, trees.

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "tests/model/golden.h"
#include "tests/model/tiny.h"

enum { ROWS = 1024 };

static void assert_close(double a, double b, double tolerance, const char *what)
{
    double scale = fabs(b) > 1 ? fabs(b) : 1;
    if (!(fabs(a - b) <= tolerance * scale))
        fail_msg("%s: %.12g is not %.12g", what, a, b);
}

static double norm_of(const Golden *row, const char *name)
{
    for (int i = 0; i < GOLDEN_TENSORS && row->norms[i].name; i++)
        if (strcmp(row->norms[i].name, name) == 0)
            return row->norms[i].norm;
    fail_msg("PyTorch has no %s", name);
    return 0;
}

static double length_of(const float *values, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

static void a_step_finds_the_losses_and_gradients_of_pytorch(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        Grove grove;
        Learner learner;
        Metrics metrics = {0};
        StepSettings settings = tiny_step_settings();
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_F32, 5);
        grove_make(&grove, 4, tiny.model.shape->vocabulary, 11);
        tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, ROWS, tiny.weights);
        assert_int_equal(learner_step(&learner, &settings,
                                      &(StepBatch){.trees = grove.trees, .count = grove.count},
                                      &metrics),
                         0);
        const Golden *row = &golden[family];
        assert_close(metrics_get(&metrics, "actor/pg_loss"), row->policy, 1e-5, "policy loss");
        assert_close(metrics_get(&metrics, "actor/kl_loss"), row->divergence, 1e-5, "KL");
        for (int64_t i = 0; i < tiny.parameters.tensor_count; i++) {
            Piece piece = parameters_piece(&tiny.parameters, i);
            double length = length_of(learner.gradient.shards + piece.local, piece.count);
            double expected = norm_of(row, piece.tensor->name);
            assert_close(length / expected, 1, 1e-5, piece.tensor->name);
        }
        metrics_free(&metrics);
        learner_free(&learner);
        grove_free(&grove);
        tiny_free(&tiny);
    }
}

static void logits_are_those_of_pytorch(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        Grove grove;
        Batch batch;
        Workspace workspace;
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_F32, 5);
        grove_make(&grove, 4, tiny.model.shape->vocabulary, 11);
        const Branch *branch = grove.trees[0].branches;
        while (!branch->graded)
            branch++;
        int32_t last = branch->attach - 1;
        assert_int_equal(branch->forced, 0);
        batch_make(&batch, ROWS, ROWS);
        workspace_make(&workspace, &tiny.model, WORKSPACE_SCORE, ROWS, ROWS);
        batch_add_rows(&batch, grove.trees[0].trunk, branch->attach, 0, (Span){0});
        model_forward(&tiny.model, tiny.weights, &batch, &workspace, NULL);
        Tensor z = model_logits(&tiny.model, tiny.weights, &workspace, &last, 1);
        for (int i = 0; i < GOLDEN_LOGITS; i++)
            assert_close((double)z.data[i], golden[family].logits[i], 1e-5, tiny_names[family]);
        workspace_free(&workspace, &tiny.model);
        batch_free(&batch);
        grove_free(&grove);
        tiny_free(&tiny);
    }
}

// The loss of an sft step, in double from fp32 log-probabilities.
static double loss_of(Learner *learner, Tiny *tiny, Grove *grove)
{
    Metrics metrics = {0};
    StepSettings settings = tiny_step_settings();
    settings.algorithm = &algorithm_table[ALGORITHM_SFT];
    settings.loss.aggregation = AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM;
    tiny_publish(tiny);
    assert_int_equal(learner_step(learner, &settings,
                                  &(StepBatch){.trees = grove->trees, .count = grove->count},
                                  &metrics),
                     0);
    double loss = metrics_get(&metrics, "actor/pg_loss");
    metrics_free(&metrics);
    return loss;
}

static void gradients_are_the_slopes_of_the_loss(void **state)
{
    (void)state;
    static const TinyFamily families[] = {TINY_LLAMA, TINY_QWEN2_TIED, TINY_QWEN3};
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        Tiny tiny;
        Grove grove;
        Learner learner;
        tiny_make(&tiny, families[f], kernels_cpu(), TYPE_F32, 5);
        grove_make(&grove, 1, tiny.model.shape->vocabulary, 11);
        tiny_learner_make(&learner, &tiny.model, &tiny.group, 5, ROWS, tiny.weights);
        loss_of(&learner, &tiny, &grove);
        size_t count = (size_t)tiny.parameters.local;
        float *gradient = allocate(count, sizeof *gradient);
        memcpy(gradient, learner.gradient.shards, count * sizeof *gradient);
        for (int64_t i = 0; i < tiny.parameters.tensor_count; i++) {
            // Along the tensor's own gradient the slope is the gradient's length.
            Piece piece = parameters_piece(&tiny.parameters, i);
            float *values = tiny.values + piece.local, *slope = gradient + piece.local;
            float *kept = allocate((size_t)piece.count, sizeof *kept);
            memcpy(kept, values, (size_t)piece.count * sizeof *kept);
            double length = length_of(slope, piece.count), distance = 0.01, loss[2];
            for (int side = 0; side < 2; side++) {
                for (int64_t j = 0; j < piece.count; j++)
                    values[j] = kept[j] +
                                (float)((side ? -distance : distance) / length * (double)slope[j]);
                loss[side] = loss_of(&learner, &tiny, &grove);
            }
            memcpy(values, kept, (size_t)piece.count * sizeof *kept);
            assert_close((loss[0] - loss[1]) / (2 * distance) / length, 1, 5e-3,
                         piece.tensor->name);
            release(kept);
        }
        release(gradient);
        learner_free(&learner);
        grove_free(&grove);
        tiny_free(&tiny);
    }
}

static void a_tree_survives_being_written_and_read(void **state)
{
    (void)state;
    Grove grove;
    Bytes bytes = {0};
    grove_make(&grove, 3, 211, 8);
    for (int64_t t = 0; t < grove.count; t++)
        tree_write(&grove.trees[t], &bytes);
    size_t used = 0;
    for (int64_t t = 0; t < grove.count; t++) {
        Tree tree;
        used += tree_read(&tree, bytes.data + used, bytes.length - used);
        const Tree *from = &grove.trees[t];
        assert_int_equal(tree.session, from->session);
        assert_int_equal(tree.trunk_length, from->trunk_length);
        assert_int_equal(tree.branch_count, from->branch_count);
        assert_memory_equal(tree.trunk, from->trunk, (size_t)tree.trunk_length * sizeof(int32_t));
        for (int32_t b = 0; b < tree.branch_count; b++) {
            const Branch *left = &tree.branches[b], *right = &from->branches[b];
            assert_int_equal(left->attach, right->attach);
            assert_int_equal(left->round, right->round);
            assert_int_equal(left->graded, right->graded);
            assert_true(left->reward == right->reward);
            size_t count = (size_t)right->count;
            assert_memory_equal(left->tokens, right->tokens,
                                ((size_t)right->forced + count) * sizeof(int32_t));
            assert_memory_equal(left->logprobs, right->logprobs, count * sizeof(float));
            assert_memory_equal(left->scored, right->scored, count);
        }
        tree_free(&tree);
    }
    assert_int_equal(used, bytes.length);
    bytes_free(&bytes);
    grove_free(&grove);
}

static void pieces_of_all_ranks_tile_every_tensor(void **state)
{
    (void)state;
    for (int size = 1; size <= 7; size++) {
        ModelShape shape = tiny_shape(TINY_QWEN2);
        int64_t found = 0, elements = 0;
        int64_t next[64] = {0};
        for (int rank = 0; rank < size; rank++) {
            Parameters parameters;
            parameters_make(&parameters, &shape, rank, size);
            for (int64_t i = 0; i < parameters.tensor_count; i++) {
                Piece piece = parameters_piece(&parameters, i);
                elements += rank == 0 ? piece.tensor->elements : 0;
                found += piece.count;
                if (piece.count == 0)
                    continue;
                assert_int_equal(piece.first, next[i]); // in rank order, without holes
                assert_true(piece.local + piece.count <= parameters.local);
                next[i] += piece.count;
            }
            parameters_free(&parameters);
        }
        assert_int_equal(found, elements);
        assert_int_equal(elements, shape_parameters(&shape));
    }
}

static void random_weights_do_not_depend_on_the_number_of_ranks(void **state)
{
    (void)state;
    ModelShape shape = tiny_shape(TINY_LLAMA);
    Parameters whole, part;
    parameters_make(&whole, &shape, 0, 1);
    float *all = allocate((size_t)whole.local, sizeof *all);
    parameters_randomise(&whole, 9, all);
    for (int rank = 0; rank < 3; rank++) {
        parameters_make(&part, &shape, rank, 3);
        float *mine = allocate((size_t)part.local, sizeof *mine);
        parameters_randomise(&part, 9, mine);
        for (int64_t i = 0; i < part.tensor_count; i++) {
            Piece piece = parameters_piece(&part, i), from = parameters_piece(&whole, i);
            assert_memory_equal(mine + piece.local, all + from.local + piece.first,
                                (size_t)piece.count * sizeof *mine);
        }
        release(mine);
        parameters_free(&part);
    }
    release(all);
    parameters_free(&whole);
}

static void random_matrices_have_the_spread_of_the_configuration(void **state)
{
    (void)state;
    ModelShape shape = tiny_shape(TINY_LLAMA);
    Parameters parameters;
    parameters_make(&parameters, &shape, 0, 1);
    float *values = allocate((size_t)parameters.local, sizeof *values);
    parameters_randomise(&parameters, 9, values);
    for (int64_t i = 0; i < parameters.tensor_count; i++) {
        Piece piece = parameters_piece(&parameters, i);
        double count = (double)piece.count;
        double spread = length_of(values + piece.local, piece.count) / sqrt(count);
        const char *name = piece.tensor->name;
        bool writes = strstr(name, "o_proj") || strstr(name, "down_proj");
        double expected = strstr(name, "norm") ? 1 : writes ? 0.15 / 2 : 0.15; // sqrt(2 * 2 layers)
        assert_close(spread / expected, 1, 5 / sqrt(2 * count), name);
    }
    release(values);
    parameters_free(&parameters);
}

// Puts `value` in place of `key`'s in a good configuration and asks for the message.
static void expect_refusal(const char *config, const char *from, const char *to,
                           const char *message)
{
    Bytes text = {0};
    ModelShape shape;
    const char *place = strstr(config, from);
    assert_non_null(place);
    bytes_append(&text, config, (size_t)(place - config));
    bytes_append_text(&text, to);
    bytes_append_text(&text, place + strlen(from));
    if (shape_parse(&shape, text.data, text.length, "config.json") == 0)
        fail_msg("%s was accepted", to);
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
    if (!strstr(fail_message(), message))
        fail_msg("'%s' does not say '%s'", fail_message(), message);
    bytes_free(&text);
}

static void what_the_model_cannot_compute_is_refused_by_name(void **state)
{
    (void)state;
    const char *llama = tiny_configs[TINY_LLAMA], *scaled = tiny_configs[TINY_LLAMA3];
    const char *qwen2 = tiny_configs[TINY_QWEN2];
    expect_refusal(llama, "LlamaForCausalLM", "GPT2LMHeadModel",
                   "the architecture GPT2LMHeadModel is not supported");
    expect_refusal(llama, "\"LlamaForCausalLM\"", "1", "does not name an architecture");
    expect_refusal(llama, "\"silu\"", "\"gelu\"", "'hidden_act' is not 'silu'");
    expect_refusal(llama, "\"hidden_act\"", "\"attention_bias\": true, \"hidden_act\"",
                   "'attention_bias' is true, which is not supported");
    expect_refusal(llama, "\"hidden_act\"", "\"mlp_bias\": true, \"hidden_act\"",
                   "'mlp_bias' is true, which is not supported");
    expect_refusal(qwen2, "\"use_sliding_window\": false", "\"use_sliding_window\": true",
                   "'use_sliding_window' is true");
    expect_refusal(qwen2, "\"use_sliding_window\": false", "\"use_sliding_window\": 1",
                   "neither true nor false");
    expect_refusal(llama, "\"hidden_size\"", "\"hidden\"", "'hidden_size' is missing");
    expect_refusal(llama, "\"hidden_size\": 48", "\"hidden_size\": -48", "'hidden_size' is not a");
    expect_refusal(llama, "\"hidden_size\": 48", "\"hidden_size\": 4.8", "'hidden_size' is not a");
    expect_refusal(llama, "\"hidden_size\": 48", "\"hidden_size\": 5",
                   "'head_dim' is not an even number");
    expect_refusal(llama, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4",
                   "is not a multiple of num_key_value_heads");
    expect_refusal(llama, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 0",
                   "'num_key_value_heads' is not a whole number");
    expect_refusal(llama, "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 0",
                   "'rms_norm_eps' is not a number in the range");
    expect_refusal(scaled, "\"llama3\"", "\"yarn\"", "of a type that is not supported");
    expect_refusal(scaled, "\"high_freq_factor\": 4.0", "\"high_freq_factor\": 0.5",
                   "must exceed low_freq_factor");
    expect_refusal(llama, "{", "[", "not a JSON object");
}

static void numbers_that_are_not_to_be_computed_with_are_refused(void **state)
{
    (void)state;
    const char *llama = tiny_configs[TINY_LLAMA], *scaled = tiny_configs[TINY_LLAMA3];
    static const char *const values[] = {"1e300", "1e-300", "-1", "\"1\"", "true"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char number[32];
        snprintf(number, sizeof number, ": %s", values[i]);
        expect_refusal(llama, ": 10000.0", number, "'rope_theta' is not a number in the range");
        expect_refusal(llama, ": 1e-05", number, "'rms_norm_eps' is not a number in the range");
        expect_refusal(llama, ": 0.15", number, "'initializer_range' is not a number in");
        expect_refusal(scaled, ": 8.0", number, "'factor' is not a number in the range");
    }
    expect_refusal(llama, ": 1e-05", ": 1e999", "real number overflow");
    expect_refusal(llama, ": 1e-05", ": NaN", "invalid token");
}

static void positions_beyond_the_last_angle_are_left_out(void **state)
{
    (void)state;
    ModelShape shape;
    Bytes text = {0};
    const char *llama = tiny_configs[TINY_LLAMA];
    const char *positions = strstr(llama, "\"max_position_embeddings\": ");
    const char *rest = positions + strcspn(positions, ",");
    bytes_print(&text, "%.*s\"max_position_embeddings\": 16777216%s", (int)(positions - llama),
                llama, rest);
    assert_int_equal(shape_parse(&shape, text.data, text.length, "config.json"), 0);
    assert_int_equal(shape.positions, SHAPE_POSITIONS_LIMIT);
    size_t count = (size_t)shape.positions * (size_t)shape.head_width;
    float *table = allocate(count, sizeof *table);
    shape_rotary_table(&shape, table, shape.positions);
    for (size_t i = 0; i < count; i++)
        assert_true(table[i] >= -1 && table[i] <= 1);
    release(table);
    bytes_free(&text);
}

static void a_directory_without_configuration_is_told_by_its_name(void **state)
{
    (void)state;
    ModelShape shape;
    assert_int_equal(shape_read(&shape, "no/such/model", NULL), -1);
    assert_int_equal(fail_code(), EXIT_NO_INPUT);
    assert_non_null(strstr(fail_message(), "no/such/model/config.json"));
}

static void a_configuration_of_absurd_size_is_not_read(void **state)
{
    (void)state;
    ModelShape shape;
    char directory[] = "/tmp/learn2ask-shape-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/config.json", directory);
    fclose(fopen(path, "w"));
    assert_int_equal(truncate(path, (off_t)SHAPE_FILE_LIMIT + 1), 0);
    assert_int_equal(shape_read(&shape, directory, NULL), -1);
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
    assert_non_null(strstr(fail_message(), "at most 16777216 are allowed"));
    unlink(path);
    rmdir(directory);
}

static void both_ways_of_writing_rotary_settings_are_read(void **state)
{
    (void)state;
    ModelShape old, new;
    const char *text = tiny_configs[TINY_LLAMA3];
    Bytes bytes = {0};
    const char *place = strstr(text, "rope_parameters");
    bytes_append(&bytes, text, (size_t)(place - text));
    bytes_append_text(&bytes, "rope_theta\": 500.0, \"rope_scaling");
    bytes_append_text(&bytes, strstr(text, "\": {\"rope_type"));
    assert_int_equal(shape_parse(&new, text, strlen(text), "new"), 0);
    assert_int_equal(shape_parse(&old, bytes.data, bytes.length, "old"), 0);
    assert_memory_equal(&old, &new, sizeof old);
    assert_true(new.rope_llama3 &&new.rope_theta == 500 && new.rope_original == 32);
    bytes_free(&bytes);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_finds_the_losses_and_gradients_of_pytorch),
        cmocka_unit_test(logits_are_those_of_pytorch),
        cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
        cmocka_unit_test(a_tree_survives_being_written_and_read),
        cmocka_unit_test(pieces_of_all_ranks_tile_every_tensor),
        cmocka_unit_test(random_weights_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(random_matrices_have_the_spread_of_the_configuration),
        cmocka_unit_test(what_the_model_cannot_compute_is_refused_by_name),
        cmocka_unit_test(numbers_that_are_not_to_be_computed_with_are_refused),
        cmocka_unit_test(positions_beyond_the_last_angle_are_left_out),
        cmocka_unit_test(a_directory_without_configuration_is_told_by_its_name),
        cmocka_unit_test(a_configuration_of_absurd_size_is_not_read),
        cmocka_unit_test(both_ways_of_writing_rotary_settings_are_read),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failures;
}
