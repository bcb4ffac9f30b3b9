// test_session_tree.c - a session as one trunk: every branch with its trunk reads as its context.

#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "tasks/session_tree.h"
#include "tests/text/small.h"

#define U1 "{\"role\": \"user\", \"content\": \"My ear hurts.\"}"
#define A1 "{\"role\": \"assistant\", \"content\": \"Since when?\"}"
#define U2 "{\"role\": \"user\", \"content\": \"Two days.\"}"
#define A2 "{\"role\": \"assistant\", \"content\": \"Is it sharp or dull?\"}"
#define U3 "{\"role\": \"user\", \"content\": \"Dull.\"}"
#define NEWLINE "{\"role\": \"assistant\", \"content\": \"\\n\\nSince when?\"}"
#define CONTINUE ", \"info_set\": [\"onset: two days\"]"
#define SESSION(first, second)                                                                     \
    "{\"cid\": \"5_1\", \"session_id\": 5, \"messages\": [" U1 "]" CONTINUE                        \
    ", \"decision_truth\": \"continue\", \"remaining_chat\": [" first ", " U2 "]}\n"               \
    "{\"cid\": \"5_2\", \"session_id\": 5, \"messages\": [" U1 ", " first ", " U2 "]" CONTINUE     \
    ", \"decision_truth\": \"continue\", \"remaining_chat\": [" second ", " first ", " U3 "]}\n"   \
    "{\"cid\": \"5_3\", \"session_id\": 5, \"messages\": [" U1 ", " first ", " U2 ", " second      \
    ", " U3 "], \"decision_truth\": \"stop\", \"info_truth\": \"\"}\n"

enum { REPEATS = 5, LONGEST = 40 };

typedef struct {
    Tokenizer *tokenizer;
    Chat *chat;
    Dataset dataset;
    int64_t order[3];
    SessionPart part; // all three contexts
} Scene;

static void open_text(Scene *scene, const char *directory, const char *chat, const char *samples)
{
    char *place = small_directory();
    Bytes path = {0}, prompt = {0};
    if (directory) {
        scene->tokenizer = tokenizer_open(directory);
    } else {
        json_t *golden = small_read("golden.json");
        json_t *root = small_variant(json_array_get(golden, 0));
        scene->tokenizer = small_open(root);
        json_decref(root);
        json_decref(golden);
    }
    assert_non_null(scene->tokenizer);
    scene->chat = chat_open(scene->tokenizer, place, chat, false);
    assert_non_null(scene->chat);
    small_write(place, "samples.jsonl", samples, NULL);
    small_write(place, "prompt.txt", "You ask one question at a time.\n\n", NULL);
    bytes_print(&path, "%s/samples.jsonl", place);
    bytes_print(&prompt, "%s/prompt.txt", place);
    DatasetOptions options = {
        .path = path.data, .system_prompt = prompt.data, .max_prompt_tokens = 1000};
    if (dataset_open(&scene->dataset, scene->chat, options) != 0)
        die_failed();
    bytes_free(&path);
    bytes_free(&prompt);
    small_remove(place);
}

static void scene_open(Scene *scene, const char *directory, const char *chat, const char *samples)
{
    *scene = (Scene){.order = {0, 1, 2}};
    scene->part = (SessionPart){.samples = scene->order, .count = 3};
    open_text(scene, directory, chat, samples);
    assert_int_equal(scene->dataset.usable, 3);
}

static void scene_close(Scene *scene)
{
    dataset_close(&scene->dataset);
    chat_close(scene->chat);
    tokenizer_close(scene->tokenizer);
}

// Trunk up to where the branch attaches, then its own tokens [.., end).
static void spell(const Tree *tree, const Branch *branch, int32_t end, Tokens *out)
{
    tokens_clear(out);
    tokens_append_all(out, tree->trunk, branch->attach);
    tokens_append_all(out, branch->tokens, end);
}

// Every branch reads as its context; returns the forced tokens of all branches.
static int64_t expect_contexts(const Scene *scene, const Tree *tree)
{
    int64_t forced = 0, longest = 0;
    Tokens found = {0};
    assert_int_equal(tree->branch_count, 3 * REPEATS);
    for (int32_t b = 0; b < tree->branch_count; b++) {
        const Branch *branch = &tree->branches[b];
        const ContextTokens *context = &scene->dataset.contexts[branch->sample];
        assert_int_equal(branch->sample, b / REPEATS);
        assert_int_equal(branch->round, b / REPEATS + 1);
        assert_int_equal(branch->repeat, b % REPEATS);
        assert_int_equal(branch->count, 0);
        spell(tree, branch, branch->forced, &found);
        assert_int_equal(found.count, context->count);
        assert_memory_equal(found.ids, context->ids, (size_t)context->count * sizeof(int32_t));
        // It attaches as late as it can.
        assert_true(branch->forced == 0 || branch->attach == tree->trunk_length ||
                    tree->trunk[branch->attach] != branch->tokens[0]);
        forced += branch->forced;
        longest = context->count > longest ? context->count : longest;
    }
    assert_int_equal(tree->trunk_length, longest);
    tokens_free(&found);
    return forced;
}

