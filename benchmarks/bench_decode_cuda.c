// bench_decode_cuda.c - decoding on a GPU: steps as graphs against the same steps call by call, and
// against the card's memory bandwidth.
//
//     bench_decode_cuda MODEL_DIRECTORY [TRUNK RESPONSE BRANCHES...]
//
// Random bf16 weights of the model's shape; five branches to a trunk of TRUNK tokens, forced
// responses of RESPONSE tokens; 1, 64 and 320 branches where none are named. Both ways take turns,
// and their responses must be the same bits. The ideal time of a step is that of reading the
// weights, and the cached keys and values, each trunk's once, at the rate of a large copy.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/engine.h"

enum { ROWS = 512, ROUNDS = 3, GROUP = 5, COPIES = 8, COPIED_BYTES = 64 << 20 };
enum { CALL_BY_CALL, GRAPHS, WAYS };

typedef struct {
    int32_t trunk, response;
    int64_t branches;
} Size;

typedef struct {
    Parameters parameters;
    Model model;
    Weights *weights;
} Decoding;

static Kernels ways[WAYS]; // the GPU's table without and with graphs

// Bytes a second that a copy reads and writes.
static double copy_rate(const Kernels *kernels)
{
    char *from = kernels->memory_make(COPIED_BYTES), *to = kernels->memory_make(COPIED_BYTES);
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double since = clock_now();
        for (int i = 0; i < COPIES; i++)
            kernels->copy(NULL, to, from, COPIED_BYTES);
        kernels->queue_wait(NULL);
        double rate = 2.0 * COPIES * COPIED_BYTES / (clock_now() - since);
        best = rate > best ? rate : best;
    }
    kernels->memory_free(from);
    kernels->memory_free(to);
    return best;
}

static int decoding_make(Decoding *decoding, const char *directory, int64_t positions)
{
    ModelShape shape;
    const Kernels *kernels = &ways[GRAPHS];
    if (shape_read(&shape, directory, NULL) != 0)
        return -1;
    parameters_make(&decoding->parameters, &shape, 0, 1);
    model_make(&decoding->model, &decoding->parameters, NULL, kernels, TYPE_BF16, positions);
    decoding->weights = weights_make(&decoding->parameters, kernels, TYPE_BF16, true);
    size_t bytes = (size_t)decoding->parameters.local * sizeof(float);
    float *values = allocate(bytes, 1), *device = kernels->memory_make(bytes);
    parameters_randomise(&decoding->parameters, 1, values);
    kernels->copy_in(NULL, device, values, bytes);
    weights_load(decoding->weights, elements_f32(device));
    kernels->queue_wait(NULL);
    kernels->memory_free(device);
    release(values);
    return 0;
}

static void decoding_free(Decoding *decoding)
{
    weights_free(decoding->weights);
    model_free(&decoding->model);
    parameters_free(&decoding->parameters);
}

static int64_t trunks_of(Size size)
{
    return (size.branches + GROUP - 1) / GROUP;
}

static Tree *trees_make(Size size, int64_t vocabulary)
{
    Tree *trees = allocate((size_t)trunks_of(size), sizeof *trees);
    int32_t *trunk = allocate((size_t)size.trunk, sizeof *trunk);
    for (int64_t t = 0; t < trunks_of(size); t++) {
        int64_t left = size.branches - t * GROUP;
        for (int32_t i = 0; i < size.trunk; i++)
            trunk[i] = (int32_t)((t * 7919 + i * 104729) % vocabulary);
        tree_make(&trees[t], t, trunk, size.trunk, left < GROUP ? (int32_t)left : GROUP);
        for (int32_t b = 0; b < GROUP && b < left; b++)
            tree_add_branch(&trees[t], size.trunk, 0, size.response)->repeat = b;
    }
    release(trunk);
    return trees;
}

static void trees_free(Tree *trees, Size size)
{
    for (int64_t t = 0; t < trunks_of(size); t++)
        tree_free(&trees[t]);
    release(trees);
}

static void expect_same(const Tree *a, const Tree *b, Size size)
{
    for (int64_t t = 0; t < trunks_of(size); t++)
        for (int32_t i = 0; i < a[t].branch_count; i++) {
            const Branch *x = &a[t].branches[i], *y = &b[t].branches[i];
            size_t bytes = (size_t)size.response * sizeof *x->tokens;
            CHECK(x->count == size.response && y->count == size.response &&
                      memcmp(x->tokens, y->tokens, bytes) == 0 &&
                      memcmp(x->logprobs, y->logprobs, bytes) == 0,
                  "the responses of graphs are others");
        }
}

