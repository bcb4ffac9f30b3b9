// test_engine.c - what the engine samples: greedy and drawn tokens, ends, and that the caches, the
// rows of a pass and the company of other trees do not show.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/model/tiny.h"

enum { TREES = 3, CAPACITY = 8, ROWS = 64, SLOTS = 8192 };

static Generation generation_of(double temperature)
{
    return (Generation){.temperature = temperature,
                        .top_p = 1,
                        .repetition_penalty = 1,
                        .max_response_tokens = CAPACITY,
                        .seed = 42,
                        .purpose = PURPOSE_POLICY,
                        .step = 3};
}

static void generate(Tiny *tiny, Grove *grove, int64_t rows, int64_t slots,
                     const Generation *generation)
{
    Engine engine;
    engine_make(&engine, &tiny->model, tiny->weights, rows, slots);
    engine_generate(&engine, grove->trees, grove->count, generation);
    engine_free(&engine);
}

static void make_buds(Grove *buds, int64_t trees, int64_t vocabulary)
{
    Grove grove;
    grove_make(&grove, trees, vocabulary, 3);
    grove_sprout(buds, &grove, CAPACITY);
    grove_free(&grove);
}

static void assert_same_branch(const Branch *a, const Branch *b)
{
    size_t count = (size_t)b->count;
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->finished, b->finished);
    assert_memory_equal(a->tokens + a->forced, b->tokens + b->forced, count * sizeof(int32_t));
    assert_memory_equal(a->logprobs, b->logprobs, count * sizeof(float));
    assert_memory_equal(a->scored, b->scored, count);
}

static void assert_same_responses(const Grove *a, const Grove *b)
{
    assert_int_equal(a->count, b->count);
    for (int64_t t = 0; t < a->count; t++)
        for (int32_t i = 0; i < a->trees[t].branch_count; i++)
            assert_same_branch(&a->trees[t].branches[i], &b->trees[t].branches[i]);
}

// The logits behind a branch's context and its first `seen` response tokens, by a forward pass over
// the whole sequence. To be released.
static float *next_logits(Tiny *tiny, const Tree *tree, const Branch *branch, int32_t seen)
{
    enum { MOST = 256 };
    int32_t tokens[MOST], length = branch->attach + branch->forced + seen;
    Batch batch;
    Workspace workspace;
    int64_t vocabulary = tiny->model.shape->vocabulary;
    memcpy(tokens, tree->trunk, (size_t)branch->attach * sizeof *tokens);
    memcpy(tokens + branch->attach, branch->tokens,
           (size_t)(branch->forced + seen) * sizeof *tokens);
    batch_make(&batch, MOST, MOST);
    workspace_make(&workspace, &tiny->model, WORKSPACE_SCORE, MOST, MOST);
    batch_add_rows(&batch, tokens, length, 0, (Span){0});
    model_forward(&tiny->model, tiny->weights, &batch, &workspace, NULL);
    int32_t last = length - 1;
    Tensor z = model_logits(&tiny->model, tiny->weights, &workspace, &last, 1);
    float *logits = allocate((size_t)vocabulary, sizeof *logits);
    memcpy(logits, z.data, (size_t)vocabulary * sizeof *logits);
    workspace_free(&workspace, &tiny->model);
    batch_free(&batch);
    return logits;
}

static int32_t most_probable(const float *logits, int64_t count)
{
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

// How many tokens are more probable than `token`.
static int64_t place_of(const float *logits, int64_t count, int32_t token)
{
    int64_t place = 0;
    for (int32_t i = 0; i < count; i++)
        place += logits[i] > logits[token] || (logits[i] == logits[token] && i < token);
    return place;
}

static double log_probability(const float *logits, int64_t count, int32_t token, double temperature)
{
    double sum = 0, largest = (double)logits[most_probable(logits, count)] / temperature;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)logits[i] / temperature - largest);
    return (double)logits[token] / temperature - largest - log(sum);
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

