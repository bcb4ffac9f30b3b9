#include "tests/testing.h"

#include "tests/engine/sampling.h"

#include <math.h>
#include <string.h>

Generation generation_of(double temperature)
{
    return (Generation){.temperature = temperature,
                        .top_p = 1,
                        .repetition_penalty = 1,
                        .max_response_tokens = CAPACITY,
                        .seed = 42,
                        .purpose = PURPOSE_POLICY,
                        .step = 3};
}

void generate(Tiny *tiny, Grove *grove, int64_t rows, int64_t slots, const Generation *generation)
{
    Engine engine;
    engine_make(&engine, &tiny->model, tiny->weights, rows, slots);
    engine_generate(&engine, grove->trees, grove->count, generation);
    engine_free(&engine);
}

void make_buds(Grove *buds, int64_t trees, int64_t vocabulary)
{
    Grove grove;
    grove_make(&grove, trees, vocabulary, 3);
    grove_sprout(buds, &grove, CAPACITY);
    grove_free(&grove);
}

float *next_logits(Tiny *tiny, const Tree *tree, const Branch *branch, int32_t seen)
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

int32_t most_probable(const float *logits, int64_t count)
{
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

double log_probability(const float *logits, int64_t count, int32_t token, double temperature)
{
    double sum = 0, largest = (double)logits[most_probable(logits, count)] / temperature;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)logits[i] / temperature - largest);
    return (double)logits[token] / temperature - largest - log(sum);
}

void assert_same_branch(const Branch *a, const Branch *b)
{
    size_t count = (size_t)b->count;
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->finished, b->finished);
    assert_memory_equal(a->tokens + a->forced, b->tokens + b->forced, count * sizeof(int32_t));
    assert_memory_equal(a->logprobs, b->logprobs, count * sizeof(float));
    assert_memory_equal(a->scored, b->scored, count);
}

void assert_same_responses(const Grove *a, const Grove *b)
{
    assert_int_equal(a->count, b->count);
    for (int64_t t = 0; t < a->count; t++)
        for (int32_t i = 0; i < a->trees[t].branch_count; i++)
            assert_same_branch(&a->trees[t].branches[i], &b->trees[t].branches[i]);
}

int64_t least_slots(const Grove *grove)
{
    int64_t least = 0;
    for (int64_t t = 0; t < grove->count; t++) {
        Part all = {.tree = &grove->trees[t], .count = grove->trees[t].branch_count};
        for (int32_t b = 0; b < grove->trees[t].branch_count; b++) {
            const Branch *branch = &grove->trees[t].branches[b];
            int64_t slots =
                slots_aligned(part_trunk(&all)) + slots_aligned(branch->forced + CAPACITY);
            least = slots > least ? slots : least;
        }
    }
    return least;
}
