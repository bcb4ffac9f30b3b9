// test_mts_trees.c - on MTS-Dialog with SmolLM2's tokenizer, session trees compute next to nothing
// twice: their rows against the trie of the contexts.
//
//     test_mts_trees MODEL_DIRECTORY

#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fail.h"
#include "tasks/schedule.h"
#include "tasks/session_tree.h"

enum { GROUP = 5, CONTEXTS = 32 };

static const char *model;

typedef struct {
    Tokenizer *tokenizer;
    Chat *chat;
    Dataset dataset;
} Scene;

static void scene_open(Scene *scene, const char *samples)
{
    scene->tokenizer = tokenizer_open(model);
    assert_non_null(scene->tokenizer);
    scene->chat = chat_open(scene->tokenizer, model, "auto", false);
    assert_non_null(scene->chat);
    DatasetOptions options = {
        .path = samples, .system_prompt = ROLLOUT_PROMPT, .max_prompt_tokens = 4096};
    if (dataset_open(&scene->dataset, scene->chat, options) != 0)
        die_failed();
}

static void scene_close(Scene *scene)
{
    dataset_close(&scene->dataset);
    chat_close(scene->chat);
    tokenizer_close(scene->tokenizer);
}

// The costs of one step whose responses all have `length` tokens.
static TreeCosts step_costs(const Scene *scene, const SessionSchedule *schedule, int32_t length)
{
    TreeCosts costs = {0};
    for (int64_t p = 0; p < schedule->part_count; p++) {
        Tree tree = session_tree_for_rollout(&scene->dataset, schedule->parts[p], GROUP, length);
        for (int32_t b = 0; b < tree.branch_count; b++)
            tree.branches[b].count = length;
        session_tree_costs(&scene->dataset, &tree, &costs);
        tree_free(&tree);
    }
    return costs;
}

static void rows_of_a_step_are_within_two_percent_of_the_trie(void **state)
{
    (void)state;
    static const int32_t lengths[] = {1, 24, 48};
    const char *root = getenv("LEARN2ASK_DATA");
    Bytes samples = {0};
    bytes_print(&samples, "%s/mts_dialog/train_processed.jsonl", root ? root : DEFAULT_DATA);
    if (access(samples.data, R_OK) != 0) {
        print_message("no %s\n", samples.data);
        bytes_free(&samples);
        skip();
    }
    Scene scene;
    SessionSchedule schedule;
    scene_open(&scene, samples.data);
    schedule_make(&schedule, &scene.dataset,
                  (ScheduleOptions){.seed = 1, .keep_sessions = true, .batch_contexts = CONTEXTS});
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        double worst = 0, independent = 0, rows = 0, forced = 0;
        for (int64_t step = 0; step < schedule.steps_per_epoch; step++) {
            schedule_step(&schedule, step);
            TreeCosts costs = step_costs(&scene, &schedule, lengths[l]);
            double ratio = (double)costs.rows / (double)costs.trie;
            worst = ratio > worst ? ratio : worst;
            independent += (double)costs.independent;
            rows += (double)costs.rows;
            forced += (double)costs.forced;
        }
        print_message("responses of %2d tokens: at most %.4f of the trie, %.2f times fewer than "
                      "independent sequences, %.0f forced tokens\n",
                      lengths[l], worst, independent / rows, forced);
        assert_true(schedule.steps_per_epoch > 100 && worst <= 1.02);
    }
    schedule_free(&schedule);
    scene_close(&scene);
    bytes_free(&samples);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_step_are_within_two_percent_of_the_trie),
    };
    model = argc > 1 ? argv[1] : "";
    if (access(model, R_OK) != 0) {
        printf("no model in '%s': tools/smollm2.sh makes it\n", model);
        return TEST_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