// The smallest caches: one branch with its trunk.
static int64_t least_slots(const Grove *grove)
{
    int64_t least = 0;
    for (int64_t t = 0; t < grove->count; t++) {
        for (int32_t b = 0; b < grove->trees[t].branch_count; b++) {
            const Branch *branch = &grove->trees[t].branches[b];
            int64_t slots =
                slots_aligned(branch->attach) + slots_aligned(branch->forced + CAPACITY);
            least = slots > least ? slots : least;
        }
    }
    return least;
}

static void caches_and_rows_of_a_pass_do_not_show_in_the_responses(void **state)
{
    (void)state;
    Tiny tiny;
    Grove expected;
    Generation generation = generation_of(0.9);
    generation.repetition_penalty = 1.2;
    tiny_make(&tiny, TINY_QWEN3, kernels_cpu(), TYPE_BF16, 5);
    make_buds(&expected, TREES, tiny.model.shape->vocabulary);
    int64_t least = least_slots(&expected);
    generate(&tiny, &expected, 1024, SLOTS, &generation);
    const int64_t slots[] = {SLOTS, least, least + 32, 3 * least}, rows[] = {1, 7, 160};
    for (size_t s = 0; s < sizeof slots / sizeof *slots; s++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            Grove buds;
            make_buds(&buds, TREES, tiny.model.shape->vocabulary);
            generate(&tiny, &buds, rows[r], slots[s], &generation);
            assert_same_responses(&buds, &expected);
            grove_free(&buds);
        }
    }
    grove_free(&expected);
    tiny_free(&tiny);
}

static void other_trees_do_not_show_in_the_responses(void **state)
{
    (void)state;
    Tiny tiny;
    Grove all, buds;
    Generation generation = generation_of(1);
    tiny_make(&tiny, TINY_SMOLLM, kernels_cpu(), TYPE_F32, 5);
    make_buds(&all, TREES, tiny.model.shape->vocabulary);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    generate(&tiny, &all, ROWS, SLOTS, &generation);
    for (int64_t t = TREES - 1; t >= 0; t--) {
        Grove one = {.trees = &buds.trees[t], .count = 1};
        generate(&tiny, &one, ROWS, SLOTS, &generation);
    }
    assert_same_responses(&buds, &all);
    grove_free(&all);
    grove_free(&buds);
    tiny_free(&tiny);
}