static int64_t forced_tokens(Scene *scene)
{
    Tree tree = session_tree_for_rollout(&scene->dataset, scene->part, REPEATS, LONGEST);
    int64_t forced = expect_contexts(scene, &tree);
    tree_free(&tree);
    return forced;
}

static void contexts_of_chatml_are_prefixes_of_the_trunk(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "chatml", SESSION(A1, A2));
    assert_int_equal(forced_tokens(&scene), 0);
    scene_close(&scene);
}

static void an_answer_that_begins_with_a_newline_costs_forced_tokens(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "chatml", SESSION(NEWLINE, A2));
    int64_t forced = forced_tokens(&scene);
    assert_true(forced > 0 && forced <= 2 * REPEATS);
    scene_close(&scene);
}

static void the_thought_of_qwen3_costs_forced_tokens(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "qwen3", SESSION(A1, A2));
    // The generation prompt's empty thought is no part of the history, but of the last turn.
    assert_true(forced_tokens(&scene) > 0);
    scene_close(&scene);
}

static void a_session_of_the_real_qwen3_reads_as_its_contexts(void **state)
{
    (void)state;
    const char *root = getenv("LEARN2ASK_DATA");
    Bytes directory = {0};
    Scene scene;
    bytes_print(&directory, "%s/tokenizers/qwen3", root ? root : DEFAULT_DATA);
    Bytes file = {0};
    bytes_print(&file, "%s/tokenizer.json", directory.data);
    FILE *found = fopen(file.data, "rb");
    bytes_free(&file);
    if (!found) {
        print_message("no tokenizer in %s\n", directory.data);
        bytes_free(&directory);
        skip();
    }
    fclose(found);
    scene_open(&scene, directory.data, "qwen3", SESSION(NEWLINE, A2));
    int64_t forced = forced_tokens(&scene);
    // "<think>\n\n</think>\n\n" in four tokens at the first two contexts of the trunk.
    assert_true(forced >= 2 * REPEATS * 4 && forced <= 2 * REPEATS * 6);
    scene_close(&scene);
    bytes_free(&directory);
}

// Whether the scored tokens of a branch spell `expected`.
static void expect_scored(const Scene *scene, const Branch *branch, const char *expected)
{
    Tokens scored = {0};
    Bytes text = {0};
    for (int32_t i = 0; i < branch->count; i++)
        if (branch->scored[i])
            tokens_append(&scored, branch->tokens[branch->forced + i]);
    tokenizer_decode(scene->tokenizer, scored.ids, scored.count, false, &text);
    assert_string_equal(text.data, expected);
    tokens_free(&scored);
    bytes_free(&text);
}

static void expect_whole(const Scene *scene, const Tree *tree, const Branch *branch,
                         const char *const *replies, int64_t count)
{
    const Sample *sample = &scene->dataset.set.samples[branch->sample];
    ChatMessage said[2];
    int64_t context_count;
    Tokens ids = {0}, mask = {0}, found = {0};
    ChatMessage *context = dataset_messages(&scene->dataset, sample, &context_count);
    for (int64_t i = 0; i < count; i++)
        said[i] = (ChatMessage){"assistant", replies[i], strlen(replies[i])};
    assert_int_equal(
        chat_encode_replies(scene->chat, context, context_count, said, count, &ids, &mask), 0);
    spell(tree, branch, branch->forced + branch->count, &found);
    assert_int_equal(found.count, ids.count);
    assert_memory_equal(found.ids, ids.ids, (size_t)ids.count * sizeof(int32_t));
    release(context);
    tokens_free(&ids);
    tokens_free(&mask);
    tokens_free(&found);
}

