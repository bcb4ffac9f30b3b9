// bench_products.c - products of layers against oneDNN's, in turn, in one process.
//
//     OMP_NUM_THREADS=2 bench_products [nt|nn|tn] [f32|bf16]
//
// Weights are rotated through copies larger than the last-level cache, as a model's layers are. For
// product_nt oneDNN is given weights reordered to the form it asks for (matmul and inner product,
// the faster of the two counts), outside the time, as ours are packed. Each figure is the median of
// ROUNDS alternating runs.

#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "benchmarks/probe.h"
#include "kernels/kernels.h"

enum { ROUNDS = 9, MOST_COPIES = 64 };
static const double ROUND_SECONDS = 0.02;
static const size_t ROTATED_BYTES = 96 << 20;

#define DNNL(call) CHECK((call) == dnnl_success, "oneDNN refuses")

typedef enum { NT, NN, TN, INNER } Kind; // INNER: product_nt as oneDNN's inner product

// A product of a [m, k] and b [k, n], in the kind's own shapes, with `copies` of b.
typedef struct {
    Kind kind;
    ElementType type;
    int64_t m, n, k; // of the layer: W [n, k], m rows
    int copies;
    float *x, *y;          // [m, k], [m, n]
    float *c;              // written
    float *w[MOST_COPIES]; // [n, k]
    Matrix packed[MOST_COPIES];
} Layer;

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_memory_t source, target, weights[MOST_COPIES];
} Peer;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static float *random_floats(int64_t count)
{
    float *x = allocate((size_t)count, sizeof *x);
    uint32_t state = 12345;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)((double)state / 4294967296.0 - 0.5);
    }
    return x;
}

static Layer layer_make(Kind kind, ElementType type, int64_t m, int64_t n, int64_t k)
{
    const Kernels *kernels = kernels_cpu();
    Layer layer = {.kind = kind, .type = type, .m = m, .n = n, .k = k};
    size_t bytes = (size_t)(n * k) * sizeof(float);
    layer.copies = kind == TN ? 1 : (int)(ROTATED_BYTES / bytes) + 1;
    if (layer.copies > MOST_COPIES)
        layer.copies = MOST_COPIES;
    layer.x = random_floats(m * k);
    layer.y = random_floats(m * n);
    layer.c = random_floats(kind == NT ? m * n : kind == NN ? m * k : n * k);
    for (int i = 0; i < layer.copies && kind != TN; i++) {
        layer.w[i] = random_floats(n * k);
        layer.packed[i] = (Matrix){.rows = n, .width = k, .type = type};
        layer.packed[i].packed = kernels->memory_make(kernels->matrix_bytes(n, k, type));
        kernels->matrix_pack(NULL, layer.packed[i], 0, layer.w[i], n);
    }
    return layer;
}

static void layer_free(Layer *layer)
{
    for (int i = 0; i < layer->copies; i++) {
        release(layer->w[i]);
        kernels_cpu()->memory_free(layer->packed[i].packed);
    }
    release(layer->x);
    release(layer->y);
    release(layer->c);
}

static void layer_run(const Layer *layer, int turn)
{
    const Kernels *kernels = kernels_cpu();
    Tensor x = tensor_of(layer->x, layer->m, layer->k), y = tensor_of(layer->y, layer->m, layer->n);
    Matrix w = layer->packed[turn % layer->copies];
    if (layer->kind == NT)
        kernels->product_nt(NULL, tensor_of(layer->c, layer->m, layer->n), x, w);
    else if (layer->kind == NN)
        kernels->product_nn(NULL, tensor_of(layer->c, layer->m, layer->k), y, w, false);
    else
        kernels->product_tn(NULL, tensor_of(layer->c, layer->n, layer->k), y, x);
}

// ---- the peer -----------------------------------------------------------------------------------

static dnnl_memory_desc_t matrix_desc(int64_t rows, int64_t width, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    DNNL(dnnl_memory_desc_init_by_tag(&desc, 2, (dnnl_dims_t){rows, width}, dnnl_f32, tag));
    return desc;
}

static dnnl_memory_t memory_of(const dnnl_memory_desc_t *desc, void *data)
{
    dnnl_memory_t memory;
    DNNL(dnnl_memory_create(&memory, desc, engine, data));
    return memory;
}