// Seconds of a step, the best of ROUNDS, each way.
static void decode(Decoding *decoding, Size size, double *seconds)
{
    Engine engines[WAYS];
    Model models[WAYS];
    Tree *trees[WAYS];
    Generation generation = {.temperature = 1,
                             .top_p = 1,
                             .repetition_penalty = 1,
                             .max_response_tokens = size.response,
                             .forced_length = true,
                             .seed = 1};
    int64_t slots =
        trunks_of(size) * slots_aligned(size.trunk) + size.branches * slots_aligned(size.response);
    for (int way = 0; way < WAYS; way++) {
        models[way] = decoding->model;
        models[way].kernels = &ways[way];
        engine_make(&engines[way], &models[way], decoding->weights, ROWS, slots);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int way = 0; way < WAYS; way++) {
            EngineCounts *counts = &engines[way].counts;
            *counts = (EngineCounts){0};
            trees[way] = trees_make(size, decoding->model.shape->vocabulary);
            engine_generate(&engines[way], trees[way], trunks_of(size), &generation);
            double step = counts->decode_seconds / (double)counts->decode_steps;
            seconds[way] = round == 0 || step < seconds[way] ? step : seconds[way];
        }
        expect_same(trees[CALL_BY_CALL], trees[GRAPHS], size);
        for (int way = 0; way < WAYS; way++)
            trees_free(trees[way], size);
    }
    for (int way = 0; way < WAYS; way++)
        engine_free(&engines[way]);
}

static void measure(Decoding *decoding, Size size)
{
    const ModelShape *shape = decoding->model.shape;
    double seconds[WAYS], branches = (double)size.branches, rate = copy_rate(&ways[GRAPHS]);
    double key = (double)shape->layers * shape->kv_heads * shape->head_width;
    double keys = (double)trunks_of(size) * size.trunk + branches * size.response / 2.0;
    double products = (double)(shape_layer_products(shape) + shape->width * shape->vocabulary);
    double ideal = 2 * (products + 2 * key * keys) / rate;
    decode(decoding, size, seconds);
    printf("%4.0f branches: %8.3f ms a step, %9.1f tokens/s; call by call %8.3f ms: %.2f times as "
           "long; ideal %.3f ms at %.0f GB/s: %.2f of it\n",
           branches, 1e3 * seconds[GRAPHS], branches / seconds[GRAPHS], 1e3 * seconds[CALL_BY_CALL],
           seconds[CALL_BY_CALL] / seconds[GRAPHS], 1e3 * ideal, 1e-9 * rate,
           ideal / seconds[GRAPHS]);
    fflush(stdout);
}

static int tables_make(void)
{
    const Kernels *kernels = kernels_cuda_count() > 0 ? kernels_cuda(0) : NULL;
    if (!kernels)
        return -1;
    ways[GRAPHS] = ways[CALL_BY_CALL] = *kernels;
    ways[CALL_BY_CALL].graph_begin = NULL;
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1", "64", "320"};
    const char *const *branches = argc > 4 ? (const char *const *)argv + 4 : usual;
    int count = argc > 4 ? argc - 4 : 3;
    Size size = {.trunk = argc > 3 ? atoi(argv[2]) : 1024,
                 .response = argc > 3 ? atoi(argv[3]) : 64};
    Decoding decoding;
    if (argc < 2 || argc == 3 || size.trunk < 1 || size.response < 2) {
        fprintf(stderr, "usage: bench_decode_cuda MODEL_DIRECTORY [TRUNK RESPONSE BRANCHES...]\n");
        return EXIT_USAGE;
    }
    if (tables_make() != 0 || decoding_make(&decoding, argv[1], size.trunk + size.response) != 0) {
        fprintf(stderr, "error: %s\n", fail_message());
        return (int)fail_code();
    }
    printf("%s; trunks of %d tokens, responses of %d\n", kernels_cuda_gpu()->name, size.trunk,
           size.response);
    for (int i = 0; i < count; i++) {
        size.branches = atoll(branches[i]);
        CHECK(size.branches > 0, "'%s' branches", branches[i]);
        measure(&decoding, size);
    }
    decoding_free(&decoding);
    return EXIT_DONE;
}