static void expert_branches_score_what_was_said_and_where_it_ends(void **state)
{
    (void)state;
    static const char *const chats[] = {"chatml", "qwen3"};
    for (int c = 0; c < 2; c++) {
        Scene scene;
        const char *first = "Since when?";
        const char *const second[] = {"Is it sharp or dull?", "Since when?"};
        const char *stop = "<stop />";
        scene_open(&scene, NULL, chats[c], SESSION(A1, A2));
        Tree tree = session_tree_of_expert(&scene.dataset, scene.chat, scene.part, 200);
        assert_int_equal(tree.branch_count, 3);
        expect_whole(&scene, &tree, &tree.branches[0], &first, 1);
        expect_whole(&scene, &tree, &tree.branches[1], second, 2);
        expect_whole(&scene, &tree, &tree.branches[2], &stop, 1);
        expect_scored(&scene, &tree.branches[0], "Since when?<|im_end|>");
        expect_scored(&scene, &tree.branches[1],
                      "Is it sharp or dull?<|im_end|>Since when?<|im_end|>");
        expect_scored(&scene, &tree.branches[2], "<stop /><|im_end|>");
        for (int b = 0; b < 3; b++)
            assert_int_equal(tree.branches[b].scored[0], 1); // nothing unscored opens a response
        tree_free(&tree);
        scene_close(&scene);
    }
}

static void long_expert_answers_are_cut(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "chatml", SESSION(A1, A2));
    Tree whole = session_tree_of_expert(&scene.dataset, scene.chat, scene.part, 200);
    Tree cut = session_tree_of_expert(&scene.dataset, scene.chat, scene.part, 3);
    for (int b = 0; b < 3; b++) {
        const Branch *branch = &cut.branches[b], *all = &whole.branches[b];
        assert_true(all->count > 3);
        assert_int_equal(branch->count, 3);
        assert_memory_equal(branch->tokens + branch->forced, all->tokens + all->forced,
                            3 * sizeof(int32_t));
    }
    tree_free(&whole);
    tree_free(&cut);
    scene_close(&scene);
}

static void a_cut_session_has_the_trunk_of_its_own_contexts(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "chatml", SESSION(A1, A2));
    SessionPart part = {.samples = scene.order, .count = 2};
    Tree tree = session_tree_for_rollout(&scene.dataset, part, REPEATS, LONGEST);
    assert_int_equal(tree.trunk_length, scene.dataset.contexts[1].count);
    assert_int_equal(tree.branch_count, 2 * REPEATS);
    tree_free(&tree);
    scene_close(&scene);
}

static void costs_are_counted_row_by_row(void **state)
{
    (void)state;
    Scene scene;
    TreeCosts costs = {0};
    scene_open(&scene, NULL, "chatml", SESSION(NEWLINE, A2));
    Tree tree = session_tree_for_rollout(&scene.dataset, scene.part, REPEATS, LONGEST);
    int64_t independent = 0, forced = 0;
    for (int32_t b = 0; b < tree.branch_count; b++) {
        tree.branches[b].count = 7;
        independent += scene.dataset.contexts[tree.branches[b].sample].count + 6;
        forced += tree.branches[b].forced;
    }
    session_tree_costs(&scene.dataset, &tree, &costs);
    assert_int_equal(costs.independent, independent);
    assert_int_equal(costs.forced, forced);
    assert_int_equal(costs.rows, tree.trunk_length + forced + 15 * 6);
    assert_int_equal(costs.trie, tree.trunk_length + forced / REPEATS + 15 * 7);
    tree_free(&tree);
    scene_close(&scene);
}

static void a_context_that_is_too_long_is_left_out_and_counted(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "chatml", SESSION(A1, A2));
    int64_t limit = scene.dataset.contexts[1].count;
    char *place = small_directory();
    Bytes path = {0};
    small_write(place, "samples.jsonl", SESSION(A1, A2), NULL);
    bytes_print(&path, "%s/samples.jsonl", place);
    Dataset dataset;
    DatasetOptions options = {.path = path.data, .system_prompt = "", .max_prompt_tokens = limit};
    assert_int_equal(dataset_open(&dataset, scene.chat, options), 0);
    assert_null(dataset.system_prompt);
    assert_int_equal(dataset.usable + dataset.too_long, 3);
    assert_true(dataset.longest <= limit && dataset.usable >= 2);
    dataset_close(&dataset);
    options.max_prompt_tokens = 3;
    assert_int_equal(dataset_open(&dataset, scene.chat, options), -1);
    assert_non_null(strstr(fail_message(), "every context exceeds [data] max_prompt_tokens = 3"));
    options.system_prompt = "no/such/prompt.txt";
    assert_int_equal(dataset_open(&dataset, scene.chat, options), -1);
    assert_int_equal(fail_code(), EXIT_NO_INPUT);
    assert_non_null(strstr(fail_message(), "no/such/prompt.txt"));
    small_write(place, "empty.txt", "\n\n", NULL);
    bytes_clear(&path);
    bytes_print(&path, "%s/samples.jsonl", place);
    Bytes empty = {0};
    bytes_print(&empty, "%s/empty.txt", place);
    options.path = path.data;
    options.system_prompt = empty.data;
    assert_int_equal(dataset_open(&dataset, scene.chat, options), -1);
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
    assert_non_null(strstr(fail_message(), "empty.txt is empty"));
    bytes_free(&empty);
    bytes_free(&path);
    small_remove(place);
    scene_close(&scene);
}

