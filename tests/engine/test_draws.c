// test_draws.c - every sampled token against the logits of a full forward pass: greedy, drawn,
// truncated, penalised.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "tests/engine/sampling.h"

// How many tokens are more probable than `token`.
static int64_t place_of(const float *logits, int64_t count, int32_t token)
{
    int64_t place = 0;
    for (int32_t i = 0; i < count; i++)
        place += logits[i] > logits[token] || (i < token && logits[i] == logits[token]);
    return place;
}

// Walks through all sampled tokens with the logits they came from.
typedef void (*Visit)(const Tree *tree, const Branch *branch, int32_t index, const float *logits,
                      int64_t vocabulary, const void *context);

static void visit_all(Tiny *tiny, const Grove *grove, Visit visit, const void *context)
{
    int64_t visits = 0;
    for (int64_t t = 0; t < grove->count; t++) {
        for (int32_t b = 0; b < grove->trees[t].branch_count; b += 2) {
            const Branch *branch = &grove->trees[t].branches[b];
            for (int32_t i = 0; i < branch->count; i++, visits++) {
                float *logits = next_logits(tiny, &grove->trees[t], branch, i);
                visit(&grove->trees[t], branch, i, logits, tiny->model.shape->vocabulary, context);
                release(logits);
            }
        }
    }
    assert_true(visits > 0);
}

static void expect_greedy(const Tree *tree, const Branch *branch, int32_t index,
                          const float *logits, int64_t vocabulary, const void *context)
{
    (void)tree;
    (void)context;
    int32_t token = branch->tokens[branch->forced + index];
    assert_int_equal(token, most_probable(logits, vocabulary));
    double expected = log_probability(logits, vocabulary, token, 1);
    assert_true(fabs((double)branch->logprobs[index] - expected) < 1e-5);
    assert_int_equal(branch->scored[index], 1);
}

static void greedy_responses_are_those_of_a_full_forward_pass_a_token(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_COUNT; family++) {
        Tiny tiny;
        Grove buds;
        Generation generation = generation_of(0);
        tiny_make(&tiny, (TinyFamily)family, kernels_cpu(), TYPE_F32, 5);
        make_buds(&buds, TREES, tiny.model.shape->vocabulary);
        generate(&tiny, &buds, ROWS, SLOTS, &generation);
        visit_all(&tiny, &buds, expect_greedy, NULL);
        grove_free(&buds);
        tiny_free(&tiny);
    }
}

static void drawn_tokens_have_the_frequencies_of_the_model(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    const double temperature = 0.5;
    Tiny tiny;
    const int32_t trunk[] = {3, 1, 4, 1, 5};
    Tree tree;
    Generation generation = generation_of(temperature);
    generation.max_response_tokens = 1;
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    tree_make(&tree, 0, trunk, 5, DRAWS);
    for (int32_t b = 0; b < DRAWS; b++)
        tree_add_branch(&tree, 5, 0, 1)->repeat = b;
    generate(&tiny, &(Grove){&tree, 1}, ROWS, 16 * (DRAWS + 1), &generation);
    int64_t vocabulary = tiny.model.shape->vocabulary;
    float *logits = next_logits(&tiny, &tree, tree.branches, 0);
    double square = 0, rest = DRAWS, rest_met = DRAWS, cells = 0;
    for (int32_t token = 0; token < vocabulary; token++) {
        double expected = DRAWS * exp(log_probability(logits, vocabulary, token, temperature));
        double met = 0;
        for (int32_t b = 0; b < DRAWS; b++)
            met += tree.branches[b].tokens[0] == token;
        if (expected < 8)
            continue;
        square += (met - expected) * (met - expected) / expected;
        rest -= expected;
        rest_met -= met;
        cells++;
    }
    square += (rest_met - rest) * (rest_met - rest) / rest;
    // chi-square of `cells` degrees of freedom: mean cells, variance 2 cells.
    assert_true(cells > 20 && square < cells + 4 * sqrt(2 * cells));
    release(logits);
    tree_free(&tree);
    tiny_free(&tiny);
}

typedef struct {
    double temperature;
    int64_t places; // most probable tokens allowed; 0: any
    double top_p;
} Limits;

static void expect_limits(const Tree *tree, const Branch *branch, int32_t index,
                          const float *logits, int64_t vocabulary, const void *context)
{
    (void)tree;
    const Limits *limits = context;
    int32_t token = branch->tokens[branch->forced + index];
    int64_t place = place_of(logits, vocabulary, token);
    double logprob = log_probability(logits, vocabulary, token, limits->temperature), before = 0;
    assert_true(fabs((double)branch->logprobs[index] - logprob) < 1e-5);
    if (limits->places > 0)
        assert_true(place < limits->places);
    for (int32_t i = 0; i < vocabulary; i++)
        if (place_of(logits, vocabulary, i) < place)
            before += exp(log_probability(logits, vocabulary, i, limits->temperature));
    assert_true(before < limits->top_p);
}

