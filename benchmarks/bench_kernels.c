// bench_kernels.c - the kernels of a step against what the machine allows, products against peers.
//
//     OMP_NUM_THREADS=2 bench_kernels [nt|nn|tn|others] [f32|bf16|native] [--quick] [--json FILE]
//                                     [-- PEER...]
//
// Products of layers (nt, nn, tn; in each precision of product.h) and all other kernels that a step
// spends time in (kernel_cases.h). Products are compared with the fastest of oneDNN's ways (matmul,
// for product_nt inner product as well) and of PEER, a command that computes those of nt, nn or tn
// by turns (benchmarks/peers/torch_matmul.py). The ceiling is what the larger of bytes / memory
// bandwidth (of reading, or of reading and writing) and operations / rate of fused multiply-adds
// allows, probed in this run and told again at its end; of native products no peak is known, and it
// is what the bytes allow. Arrays come in copies that the caches do not hold together, of weights
// 96 MiB. Contestants take turns, ROUNDS times, after a warm-up; what is told was verified before
// (kernel_verify.h).

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "benchmarks/kernel_verify.h"
#include "benchmarks/peer_process.h"
#include "benchmarks/probe.h"

enum { ROUNDS = 9, QUICK_ROUNDS = 3, WARM_UP = 2, MOST_SETS = 256 };
static const double ROUND_SECONDS = 0.02, QUICK_ROUND_SECONDS = 0.0002;

typedef struct {
    Figures figures;
    double rate;          // GFLOP/s
    double read, traffic; // GB/s: read only; read and written, or read only where that is more
    int turn;             // which copy of the arrays comes next
    PeerProcess peer;
} Bench;

typedef struct {
    const char *name;
    void (*run)(const void *context, int turn); // NULL: the peer's process does, asked for `task`
    const void *context;                        // borrowed
    const char *task;                           // the number of runs follows
    Series series;
} Contestant;

static double seconds_of(Bench *bench, const Contestant *contestant, int runs)
{
    double begin = clock_now();
    for (int i = 0; i < runs; i++)
        contestant->run(contestant->context, bench->turn++);
    return (clock_now() - begin) / runs;
}

// Behind a run that does not count, so that all threads are awake.
static void take_turn(Bench *bench, Contestant *contestant, int runs, double amount)
{
    if (contestant->run) {
        seconds_of(bench, contestant, 1);
        series_add(&contestant->series, seconds_of(bench, contestant, runs), amount);
        return;
    }
    char task[128];
    snprintf(task, sizeof task, "%s %d", contestant->task, runs);
    if (!peer_process_turn(&bench->peer, task, amount, &contestant->series))
        die(EXIT_BAD_DATA, "%s does not do '%s'", bench->peer.name, task);
}