// `from` in the form `desc`, in memory of oneDNN's own.
static dnnl_memory_t reordered(dnnl_memory_t from, const dnnl_memory_desc_t *desc)
{
    dnnl_memory_t to = memory_of(desc, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;
    const dnnl_memory_desc_t *source;
    DNNL(dnnl_memory_get_memory_desc(from, &source));
    DNNL(dnnl_reorder_primitive_desc_create(&pd, source, engine, desc, engine, NULL));
    DNNL(dnnl_primitive_create(&reorder, pd));
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    DNNL(dnnl_primitive_execute(reorder, stream, 2, arguments));
    DNNL(dnnl_stream_wait(stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    return to;
}

static dnnl_primitive_desc_t peer_desc(Kind kind, const dnnl_memory_desc_t *source,
                                       const dnnl_memory_desc_t *weights,
                                       const dnnl_memory_desc_t *target)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t sum;
    DNNL(dnnl_primitive_attr_create(&attributes));
    DNNL(dnnl_post_ops_create(&sum));
    if (kind == TN)
        DNNL(dnnl_post_ops_append_sum(sum, 1.0f));
    DNNL(dnnl_primitive_attr_set_post_ops(attributes, sum));
    if (kind == INNER) {
        dnnl_inner_product_desc_t inner;
        DNNL(dnnl_inner_product_forward_desc_init(&inner, dnnl_forward_inference, source, weights,
                                                  NULL, target));
        DNNL(dnnl_primitive_desc_create(&pd, &inner, attributes, engine, NULL));
    } else {
        dnnl_matmul_desc_t matmul;
        DNNL(dnnl_matmul_desc_init(&matmul, source, weights, NULL, target));
        DNNL(dnnl_primitive_desc_create(&pd, &matmul, attributes, engine, NULL));
    }
    dnnl_post_ops_destroy(sum);
    dnnl_primitive_attr_destroy(attributes);
    return pd;
}

// The same product as oneDNN computes it: source times weights.
static Peer peer_make(const Layer *layer, Kind kind)
{
    int64_t m = layer->m, n = layer->n, k = layer->k;
    Peer peer = {0};
    dnnl_memory_desc_t source, given, wanted, target;
    if (kind == TN) {
        source = matrix_desc(n, m, dnnl_ba);
        given = wanted = matrix_desc(m, k, dnnl_ab);
        target = matrix_desc(n, k, dnnl_ab);
    } else if (kind == NN) {
        source = matrix_desc(m, n, dnnl_ab);
        given = matrix_desc(n, k, dnnl_ab);
        wanted = matrix_desc(n, k, dnnl_format_tag_any);
        target = matrix_desc(m, k, dnnl_ab);
    } else {
        source = matrix_desc(m, k, dnnl_ab);
        given = kind == INNER ? matrix_desc(n, k, dnnl_ab) : matrix_desc(k, n, dnnl_ba);
        wanted = kind == INNER ? matrix_desc(n, k, dnnl_format_tag_any)
                               : matrix_desc(k, n, dnnl_format_tag_any);
        target = matrix_desc(m, n, dnnl_ab);
    }
    dnnl_primitive_desc_t pd = peer_desc(kind, &source, &wanted, &target);
    const dnnl_memory_desc_t *chosen = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    peer.source = memory_of(&source, kind == NT || kind == INNER ? layer->x : layer->y);
    peer.target = memory_of(&target, layer->c);
    for (int i = 0; i < layer->copies; i++) {
        dnnl_memory_t plain = memory_of(&given, kind == TN ? layer->x : layer->w[i]);
        peer.weights[i] = kind == TN ? plain : reordered(plain, chosen);
        if (kind != TN)
            dnnl_memory_destroy(plain);
    }
    DNNL(dnnl_primitive_create(&peer.primitive, pd));
    dnnl_primitive_desc_destroy(pd);
    return peer;
}

static void peer_free(Peer *peer, int copies)
{
    for (int i = 0; i < copies; i++)
        dnnl_memory_destroy(peer->weights[i]);
    dnnl_memory_destroy(peer->source);
    dnnl_memory_destroy(peer->target);
    dnnl_primitive_destroy(peer->primitive);
}

static void peer_run(const Peer *peer, int weights)
{
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, peer->source},
                                   {DNNL_ARG_WEIGHTS, peer->weights[weights]},
                                   {DNNL_ARG_DST, peer->target}};
    DNNL(dnnl_primitive_execute(peer->primitive, stream, 3, arguments));
    DNNL(dnnl_stream_wait(stream));
}

