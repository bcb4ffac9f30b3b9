// test_decode.c - decoding on a GPU: steps that are run as graphs give the bits of the same steps
// call by call, whatever the lengths, and the host then asks for next to nothing.
//
// Without a GPU, skipped. tests/cuda_on_cpu runs it on an emulated one.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "tests/engine/sampling.h"

enum { MANY_STEPS = 84, MANY_BUCKETS = 40, MOST_GRAPHS = 32, LONG = 270 };

static const Kernels *gpu;
static Kernels with_graphs, call_by_call; // the GPU's table, counting; without graphs

// What decoding asked the table for.
static struct {
    int64_t steps, kept, freed, most, runs, refused, products;
    bool scattered; // steps seem to differ more than they do
} asked;

static int64_t plan_counted(Queue *queue, int64_t rows, int32_t query_heads, Cache cache,
                            const Span *spans, int64_t span_count)
{
    int64_t launches = gpu->attention_plan(queue, rows, query_heads, cache, spans, span_count);
    int64_t other = asked.scattered ? asked.steps / 2 % MANY_BUCKETS * 1000 : 0;
    asked.steps++;
    return launches + other;
}

static Graph *end_counted(Queue *queue)
{
    asked.kept++;
    if (asked.kept - asked.freed > asked.most)
        asked.most = asked.kept - asked.freed;
    return gpu->graph_end(queue);
}

static bool run_counted(Graph *graph)
{
    bool ran = gpu->graph_run(graph);
    asked.runs += ran;
    asked.refused += !ran;
    return ran;
}

static void free_counted(Graph *graph)
{
    asked.freed++;
    gpu->graph_free(graph);
}

static void product_counted(Queue *queue, Tensor out, Tensor x, Matrix w)
{
    asked.products++;
    gpu->product_nt(queue, out, x, w);
}

static void make_tables(void)
{
    with_graphs = *gpu;
    with_graphs.attention_plan = plan_counted;
    with_graphs.graph_end = end_counted;
    with_graphs.graph_run = run_counted;
    with_graphs.graph_free = free_counted;
    with_graphs.product_nt = product_counted;
    call_by_call = with_graphs;
    call_by_call.graph_begin = NULL;
}

// An eighth of the tokens end a response.
static Generation ending_generation(double temperature, int32_t *ends, int64_t vocabulary)
{
    Generation generation = generation_of(temperature);
    for (int32_t i = 0; i < vocabulary / 8; i++)
        ends[i] = 8 * i;
    generation.end_tokens = ends;
    generation.end_token_count = vocabulary / 8;
    return generation;
}

// An engine of a small model.
typedef struct {
    Tiny tiny;
    TensorSlice slice; // the whole, as a program with one rank to an engine has it
    Model model;
    Engine engine;
} Sampler;

static void open_sampler(Sampler *sampler, const Kernels *kernels, TinyFamily family,
                         ElementType type, int64_t positions, int64_t slots)
{
    Tiny *tiny = &sampler->tiny;
    tiny_make(tiny, family, kernels, type, 5);
    model_free(&tiny->model);
    model_make(&tiny->model, &tiny->parameters, NULL, kernels, type, positions);
    sampler->slice = tensor_slice_of(&tiny->parameters.shape, &tiny->group, &collective_mpi);
    sampler->model = model_cut(&tiny->model, &sampler->slice);
    engine_make(&sampler->engine, &sampler->model, tiny->weights, ROWS, slots);
    memset(&asked, 0, sizeof asked);
}

static void close_sampler(Sampler *sampler)
{
    engine_free(&sampler->engine);
    tiny_free(&sampler->tiny);
}

static void sample(Sampler *sampler, Grove *grove, const Generation *generation)
{
    engine_generate(&sampler->engine, grove->trees, grove->count, generation);
}

// ---- tests --------------------------------------------------------------------------------------

static void compare(TinyFamily family, ElementType type, double temperature)
{
    Grove buds[2];
    int32_t ends[64];
    int64_t vocabulary = tiny_shape(family).vocabulary, products[2];
    Generation generation = ending_generation(temperature, ends, vocabulary);
    generation.top_p = 0.9;
    for (int graphs = 0; graphs < 2; graphs++) {
        Sampler sampler;
        make_buds(&buds[graphs], 2, vocabulary);
        open_sampler(&sampler, graphs ? &with_graphs : &call_by_call, family, type, TINY_POSITIONS,
                     2 * least_slots(&buds[graphs]));
        sample(&sampler, &buds[graphs], &generation);
        products[graphs] = asked.products;
        assert_true(graphs ? asked.runs > asked.kept && asked.kept > 2
                           : asked.runs + asked.kept == 0);
        close_sampler(&sampler);
        assert_int_equal(asked.freed, asked.kept);
    }
    assert_same_responses(&buds[0], &buds[1]);
    assert_true(products[1] < products[0]);
    grove_free(&buds[0]);
    grove_free(&buds[1]);
}

static void graphs_do_not_show_in_the_responses(void **state)
{
    (void)state;
    compare(TINY_SMOLLM, TYPE_BF16, 0.9);
    compare(TINY_QWEN3, TYPE_F32, 0);
}

