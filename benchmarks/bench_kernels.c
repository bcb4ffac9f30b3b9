// bench_kernels.c - the kernels of a step against what the machine allows, products against
// oneDNN's.
//
//     OMP_NUM_THREADS=2 bench_kernels [nt|nn|tn|others] [f32|bf16|native] [--quick] [--json FILE]
//
// Products of layers (nt, nn, tn; in each precision of product.h), of which for product_nt the
// faster of oneDNN's matmul and inner product counts, and all others that a step spends time in
// (kernel_cases.h). Of native products no peak is known: the ceiling is what the bytes allow. The
// ceiling is what the larger of bytes / memory bandwidth (of reading, or of reading and writing)
// and operations / rate of fused multiply-adds allows, probed in this run and told again at its
// end; arrays come in copies that the caches do not hold together, of weights 96 MiB. Contestants
// take turns, ROUNDS times, after a warm-up; what is told was verified before (kernel_verify.h).

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "benchmarks/kernel_verify.h"
#include "benchmarks/probe.h"

enum { ROUNDS = 9, QUICK_ROUNDS = 3, WARM_UP = 2, MOST_SETS = 256 };
static const double ROUND_SECONDS = 0.02, QUICK_ROUND_SECONDS = 0.0002;

typedef struct {
    Figures figures;
    double rate;          // GFLOP/s
    double read, traffic; // GB/s: read only; read and written, or read only where that is more
    int turn;             // which copy of the arrays comes next
} Bench;

typedef struct {
    void (*run)(const void *context, int turn);
    const void *context; // borrowed
    Series series;
} Contestant;

static double seconds_of(Bench *bench, const Contestant *contestant, int runs)
{
    double begin = clock_now();
    for (int i = 0; i < runs; i++)
        contestant->run(contestant->context, bench->turn++);
    return (clock_now() - begin) / runs;
}

static void take_turns(Bench *bench, Contestant *contestants, int count, double amount)
{
    bool quick = bench->figures.quick;
    for (int c = 0; c < count; c++)
        seconds_of(bench, &contestants[c], WARM_UP);
    double round = quick ? QUICK_ROUND_SECONDS : ROUND_SECONDS;
    int runs = (int)(round / seconds_of(bench, &contestants[0], WARM_UP)) + 1;
    for (int i = 0; i < (quick ? QUICK_ROUNDS : ROUNDS); i++) {
        for (int c = 0; c < count; c++)
            series_add(&contestants[c].series, seconds_of(bench, &contestants[c], runs), amount);
    }
}

// What the machine allows of so many bytes and operations, in 10^9.
typedef struct {
    double seconds;
    bool by_bytes;
    const char *name;
} Bound;

static Bound bound_of(const Bench *bench, double bytes, bool reads, double operations)
{
    double bandwidth = reads ? bench->read : bench->traffic;
    double moving = bytes / bandwidth, computing = operations / bench->rate;
    if (moving > computing)
        return (Bound){moving, true, reads ? "memory read" : "memory traffic"};
    return (Bound){computing, false, "FMA peak"};
}

static void run_layer(const void *layer, int turn)
{
    layer_run(layer, turn);
}

typedef struct {
    const Layer *layer;
    Peer peer;
} LayerPeer;

static void run_peer(const void *context, int turn)
{
    const LayerPeer *of = context;
    peer_run(&of->peer, of->layer, turn);
}