static void take_turns(Bench *bench, Contestant *contestants, int count, double amount)
{
    bool quick = bench->figures.quick;
    for (int c = 0; c < count; c++) {
        if (contestants[c].run)
            seconds_of(bench, &contestants[c], WARM_UP);
    }
    double round = quick ? QUICK_ROUND_SECONDS : ROUND_SECONDS;
    int runs = (int)(round / seconds_of(bench, &contestants[0], WARM_UP)) + 1;
    for (int i = 0; i < (quick ? QUICK_ROUNDS : ROUNDS); i++) {
        for (int c = 0; c < count; c++)
            take_turn(bench, &contestants[c], runs, amount);
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

static const char *const KINDS[] = {"nt", "nn", "tn"};

static int kind_find(const char *name) // -1: it is none of them
{
    for (int kind = NT; kind <= TN; kind++) {
        if (strcmp(name, KINDS[kind]) == 0)
            return kind;
    }
    return -1;
}

// Of `count` contestants, of which the first is ours, the fastest other one.
static const Contestant *fastest_peer(const Contestant *contestants, int count)
{
    const Contestant *best = &contestants[1];
    for (const Contestant *c = best + 1; c < contestants + count; c++) {
        if (times_of(c->series.seconds, c->series.count).middle <
            times_of(best->series.seconds, best->series.count).middle)
            best = c;
    }
    return best;
}

static void compare(Bench *bench, Kind kind, Precision precision, int64_t m, int64_t n, int64_t k)
{
    Layer layer = layer_make(kind, precision, m, n, k);
    LayerPeer peers[2] = {{&layer, peer_make(&layer, kind)}};
    Contestant contestants[4] = {
        {.run = run_layer, .context = &layer},
        {.name = "oneDNN matmul", .run = run_peer, .context = &peers[0]},
    };
    int count = 2, ways = 1; // of oneDNN
    if (kind == NT) {
        peers[ways++] = (LayerPeer){&layer, peer_make(&layer, INNER)};
        contestants[count++] =
            (Contestant){.name = "oneDNN inner product", .run = run_peer, .context = &peers[1]};
    }
    char task[96];
    snprintf(task, sizeof task, "%s %lld %lld %lld %d", KINDS[kind], (long long)m, (long long)n,
             (long long)k, layer.copies);
    if (bench->peer.process)
        contestants[count++] = (Contestant){.name = bench->peer.name, .task = task};
    kernel_verify_product(&layer, NULL);
    for (int w = 0; w < ways; w++)
        kernel_verify_product(&layer, &peers[w].peer);
    double work = 2e-9 * (double)m * (double)n * (double)k;
    take_turns(bench, contestants, count, work);
    const Contestant *best = fastest_peer(contestants, count);
    // W once, in its type; the other factor and the result, which TN reads, too.
    double weights = kind == TN ? 8 : (double)type_bytes(precision_type(precision));
    double bytes = 1e-9 * (weights * (double)(n * k) + 4 * (double)(m * (n + k)));
    bool peaks = precision != PRECISION_NATIVE;
    Bound bound = bound_of(bench, bytes, kind != TN, peaks ? work : 0);
    char shape[64], name[16];
    snprintf(name, sizeof name, "product_%s", KINDS[kind]);
    snprintf(shape, sizeof shape, "%lld x %lld x %lld, %s", (long long)m, (long long)n,
             (long long)k, precision_names[precision]);
    figures_add(&bench->figures, &(Figure){.what = name,
                                           .shape = shape,
                                           .unit = "GFLOP/s",
                                           .ours = &contestants[0].series,
                                           .peer = best->name,
                                           .theirs = &best->series,
                                           .bound = bound.name,
                                           .ceiling = work / bound.seconds});
    for (int w = 0; w < ways; w++)
        peer_free(&peers[w].peer, &layer);
    layer_free(&layer);
}

static const struct {
    int64_t n, k;
} SHAPES[] = {{576, 576}, {192, 576},  {1536, 576}, {576, 1536}, {896, 896},
              {128, 896}, {4864, 896}, {896, 4864}, {49152, 576}};
static const int64_t ROWS_NT[] = {1, 2, 4, 8, 16, 64, 80, 320, 512, 2048};
static const int64_t ROWS_GRADIENT[] = {8, 64, 80, 320, 512, 2048};

static void compare_kind(Bench *bench, Kind kind, Precision precision)
{
    const int64_t *rows = kind == NT ? ROWS_NT : ROWS_GRADIENT;
    size_t count = kind == NT ? sizeof ROWS_NT / sizeof *rows : sizeof ROWS_GRADIENT / sizeof *rows;
    if (bench->figures.quick) {
        compare(bench, kind, precision, 33, 192, 576);
        return;
    }
    for (size_t s = 0; s < sizeof SHAPES / sizeof SHAPES[0]; s++) {
        for (size_t r = 0; r < count; r++) {
            if (SHAPES[s].n < 10000 || rows[r] <= 512)
                compare(bench, kind, precision, rows[r], SHAPES[s].n, SHAPES[s].k);
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
    bool known = argc < 2 || kind_find(argv[1]) >= 0 || strcmp(argv[1], "others") == 0;
    return known && argc <= 3 && (argc < 3 || precision_find(argv[2]) >= 0);
}

int main(int argc, char **argv)
{
    char oneDNN[32], libraries[192];
    Bench bench = {0};
    char **words = peer_process_words(&argc, argv);
    figures_make(&bench.figures, &argc, argv);
    if (!understands(argc, argv))
        die(EXIT_USAGE, "bench_kernels [nt|nn|tn|others] [f32|bf16|native] [--quick] [--json FILE] "
                        "[-- PEER...]");
    if (argc > 2 && !precision_kernels((Precision)precision_find(argv[2])))
        die_failed();
    if (words && (argc < 2 || kind_find(argv[1]) < 0))
        die(EXIT_USAGE, "bench_kernels: a peer multiplies: nt, nn or tn");
    if (words)
        peer_process_start(&bench.peer, words);
    peer_version(oneDNN, sizeof oneDNN);
    snprintf(libraries, sizeof libraries, "%s%s%s", oneDNN, words ? ", " : "", bench.peer.name);
    figures_head(&bench.figures, 0, 1, libraries);
    probe(&bench);
    for (int kind = NT; kind <= TN; kind++) {
        if (argc > 1 && kind_find(argv[1]) != kind)
            continue;
        for (int p = 0; p < PRECISION_COUNT; p++) {
            bool wanted = argc < 3 || p == precision_find(argv[2]);
            bool there = precision_kernels((Precision)p) && (kind != TN || p != PRECISION_BF16);
            if (wanted && there)
                compare_kind(&bench, (Kind)kind, (Precision)p);
        }
    }
    if (argc < 2 || strcmp(argv[1], "others") == 0)
        measure_others(&bench);
    if (!bench.figures.quick)
        probe(&bench);
    peer_process_stop(&bench.peer);
    figures_write(&bench.figures);
    return EXIT_DONE;
}
