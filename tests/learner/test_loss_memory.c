// test_loss_memory.c - logits exist for a chunk of rows at a time: the loss stage's memory,
// measured.

#include "tests/testing.h"

#include <string.h>

#include "base/fail.h"
#include "tests/model/tiny.h"

enum { VOCABULARY = 32768, WIDTH = 32, BRANCHES = 24, RESPONSE = 256, ROWS = 6400 };

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_act\": "
    "\"silu\", \"vocab_size\": 32768, \"max_position_embeddings\": 512, \"hidden_size\": 32, "
    "\"intermediate_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
    "\"num_key_value_heads\": 1, \"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, "
    "\"tie_word_embeddings\": true}";

static Tree make_tree(int32_t branches, int32_t length)
{
    static const int32_t trunk[] = {5, 6, 7, 8};
    Tree tree;
    tree_make(&tree, 0, trunk, 4, branches);
    for (int32_t b = 0; b < branches; b++) {
        Branch *branch = tree_add_branch(&tree, 4, 0, length);
        branch->count = length;
        for (int32_t i = 0; i < length; i++) {
            branch->tokens[i] = (b * 977 + i * 131) % VOCABULARY;
            branch->scored[i] = 1;
        }
    }
    return tree;
}

// What depends on the vocabulary in a workspace that a step computes with.
static size_t chunk_bytes(const Model *model)
{
    ModelShape half = *model->shape;
    half.vocabulary /= 2;
    Model smaller = *model;
    smaller.shape = &half;
    return 2 * (workspace_bytes(model, WORKSPACE_TRAIN, ROWS, ROWS) -
                workspace_bytes(&smaller, WORKSPACE_TRAIN, ROWS, ROWS)) +
           3 * SCORED_CHUNK * (size_t)model->shape->width * sizeof(float);
}

static void take_step(Learner *learner, int32_t branches, int32_t length)
{
    StepSettings settings = tiny_step_settings();
    Metrics metrics = {0};
    Tree tree = make_tree(branches, length);
    settings.algorithm = &algorithm_table[ALGORITHM_SFT];
    assert_int_equal(
        learner_step(learner, &settings, &(StepBatch){.trees = &tree, .count = 1}, &metrics), 0);
    assert_int_equal((int)metrics_get(&metrics, "learner/scored_rows"),
                     branches * (length - 1) + 1);
    metrics_free(&metrics);
    tree_free(&tree);
}

static void the_loss_stage_takes_little_of_all_logits(void **state)
{
    (void)state;
    ModelShape shape;
    Parameters parameters;
    Model model;
    Learner learner;
    const Group alone = {.comm = MPI_COMM_SELF, .size = 1};
    if (shape_parse(&shape, config, strlen(config), "wide vocabulary") != 0)
        die_failed();
    parameters_make(&parameters, &shape, 0, 1);
    model_make(&model, &parameters, NULL, kernels_cpu(), TYPE_F32, 512);
    tiny_learner_make(&learner, &model, &alone, 3, ROWS, NULL);
    take_step(&learner, 1, 2);
    size_t before = memory_peak();
    take_step(&learner, BRANCHES, RESPONSE);
    double grown = (double)(memory_peak() - before), chunk = (double)chunk_bytes(&model);
    double all = (double)BRANCHES * RESPONSE * VOCABULARY * sizeof(float);
    print_message("loss stage: %.1f MiB grown + %.1f MiB chunk, %.2f %% of all logits\n",
                  grown / 0x1p20, chunk / 0x1p20, 100 * (grown + chunk) / all);
    assert_true(chunk >= SCORED_CHUNK * (double)VOCABULARY * sizeof(float));
    assert_true(grown + chunk <= 0.05 * all);
    learner_free(&learner);
    model_free(&model);
    parameters_free(&parameters);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_stage_takes_little_of_all_logits),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    group_stop();
    return failed;
}