// Branches behind a trunk, the first with many forced tokens of its own.
static Grove long_grove(int64_t vocabulary, int32_t trunk_length, int32_t branches, int32_t forced,
                        int32_t room)
{
    int32_t tokens[LONG + MANY_STEPS];
    Grove grove = {.trees = allocate(1, sizeof(Tree)), .count = 1};
    for (int32_t i = 0; i < trunk_length; i++)
        tokens[i] = (int32_t)((i * 31 + 7) % vocabulary);
    tree_make(&grove.trees[0], 1, tokens, trunk_length, branches);
    for (int32_t b = 0; b < branches; b++) {
        int32_t own = b == 0 ? forced : 2;
        Branch *branch = tree_add_branch(&grove.trees[0], trunk_length - b % 2, own, room);
        branch->repeat = b;
        for (int32_t i = 0; i < own; i++)
            branch->tokens[i] = (int32_t)((i * 17 + b) % vocabulary);
    }
    return grove;
}

// The trunk is so long that its keys are cut into parts; the branches' own go on from one part to
// two.
static void a_graph_serves_steps_of_other_lengths(void **state)
{
    (void)state;
    Grove grove[2];
    int64_t vocabulary = tiny_shape(TINY_LLAMA).vocabulary;
    Generation generation = generation_of(1);
    generation.max_response_tokens = 12;
    for (int graphs = 0; graphs < 2; graphs++) {
        Sampler sampler;
        grove[graphs] = long_grove(vocabulary, LONG, 3, 250, 12);
        open_sampler(&sampler, graphs ? &with_graphs : &call_by_call, TINY_LLAMA, TYPE_BF16, 1024,
                     1024);
        sample(&sampler, &grove[graphs], &generation);
        assert_int_equal(asked.steps, graphs ? 11 : 0);
        assert_true(!graphs || (asked.kept == 2 && asked.runs == asked.steps - 2));
        close_sampler(&sampler);
    }
    assert_same_responses(&grove[0], &grove[1]);
    grove_free(&grove[0]);
    grove_free(&grove[1]);
}

// Working memory moves where more branches have more keys; then tokens are drawn in another way.
static void graphs_are_kept_anew_where_they_no_longer_fit(void **state)
{
    (void)state;
    enum { TURNS = 4 };
    static const double temperatures[TURNS] = {1, 1, 1, 0};
    static const int32_t trunks[TURNS] = {20, LONG, 20, 20}, branches[TURNS] = {2, 16, 2, 2};
    Grove grove[2][TURNS];
    int64_t vocabulary = tiny_shape(TINY_LLAMA).vocabulary;
    for (int graphs = 1; graphs >= 0; graphs--) { // memory has moved once and for all then
        Sampler sampler;
        open_sampler(&sampler, graphs ? &with_graphs : &call_by_call, TINY_LLAMA, TYPE_F32, 1024,
                     2048);
        for (int turn = 0; turn < TURNS; turn++) {
            Generation generation = generation_of(temperatures[turn]);
            grove[graphs][turn] = long_grove(vocabulary, trunks[turn], branches[turn], 3, CAPACITY);
            sample(&sampler, &grove[graphs][turn], &generation);
        }
        assert_true(!graphs || asked.refused > 0);
        close_sampler(&sampler);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        assert_same_responses(&grove[0][turn], &grove[1][turn]);
        grove_free(&grove[0][turn]);
        grove_free(&grove[1][turn]);
    }
}

static void so_many_graphs_are_kept_and_no_more(void **state)
{
    (void)state;
    Grove grove[2];
    int64_t vocabulary = tiny_shape(TINY_SMOLLM).vocabulary;
    Generation generation = generation_of(1);
    generation.max_response_tokens = MANY_STEPS;
    for (int graphs = 0; graphs < 2; graphs++) {
        Sampler sampler;
        grove[graphs] = long_grove(vocabulary, 10, 1, 3, MANY_STEPS);
        open_sampler(&sampler, graphs ? &with_graphs : &call_by_call, TINY_SMOLLM, TYPE_BF16,
                     TINY_POSITIONS, 1024);
        asked.scattered = true;
        sample(&sampler, &grove[graphs], &generation);
        assert_true(asked.kept == 0 || asked.kept > MANY_BUCKETS);
        assert_int_equal(asked.most, graphs ? MOST_GRAPHS : 0);
        close_sampler(&sampler);
        assert_int_equal(asked.kept, asked.freed);
    }
    assert_same_responses(&grove[0], &grove[1]);
    grove_free(&grove[0]);
    grove_free(&grove[1]);
}

// Steps that a penalty makes unlike are decoded call by call, and by the rules.
static void a_penalty_is_decoded_without_graphs(void **state)
{
    (void)state;
    Sampler sampler;
    Grove buds;
    Generation generation = generation_of(0);
    generation.repetition_penalty = 1.5;
    make_buds(&buds, 1, tiny_shape(TINY_SMOLLM).vocabulary);
    open_sampler(&sampler, &with_graphs, TINY_SMOLLM, TYPE_F32, TINY_POSITIONS, SLOTS);
    sample(&sampler, &buds, &generation);
    assert_int_equal(asked.steps + asked.kept + asked.runs, 0);
    for (int32_t b = 0; b < buds.trees[0].branch_count; b++)
        assert_int_equal(buds.trees[0].branches[b].count, CAPACITY);
    close_sampler(&sampler);
    grove_free(&buds);
}

int main(void)
{
    gpu = kernels_cuda_count() > 0 ? kernels_cuda(0) : NULL;
    if (!gpu) {
        printf("skipped: %s\n", fail_message());
        return TEST_SKIPPED;
    }
    make_tables();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_do_not_show_in_the_responses),
        cmocka_unit_test(a_graph_serves_steps_of_other_lengths),
        cmocka_unit_test(graphs_are_kept_anew_where_they_no_longer_fit),
        cmocka_unit_test(so_many_graphs_are_kept_and_no_more),
        cmocka_unit_test(a_penalty_is_decoded_without_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