// ---- measuring ----------------------------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

// Seconds of one run of ours (peer NULL) or of the peer, `runs` of them timed.
static double seconds(const Layer *layer, const Peer *peer, int runs)
{
    static int turn;
    double begin = clock_now();
    for (int i = 0; i < runs; i++, turn++) {
        if (peer)
            peer_run(peer, turn % layer->copies);
        else
            layer_run(layer, turn);
    }
    return (clock_now() - begin) / runs;
}

static void compare(const char *name, Kind kind, ElementType type, int64_t m, int64_t n, int64_t k)
{
    Layer layer = layer_make(kind, type, m, n, k);
    Peer peers[2] = {peer_make(&layer, kind)};
    int contestants = kind == NT ? 3 : 2; // ours and the peers
    if (kind == NT)
        peers[1] = peer_make(&layer, INNER);
    double times[3][ROUNDS], middle[3];
    for (int c = 0; c < contestants; c++)
        seconds(&layer, c ? &peers[c - 1] : NULL, 2);
    int runs = (int)(ROUND_SECONDS / seconds(&layer, NULL, 2)) + 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int c = 0; c < contestants; c++)
            times[c][round] = seconds(&layer, c ? &peers[c - 1] : NULL, runs);
    }
    for (int c = 0; c < contestants; c++)
        middle[c] = median(times[c]);
    double best = contestants == 3 && middle[2] < middle[1] ? middle[2] : middle[1];
    double work = 2e-9 * (double)m * (double)n * (double)k;
    double weights = (double)(n * k) * (type == TYPE_BF16 ? 2e-9 : 4e-9);
    printf("%-3s %-4s %6ld %6ld %6ld %9.1f %9.1f %7.2f %9.1f\n", name,
           type == TYPE_BF16 ? "bf16" : "f32", (long)m, (long)n, (long)k, work / middle[0],
           work / best, best / middle[0], weights / middle[0]);
    fflush(stdout);
    for (int c = 1; c < contestants; c++)
        peer_free(&peers[c - 1], layer.copies);
    layer_free(&layer);
}

static const struct {
    int64_t n, k;
} SHAPES[] = {{576, 576}, {192, 576},  {1536, 576}, {576, 1536}, {896, 896},
              {128, 896}, {4864, 896}, {896, 4864}, {49152, 576}};
static const int64_t ROWS_NT[] = {1, 8, 16, 64, 80, 512, 2048};
static const int64_t ROWS_GRADIENT[] = {512, 2048};

static void compare_kind(const char *name, Kind kind, ElementType type)
{
    const int64_t *rows = kind == NT ? ROWS_NT : ROWS_GRADIENT;
    size_t count = kind == NT ? sizeof ROWS_NT / sizeof *rows : sizeof ROWS_GRADIENT / sizeof *rows;
    for (size_t s = 0; s < sizeof SHAPES / sizeof SHAPES[0]; s++) {
        for (size_t r = 0; r < count; r++) {
            if (SHAPES[s].n < 10000 || rows[r] <= 512)
                compare(name, kind, type, rows[r], SHAPES[s].n, SHAPES[s].k);
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"nt", "nn", "tn"};
    const dnnl_version_t *version = dnnl_version();
    DNNL(dnnl_engine_create(&engine, dnnl_cpu, 0));
    DNNL(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    printf("ours: %s; oneDNN %d.%d.%d; %d threads; FMA peak %.0f GFLOP/s; memory read %.1f GB/s\n",
           kernels_cpu()->name, version->major, version->minor, version->patch,
           omp_get_max_threads(), probe_fma(), probe_read());
    printf("%-3s %-4s %6s %6s %6s %9s %9s %7s %9s\n", "", "W", "m", "n", "k", "GFLOP/s", "oneDNN",
           "ratio", "W GB/s");
    for (int kind = NT; kind <= TN; kind++) {
        if (argc > 1 && strcmp(argv[1], names[kind]) != 0)
            continue;
        if (argc < 3 || strcmp(argv[2], "f32") == 0)
            compare_kind(names[kind], (Kind)kind, TYPE_F32);
        if (kind != TN && (argc < 3 || strcmp(argv[2], "bf16") == 0))
            compare_kind(names[kind], (Kind)kind, TYPE_BF16);
    }
    printf("FMA peak again %.0f GFLOP/s\n", probe_fma());
    return EXIT_DONE;
}
