// bench_decode.c - decoding against the machine's memory bandwidth and matrix rate.
//
//     OMP_NUM_THREADS=2 bench_decode MODEL_DIRECTORY [f32|bf16]
//
// One branch on one trunk, and 80 branches on 16 trunks; trunks of TRUNK tokens, forced responses
// of RESPONSE tokens, random weights of the model's shape. The ideal time of a pass is the larger
// of bytes / bandwidth (the layers' and the output's weights and the cached keys and values, each
// trunk's once) and operations / matrix rate (the better of our product and oneDNN's at 2,048 x
// 1,536 x 576), both probed in this process before and after each run.

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/probe.h"
#include "benchmarks/product.h"
#include "engine/engine.h"

enum { TRUNK = 256, RESPONSE = 48, ROWS = 512, ROUNDS = 3 };

typedef struct {
    Parameters parameters;
    Model model;
    Weights *weights;
} Decoding;

static int decoding_make(Decoding *decoding, const char *directory, ElementType type)
{
    ModelShape shape;
    const Kernels *kernels = kernels_cpu();
    if (shape_read(&shape, directory, NULL) != 0)
        return -1;
    parameters_make(&decoding->parameters, &shape, 0, 1);
    model_make(&decoding->model, &decoding->parameters, NULL, kernels, type, TRUNK + RESPONSE);
    decoding->weights = weights_make(&decoding->parameters, kernels, type, true);
    float *values = allocate((size_t)decoding->parameters.local, sizeof *values);
    parameters_randomise(&decoding->parameters, 1, values);
    weights_load(decoding->weights, elements_f32(values));
    release(values);
    return 0;
}

static void decoding_free(Decoding *decoding)
{
    weights_free(decoding->weights);
    model_free(&decoding->model);
    parameters_free(&decoding->parameters);
}

static Tree make_tree(const ModelShape *shape, int64_t session, int branches)
{
    Tree tree;
    int32_t trunk[TRUNK];
    for (int32_t i = 0; i < TRUNK; i++)
        trunk[i] = (int32_t)((session * 7919 + i * 104729) % shape->vocabulary);
    tree_make(&tree, session, trunk, TRUNK, branches);
    for (int b = 0; b < branches; b++)
        tree_add_branch(&tree, TRUNK, 0, RESPONSE)->repeat = b;
    return tree;
}

// Seconds of decoding all branches, the best of ROUNDS.
static double decode(Decoding *decoding, int trunks, int branches, double *passes)
{
    enum { MOST_TRUNKS = 16 };
    double best = 0;
    Engine engine;
    Generation generation = {.temperature = 1,
                             .top_p = 1,
                             .repetition_penalty = 1,
                             .max_response_tokens = RESPONSE,
                             .forced_length = true,
                             .seed = 1};
    engine_make(&engine, &decoding->model, decoding->weights, ROWS,
                (int64_t)trunks * (slots_aligned(TRUNK) + branches * slots_aligned(RESPONSE)));
    for (int round = 0; round < ROUNDS; round++) {
        Tree trees[MOST_TRUNKS];
        for (int t = 0; t < trunks; t++)
            trees[t] = make_tree(decoding->model.shape, t, branches);
        engine.counts = (EngineCounts){0};
        engine_generate(&engine, trees, trunks, &generation);
        double seconds = engine.counts.decode_seconds;
        best = round == 0 || seconds < best ? seconds : best;
        *passes = (double)engine.counts.decode_steps;
        for (int t = 0; t < trunks; t++)
            tree_free(&trees[t]);
    }
    engine_free(&engine);
    return best;
}

typedef struct {
    double bandwidth, rate; // GB/s, GFLOP/s
} Machine;

static void probe(Machine *machine)
{
    MatrixRate matrix = matrix_rate();
    double bandwidth = probe_read(), rate = matrix.ours > matrix.peer ? matrix.ours : matrix.peer;
    machine->bandwidth = bandwidth > machine->bandwidth ? bandwidth : machine->bandwidth;
    machine->rate = rate > machine->rate ? rate : machine->rate;
}

static void measure(Decoding *decoding, ElementType type, Machine *machine, int trunks,
                    int branches)
{
    const ModelShape *shape = decoding->model.shape;
    double passes = 0, element = type == TYPE_BF16 ? 2e-9 : 4e-9;
    probe(machine);
    double seconds = decode(decoding, trunks, branches, &passes);
    probe(machine);
    double rows = trunks * branches, seen = TRUNK + RESPONSE / 2.0; // keys a row sees, on average
    double key = (double)shape->layers * shape->kv_heads * shape->head_width;
    double query = (double)shape->layers * shape->heads * shape->head_width;
    double products = (double)(shape_layer_products(shape) + shape->width * shape->vocabulary);
    double gigabytes = element * (products + 2 * key * (trunks * TRUNK + rows * RESPONSE / 2.0));
    double gflop = 2e-9 * rows * (products + 2 * query * seen);
    double bytes_time = gigabytes / machine->bandwidth, work_time = gflop / machine->rate;
    double ideal = bytes_time > work_time ? bytes_time : work_time, pass = seconds / passes;
    printf("%4s %3.0f branches on %2d trunks: %7.2f ms a pass, %6.1f tokens/s; ideal %7.2f ms "
           "(bytes %.2f, operations %.2f): %.2f of the ideal\n",
           type == TYPE_BF16 ? "bf16" : "f32", rows, trunks, 1e3 * pass, rows / pass, 1e3 * ideal,
           1e3 * bytes_time, 1e3 * work_time, ideal / pass);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    Machine machine = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: bench_decode MODEL_DIRECTORY [f32|bf16]\n");
        return EXIT_USAGE;
    }
    for (int i = 0; i < 2; i++) {
        ElementType type = i ? TYPE_BF16 : TYPE_F32;
        Decoding decoding = {0};
        if (argc > 2 && strcmp(argv[2], i ? "bf16" : "f32") != 0)
            continue;
        if (decoding_make(&decoding, argv[1], type) != 0) {
            fprintf(stderr, "error: %s\n", fail_message());
            return (int)fail_code();
        }
        measure(&decoding, type, &machine, 1, 1);
        measure(&decoding, type, &machine, 16, 5);
        decoding_free(&decoding);
    }
    printf("%s, %d threads; memory read %.1f GB/s, matrix rate %.1f GFLOP/s\n", kernels_cpu()->name,
           omp_get_max_threads(), machine.bandwidth, machine.rate);
    return EXIT_DONE;
}