static void temperature_top_k_and_top_p_reach_the_draw(void **state)
{
    (void)state;
    static const Limits limits[] = {
        {0.6, 0, 1}, {1.5, 3, 1}, {1.3, 0, 0.4}, {2, 8, 0.7}, {1, 1, 1}};
    Tiny tiny;
    tiny_make(&tiny, TINY_QWEN2, kernels_cpu(), TYPE_F32, 5);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        Grove buds;
        Generation generation = generation_of(limits[i].temperature);
        generation.top_k = (int32_t)limits[i].places;
        generation.top_p = limits[i].top_p;
        make_buds(&buds, 1, tiny.model.shape->vocabulary);
        generate(&tiny, &buds, ROWS, SLOTS, &generation);
        visit_all(&tiny, &buds, expect_limits, &limits[i]);
        grove_free(&buds);
    }
    tiny_free(&tiny);
}

// Greedy with a penalty of 1.5, each distinct token of the sequence once; the log-probability is
// that of the model without penalty.
static void expect_penalised(const Tree *tree, const Branch *branch, int32_t index,
                             const float *logits, int64_t vocabulary, const void *context)
{
    const float *penalty = context;
    float *penalised = allocate((size_t)vocabulary, sizeof *penalised);
    for (int32_t token = 0; token < vocabulary; token++) {
        bool seen = false;
        for (int32_t i = 0; i < branch->attach; i++)
            seen |= tree->trunk[i] == token;
        for (int32_t i = 0; i < branch->forced + index; i++)
            seen |= branch->tokens[i] == token;
        float z = logits[token];
        penalised[token] = !seen ? z : z > 0 ? z / *penalty : z * *penalty;
    }
    int32_t token = branch->tokens[branch->forced + index];
    assert_int_equal(token, most_probable(penalised, vocabulary));
    assert_true(fabs((double)branch->logprobs[index] -
                     log_probability(logits, vocabulary, token, 1)) < 1e-5);
    release(penalised);
}

static void the_repetition_penalty_falls_once_on_every_distinct_token(void **state)
{
    (void)state;
    const float penalty = 1.5f;
    Tiny tiny;
    Grove buds, plain;
    Generation generation = generation_of(0), free_of_it = generation_of(0);
    generation.repetition_penalty = (double)penalty;
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    make_buds(&plain, TREES, tiny.model.shape->vocabulary);
    generate(&tiny, &buds, ROWS, SLOTS, &generation);
    generate(&tiny, &plain, ROWS, SLOTS, &free_of_it);
    visit_all(&tiny, &buds, expect_penalised, &penalty);
    int64_t changed = 0;
    for (int32_t b = 0; b < buds.trees[0].branch_count; b++)
        for (int32_t i = 0; i < CAPACITY; i++)
            changed += buds.trees[0].branches[b].tokens[i] != plain.trees[0].branches[b].tokens[i];
    assert_true(changed > 0);
    grove_free(&buds);
    grove_free(&plain);
    tiny_free(&tiny);
}

static void draws_differ_by_step_seed_repeat_and_session(void **state)
{
    (void)state;
    Tiny tiny;
    const int32_t trunk[] = {3, 1, 4, 1, 5};
    int32_t tokens[5][CAPACITY];
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    for (int way = 0; way < 5; way++) {
        Tree tree;
        Generation generation = generation_of(1.5);
        tree_make(&tree, way == 1, trunk, 5, 1);
        Branch *branch = tree_add_branch(&tree, 5, 0, CAPACITY);
        branch->repeat = way == 2;
        generation.step += way == 3;
        generation.seed += way == 4;
        generate(&tiny, &(Grove){&tree, 1}, ROWS, SLOTS, &generation);
        memcpy(tokens[way], branch->tokens, sizeof tokens[way]);
        for (int other = 0; other < way; other++)
            assert_memory_not_equal(tokens[way], tokens[other], sizeof tokens[way]);
        tree_free(&tree);
    }
    tiny_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_responses_are_those_of_a_full_forward_pass_a_token),
        cmocka_unit_test(drawn_tokens_have_the_frequencies_of_the_model),
        cmocka_unit_test(temperature_top_k_and_top_p_reach_the_draw),
        cmocka_unit_test(the_repetition_penalty_falls_once_on_every_distinct_token),
        cmocka_unit_test(draws_differ_by_step_seed_repeat_and_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
