// bench_kernels.c - the kernels of a step against what the machine allows, products against
// oneDNN's.
//
//     OMP_NUM_THREADS=2 bench_kernels [nt|nn|tn|others] [f32|bf16] [--quick] [--json FILE]
//
// Products of layers (nt, nn, tn; W in f32 or bf16), of which for product_nt the faster of oneDNN's
// matmul and inner product counts, and all others that a step spends time in (kernel_cases.h). The
// ceiling is the larger of bytes / memory read and operations / rate of fused multiply-adds, both
// probed in this run; arrays come in copies that the caches do not hold together. Contestants take
// turns, ROUNDS times, after a warm-up; what is told was verified before (kernel_verify.h).

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "benchmarks/kernel_verify.h"
#include "benchmarks/probe.h"

enum { ROUNDS = 9, QUICK_ROUNDS = 3, WARM_UP = 2 };
static const double ROUND_SECONDS = 0.02, QUICK_ROUND_SECONDS = 0.0002;

typedef struct {
    Figures figures;
    double rate, bandwidth; // GFLOP/s, GB/s
    int turn;               // which copy of the arrays comes next
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

// The least time of so many bytes and operations, in 10^9, and what it is bound by.
static double least_seconds(const Bench *bench, double bytes, double operations, bool *by_bytes)
{
    double reading = bytes / bench->bandwidth, computing = operations / bench->rate;
    *by_bytes = reading > computing;
    return *by_bytes ? reading : computing;
}

static const char *name_of_bound(bool by_bytes)
{
    return by_bytes ? "memory read" : "FMA peak";
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

static void compare(Bench *bench, const char *name, Kind kind, ElementType type, int64_t m,
                    int64_t n, int64_t k)
{
    Layer layer = layer_make(kind, type, m, n, k);
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
    double weights = kind == TN ? 8 : (double)type_bytes(type);
    double bytes = 1e-9 * (weights * (double)(n * k) + 4 * (double)(m * (n + k)));
    bool by_bytes;
    double least = least_seconds(bench, bytes, work, &by_bytes);
    char shape[64];
    snprintf(shape, sizeof shape, "%lld x %lld x %lld, %s", (long long)m, (long long)n,
             (long long)k, type == TYPE_BF16 ? "bf16" : "f32");
    figures_add(&bench->figures,
                &(Figure){.what = name,
                          .shape = shape,
                          .unit = "GFLOP/s",
                          .ours = &contestants[0].series,
                          .peer = best == 2 ? "oneDNN inner product" : "oneDNN matmul",
                          .theirs = &contestants[best].series,
                          .bound = name_of_bound(by_bytes),
                          .ceiling = work / least});
    for (int c = 1; c < count; c++)
        peer_free(&peers[c - 1].peer, &layer);
    layer_free(&layer);
}

static const struct {
    int64_t n, k;
} SHAPES[] = {{576, 576}, {192, 576},  {1536, 576}, {576, 1536}, {896, 896},
              {128, 896}, {4864, 896}, {896, 4864}, {49152, 576}};
static const int64_t ROWS_NT[] = {1, 8, 16, 64, 80, 512, 2048};
static const int64_t ROWS_GRADIENT[] = {512, 2048};

static void compare_kind(Bench *bench, const char *name, Kind kind, ElementType type)
{
    const int64_t *rows = kind == NT ? ROWS_NT : ROWS_GRADIENT;
    size_t count = kind == NT ? sizeof ROWS_NT / sizeof *rows : sizeof ROWS_GRADIENT / sizeof *rows;
    if (bench->figures.quick) {
        compare(bench, name, kind, type, 33, 192, 576);
        return;
    }
    for (size_t s = 0; s < sizeof SHAPES / sizeof SHAPES[0]; s++) {
        for (size_t r = 0; r < count; r++) {
            if (SHAPES[s].n < 10000 || rows[r] <= 512)
                compare(bench, name, kind, type, rows[r], SHAPES[s].n, SHAPES[s].k);
        }
    }
}

typedef struct {
    const KernelCase *c;
    const Kernels *kernels;
    int copies;
    float *arrays[MOST_COPIES][MOST_ARRAYS];
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
    int64_t wanted = ROTATED_BYTES / kernel_case_bytes(c) + 1;
    copies.copies = bench->figures.quick ? 1 : wanted < MOST_COPIES ? (int)wanted : MOST_COPIES;
    kernel_verify_case(c, copies.kernels);
    for (int i = 0; i < copies.copies; i++) {
        kernel_case_make_arrays(c, (uint32_t)i, copies.arrays[i]);
        if (c->before)
            c->before(c, copies.kernels, copies.arrays[i]);
    }
    Contestant contestants[2] = {{.run = run_case, .context = &copies},
                                 {.run = run_case_peer, .context = &copies}};
    bool by_bytes;
    double least = least_seconds(bench, 1e-9 * c->bytes, 1e-9 * c->operations, &by_bytes);
    double amount = 1e-9 * (by_bytes ? c->bytes : c->operations);
    take_turns(bench, contestants, c->peer ? 2 : 1, amount);
    figures_add(&bench->figures, &(Figure){.what = c->name,
                                           .shape = c->shape,
                                           .unit = by_bytes ? "GB/s" : "GFLOP/s",
                                           .ours = &contestants[0].series,
                                           .peer = c->peer_name,
                                           .theirs = c->peer ? &contestants[1].series : NULL,
                                           .bound = name_of_bound(by_bytes),
                                           .ceiling = amount / least});
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

int main(int argc, char **argv)
{
    static const char *const names[] = {"nt", "nn", "tn"};
    static const char *const products[] = {"product_nt", "product_nn", "product_tn"};
    char libraries[32];
    Bench bench = {0};
    figures_make(&bench.figures, &argc, argv);
    if (argc > 3)
        die(EXIT_USAGE, "bench_kernels [nt|nn|tn|others] [f32|bf16] [--quick] [--json FILE]");
    peer_version(libraries, sizeof libraries);
    figures_head(&bench.figures, 0, 1, libraries);
    bench.rate = probe_fma();
    bench.bandwidth = probe_read();
    printf("FMA peak %.1f GFLOP/s, memory read %.1f GB/s\n", bench.rate, bench.bandwidth);
    for (int kind = NT; kind <= TN; kind++) {
        if (argc > 1 && strcmp(argv[1], names[kind]) != 0)
            continue;
        if (argc < 3 || strcmp(argv[2], "f32") == 0)
            compare_kind(&bench, products[kind], (Kind)kind, TYPE_F32);
        if (kind != TN && (argc < 3 || strcmp(argv[2], "bf16") == 0))
            compare_kind(&bench, products[kind], (Kind)kind, TYPE_BF16);
    }
    if (argc < 2 || strcmp(argv[1], "others") == 0)
        measure_others(&bench);
    printf("again: FMA peak %.1f GFLOP/s, memory read %.1f GB/s\n", probe_fma(), probe_read());
    figures_write(&bench.figures);
    return EXIT_DONE;
}