static void compare(Bench *bench, const char *name, Kind kind, Precision precision, int64_t m,
                    int64_t n, int64_t k)
{
    Layer layer = layer_make(kind, precision, m, n, k);
    LayerPeer peers[2] = {{&layer, peer_make(&layer, kind)}};
    int count = kind == NT ? 3 : 2; // ours and the peers
    if (kind == NT)
        peers[1] = (LayerPeer){&layer, peer_make(&layer, INNER)};
    Contestant contestants[3] = {{.run = run_layer, .context = &layer},
                                 {.run = run_peer, .context = &peers[0]},
                                 {.run = run_peer, .context = &peers[1]}};
    kernel_verify_product(&layer, NULL);
    for (int c = 1; c < count; c++)
        kernel_verify_product(&layer, &peers[c - 1].peer);
    double work = 2e-9 * (double)m * (double)n * (double)k;
    take_turns(bench, contestants, count, work);
    int best = 1;
    for (int c = 2; c < count; c++) {
        Series *series = &contestants[c].series, *other = &contestants[best].series;
        if (times_of(series->seconds, series->count).middle <
            times_of(other->seconds, other->count).middle)
            best = c;
    }
    // W once, in its type; the other factor and the result, which TN reads, too.
    double weights = kind == TN ? 8 : (double)type_bytes(precision_type(precision));
    double bytes = 1e-9 * (weights * (double)(n * k) + 4 * (double)(m * (n + k)));
    bool peaks = precision != PRECISION_NATIVE;
    Bound bound = bound_of(bench, bytes, kind != TN, peaks ? work : 0);
    char shape[64];
    snprintf(shape, sizeof shape, "%lld x %lld x %lld, %s", (long long)m, (long long)n,
             (long long)k, precision_names[precision]);
    figures_add(&bench->figures,
                &(Figure){.what = name,
                          .shape = shape,
                          .unit = "GFLOP/s",
                          .ours = &contestants[0].series,
                          .peer = best == 2 ? "oneDNN inner product" : "oneDNN matmul",
                          .theirs = &contestants[best].series,
                          .bound = bound.name,
                          .ceiling = work / bound.seconds});
    for (int c = 1; c < count; c++)
        peer_free(&peers[c - 1].peer, &layer);
    layer_free(&layer);
}

static const struct {
    int64_t n, k;
} SHAPES[] = {{576, 576}, {192, 576},  {1536, 576}, {576, 1536}, {896, 896},
              {128, 896}, {4864, 896}, {896, 4864}, {49152, 576}};
static const int64_t ROWS_NT[] = {1, 2, 4, 8, 16, 64, 80, 320, 512, 2048};
static const int64_t ROWS_GRADIENT[] = {8, 64, 80, 320, 512, 2048};

static void compare_kind(Bench *bench, const char *name, Kind kind, Precision precision)
{
    const int64_t *rows = kind == NT ? ROWS_NT : ROWS_GRADIENT;
    size_t count = kind == NT ? sizeof ROWS_NT / sizeof *rows : sizeof ROWS_GRADIENT / sizeof *rows;
    if (bench->figures.quick) {
        compare(bench, name, kind, precision, 33, 192, 576);
        return;
    }
    for (size_t s = 0; s < sizeof SHAPES / sizeof SHAPES[0]; s++) {
        for (size_t r = 0; r < count; r++) {
            if (SHAPES[s].n < 10000 || rows[r] <= 512)
                compare(bench, name, kind, precision, rows[r], SHAPES[s].n, SHAPES[s].k);
        }
    }
}

typedef struct {
    const KernelCase *c;
    const Kernels *kernels;
    int copies;
    float *arrays[MOST_SETS][MOST_ARRAYS];
} Copies;

static void run_case(const void *context, int turn)
{
    const Copies *copies = context;
    copies->c->run(copies->c, copies->kernels, copies->arrays[turn % copies->copies]);
}

static void run_case_peer(const void *context, int turn)
{
    const Copies *copies = context;
    copies->c->peer(copies->c, copies->arrays[turn % copies->copies]);
}