static void more_branches_than_a_chunk_of_logits_decode_together(void **state)
{
    (void)state;
    enum { WANTED = 2 * SCORED_CHUNK + 5 };
    Tiny tiny;
    const int32_t trunk[] = {3, 1, 4, 1, 5};
    Tree together, alone;
    Generation generation = generation_of(1);
    generation.max_response_tokens = 2;
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    tree_make(&together, 0, trunk, 5, WANTED);
    for (int32_t b = 0; b < WANTED; b++)
        tree_add_branch(&together, 5, 0, 2)->repeat = b;
    generate(&tiny, &(Grove){&together, 1}, 1024, SLOTS, &generation);
    for (int32_t b = 0; b < WANTED; b += 50) {
        tree_make(&alone, 0, trunk, 5, 1);
        tree_add_branch(&alone, 5, 0, 2)->repeat = b;
        generate(&tiny, &(Grove){&alone, 1}, 1, SLOTS, &generation);
        assert_same_branch(&together.branches[b], &alone.branches[0]);
        tree_free(&alone);
    }
    tree_free(&together);
    tiny_free(&tiny);
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

static bool is_even(int32_t token)
{
    return token % 2 == 0;
}

static void a_response_ends_with_its_end_token_or_at_the_limit(void **state)
{
    (void)state;
    int32_t ends[128];
    for (int32_t i = 0; i < 106; i++)
        ends[i] = 2 * i;
    Tiny tiny;
    Grove buds, longer;
    Generation generation = generation_of(1.5);
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    make_buds(&longer, TREES, tiny.model.shape->vocabulary);
    generation.end_tokens = ends;
    generation.end_token_count = 106;
    generation.max_response_tokens = 3;
    generate(&tiny, &buds, ROWS, SLOTS, &generation);
    generation.forced_length = true;
    generate(&tiny, &longer, ROWS, SLOTS, &generation);
    int64_t finished = 0, cut = 0;
    for (int64_t t = 0; t < buds.count; t++) {
        for (int32_t b = 0; b < buds.trees[t].branch_count; b++) {
            const Branch *branch = &buds.trees[t].branches[b], *all = &longer.trees[t].branches[b];
            const int32_t *tokens = branch->tokens + branch->forced;
            for (int32_t i = 0; i + 1 < branch->count; i++)
                assert_false(is_even(tokens[i]));
            assert_int_equal(branch->finished, is_even(tokens[branch->count - 1]));
            assert_true(branch->finished ? branch->count <= 3 : branch->count == 3);
            assert_int_equal(all->count, 3);
            assert_int_equal(all->finished, 0);
            // Until its end the response is the same.
            assert_memory_equal(tokens, all->tokens + all->forced,
                                (size_t)branch->count * sizeof *tokens);
            finished += branch->finished;
            cut += !branch->finished;
        }
    }
    assert_true(finished > 5 && cut > 1);
    grove_free(&buds);
    grove_free(&longer);
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

static void prefill_and_decode_rows_are_counted(void **state)
{
    (void)state;
    Tiny tiny;
    Grove buds;
    Engine engine;
    Generation generation = generation_of(1);
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    engine_make(&engine, &tiny.model, tiny.weights, ROWS, SLOTS);
    engine_generate(&engine, buds.trees, buds.count, &generation);
    int64_t rows = 0;
    for (int64_t t = 0; t < buds.count; t++)
        rows += tree_rows(&buds.trees[t]);
    assert_int_equal(engine.counts.prefill_rows + engine.counts.decode_rows, rows);
    assert_int_equal(engine.counts.decode_steps, CAPACITY - 1);
    engine_free(&engine);
    grove_free(&buds);
    tiny_free(&tiny);
}

static void a_tree_that_fits_into_the_caches_is_not_cut(void **state)
{
    (void)state;
    Tiny tiny;
    Grove buds;
    Engine engine;
    Generation generation = generation_of(1);
    tiny_make(&tiny, TINY_LLAMA, kernels_cpu(), TYPE_F32, 5);
    make_buds(&buds, TREES, tiny.model.shape->vocabulary);
    int64_t rows = 0, slots = 0;
    for (int64_t t = 0; t < buds.count; t++) {
        const Tree *tree = &buds.trees[t];
        int64_t needed = slots_aligned(tree->trunk_length);
        for (int32_t b = 0; b < tree->branch_count; b++)
            needed += slots_aligned(tree->branches[b].forced + CAPACITY);
        slots = needed > slots ? needed : slots;
    }
    engine_make(&engine, &tiny.model, tiny.weights, ROWS, slots + 64);
    engine_generate(&engine, buds.trees, buds.count, &generation);
    for (int64_t t = 0; t < buds.count; t++)
        rows += tree_rows(&buds.trees[t]);
    // No trunk was computed twice, though the trees took turns.
    assert_int_equal(engine.counts.prefill_rows + engine.counts.decode_rows, rows);
    assert_true(engine.counts.decode_steps > CAPACITY - 1);
    engine_free(&engine);
    grove_free(&buds);
    tiny_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_responses_are_those_of_a_full_forward_pass_a_token),
        cmocka_unit_test(caches_and_rows_of_a_pass_do_not_show_in_the_responses),
        cmocka_unit_test(other_trees_do_not_show_in_the_responses),
        cmocka_unit_test(more_branches_than_a_chunk_of_logits_decode_together),
        cmocka_unit_test(drawn_tokens_have_the_frequencies_of_the_model),
        cmocka_unit_test(temperature_top_k_and_top_p_reach_the_draw),
        cmocka_unit_test(the_repetition_penalty_falls_once_on_every_distinct_token),
        cmocka_unit_test(a_response_ends_with_its_end_token_or_at_the_limit),
        cmocka_unit_test(draws_differ_by_step_seed_repeat_and_session),
        cmocka_unit_test(a_tree_that_fits_into_the_caches_is_not_cut),
        cmocka_unit_test(prefill_and_decode_rows_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