// The text of a branch's response.
static void expect_words(const Scene *scene, const Branch *branch, const char *words)
{
    Bytes text = {0};
    tokenizer_decode(scene->tokenizer, branch->tokens + branch->forced, branch->count, true, &text);
    assert_string_equal(text.data, words);
    bytes_free(&text);
}

#define REJECTED(session)                                                                          \
    "{\"cid\": \"5_1\", \"rejected\": \"Bad?\", \"session_id\": 5, \"messages\": [" U1             \
    "]" CONTINUE ", \"decision_truth\": \"continue\", \"remaining_chat\": [" A1 ", " U2            \
    "]}\n" session

static void pairs_are_the_expert_and_a_worse_response(void **state)
{
    (void)state;
    Scene scene;
    scene_open(&scene, NULL, "chatml", SESSION(A1, A2));
    Tree sampled = session_tree_for_rollout(&scene.dataset, scene.part, 3, 4);
    for (int32_t b = 0; b < sampled.branch_count; b++) {
        Branch *branch = &sampled.branches[b];
        static const float rewards[] = {3, 1, 2, 4, 4, 4, 0, 2, 2};
        branch->count = 2;
        branch->tokens[branch->forced] = 10 + b;
        branch->tokens[branch->forced + 1] = 20 + b;
        branch->scored[0] = branch->scored[1] = 1;
        branch->reward = rewards[b];
        branch->graded = b != 6; // the worst of the last context has no grade
    }
    Tree pairs =
        session_tree_of_pairs(&scene.dataset, scene.chat, scene.part, LONGEST, &sampled, 4);
    assert_int_equal(pairs.branch_count, 4); // the second context's are all perfect
    static const int32_t samples[] = {0, 0, 2, 2}, from[] = {-1, 1, -1, 7};
    Tokens chosen = {0}, rejected = {0};
    for (int32_t b = 0; b < 4; b++) {
        const Branch *branch = &pairs.branches[b];
        assert_int_equal(branch->sample, samples[b]);
        if (from[b] < 0)
            continue;
        const Branch *source = &sampled.branches[from[b]];
        assert_int_equal(branch->count, 2);
        assert_int_equal(branch->tokens[branch->forced], source->tokens[source->forced]);
        spell(&pairs, branch, branch->forced, &rejected);
        spell(&pairs, &pairs.branches[b - 1], pairs.branches[b - 1].forced, &chosen);
        assert_int_equal(rejected.count, chosen.count); // one context
        assert_memory_equal(rejected.ids, chosen.ids, (size_t)chosen.count * sizeof(int32_t));
    }
    expect_words(&scene, &pairs.branches[0], "Since when?");
    expect_words(&scene, &pairs.branches[2], "<stop />");
    tokens_free(&chosen), tokens_free(&rejected);
    tree_free(&pairs), tree_free(&sampled);
    scene_close(&scene);
}

static void rejected_responses_can_be_given(void **state)
{
    (void)state;
    Scene scene = {.order = {0}};
    scene.part = (SessionPart){.samples = scene.order, .count = 1};
    open_text(&scene, NULL, "chatml", REJECTED(""));
    Tree pairs = session_tree_of_pairs(&scene.dataset, scene.chat, scene.part, LONGEST, NULL, 4);
    assert_int_equal(pairs.branch_count, 2);
    expect_words(&scene, &pairs.branches[0], "Since when?");
    expect_words(&scene, &pairs.branches[1], "Bad?");
    tree_free(&pairs);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_of_chatml_are_prefixes_of_the_trunk),
        cmocka_unit_test(an_answer_that_begins_with_a_newline_costs_forced_tokens),
        cmocka_unit_test(the_thought_of_qwen3_costs_forced_tokens),
        cmocka_unit_test(a_session_of_the_real_qwen3_reads_as_its_contexts),
        cmocka_unit_test(expert_branches_score_what_was_said_and_where_it_ends),
        cmocka_unit_test(long_expert_answers_are_cut),
        cmocka_unit_test(a_cut_session_has_the_trunk_of_its_own_contexts),
        cmocka_unit_test(costs_are_counted_row_by_row),
        cmocka_unit_test(a_context_that_is_too_long_is_left_out_and_counted),
        cmocka_unit_test(pairs_are_the_expert_and_a_worse_response),
        cmocka_unit_test(rejected_responses_can_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