static void measure(Bench *bench, const KernelCase *c)
{
    Copies copies = {.c = c, .kernels = kernels_cpu()};
    int64_t wanted = probe_beyond_caches() / kernel_case_bytes(c) + 1;
    copies.copies = bench->figures.quick ? 1 : wanted < MOST_SETS ? (int)wanted : MOST_SETS;
    kernel_verify_case(c, copies.kernels);
    for (int i = 0; i < copies.copies; i++) {
        kernel_case_make_arrays(c, (uint32_t)i, copies.arrays[i]);
        if (c->before)
            c->before(c, copies.kernels, copies.arrays[i]);
    }
    Contestant contestants[2] = {{.run = run_case, .context = &copies},
                                 {.run = run_case_peer, .context = &copies}};
    Bound bound = bound_of(bench, 1e-9 * c->bytes, c->reads, 1e-9 * c->operations);
    double amount = 1e-9 * (bound.by_bytes ? c->bytes : c->operations);
    take_turns(bench, contestants, c->peer ? 2 : 1, amount);
    figures_add(&bench->figures, &(Figure){.what = c->name,
                                           .shape = c->shape,
                                           .unit = bound.by_bytes ? "GB/s" : "GFLOP/s",
                                           .ours = &contestants[0].series,
                                           .peer = c->peer_name,
                                           .theirs = c->peer ? &contestants[1].series : NULL,
                                           .bound = bound.name,
                                           .ceiling = amount / bound.seconds});
    for (int i = 0; i < copies.copies; i++)
        kernel_case_free_arrays(copies.arrays[i]);
}

static void measure_others(Bench *bench)
{
    KernelScene scene;
    KernelCase *cases = allocate(MOST_CASES, sizeof *cases);
    kernel_scene_make(&scene, bench->figures.quick);
    int count = kernel_cases_rows(&scene, cases, 0);
    count = kernel_cases_attention(&scene, bench->figures.quick, cases, count);
    count = kernel_cases_vocabulary(&scene, cases, count);
    count = kernel_cases_flat(&scene, cases, count);
    CHECK(count <= MOST_CASES, "%d cases", count);
    for (int i = 0; i < count; i++)
        measure(bench, &cases[i]);
    kernel_scene_free(&scene);
    release(cases);
}

static void probe(Bench *bench)
{
    double update = probe_update(bench->figures.quick);
    bench->rate = probe_fma();
    bench->read = probe_read(bench->figures.quick);
    bench->traffic = update > bench->read ? update : bench->read;
    printf("FMA peak %.1f GFLOP/s, memory read %.1f GB/s, read and written %.1f GB/s\n",
           bench->rate, bench->read, update);
}

// Whether the arguments are those at the top.
static bool understands(int argc, char **argv)
{
    static const char *const wholes[] = {"nt", "nn", "tn", "others"};
    bool known = argc < 2;
    for (int i = 0; i < 4 && argc > 1; i++)
        known = known || strcmp(argv[1], wholes[i]) == 0;
    return known && argc <= 3 && (argc < 3 || precision_find(argv[2]) >= 0);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"nt", "nn", "tn"};
    static const char *const products[] = {"product_nt", "product_nn", "product_tn"};
    char libraries[32];
    Bench bench = {0};
    figures_make(&bench.figures, &argc, argv);
    if (!understands(argc, argv))
        die(EXIT_USAGE,
            "bench_kernels [nt|nn|tn|others] [f32|bf16|native] [--quick] [--json FILE]");
    if (argc > 2 && !precision_kernels((Precision)precision_find(argv[2])))
        die_failed();
    peer_version(libraries, sizeof libraries);
    figures_head(&bench.figures, 0, 1, libraries);
    probe(&bench);
    for (int kind = NT; kind <= TN; kind++) {
        if (argc > 1 && strcmp(argv[1], names[kind]) != 0)
            continue;
        for (int p = 0; p < PRECISION_COUNT; p++) {
            bool wanted = argc < 3 || p == precision_find(argv[2]);
            bool there = precision_kernels((Precision)p) && (kind != TN || p != PRECISION_BF16);
            if (wanted && there)
                compare_kind(&bench, products[kind], (Kind)kind, (Precision)p);
        }
    }
    if (argc < 2 || strcmp(argv[1], "others") == 0)
        measure_others(&bench);
    if (!bench.figures.quick)
        probe(&bench);
    figures_write(&bench.figures);
    return EXIT_DONE;
}
