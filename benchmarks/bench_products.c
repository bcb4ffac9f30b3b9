// bench_products.c - products of layers against oneDNN's, in turn, in one process.
//
//     OMP_NUM_THREADS=2 bench_products [nt|nn|tn] [f32|bf16]
//
// For product_nt the faster of oneDNN's matmul and inner product counts. Each figure is the median
// of ROUNDS alternating runs.

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/median.h"
#include "benchmarks/probe.h"
#include "benchmarks/product.h"

enum { ROUNDS = 9 };
static const double ROUND_SECONDS = 0.02;

// Seconds of one run of ours (peer NULL) or of the peer, `runs` of them timed.
static double seconds(const Layer *layer, const Peer *peer, int runs)
{
    static int turn;
    double begin = clock_now();
    for (int i = 0; i < runs; i++, turn++) {
        if (peer)
            peer_run(peer, layer, turn);
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
    double times[3][ROUNDS], middle[3] = {0};
    for (int c = 0; c < contestants; c++)
        seconds(&layer, c ? &peers[c - 1] : NULL, 2);
    int runs = (int)(ROUND_SECONDS / seconds(&layer, NULL, 2)) + 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int c = 0; c < contestants; c++)
            times[c][round] = seconds(&layer, c ? &peers[c - 1] : NULL, runs);
    }
    for (int c = 0; c < contestants; c++)
        middle[c] = median(times[c], ROUNDS);
    double best = contestants == 3 && middle[2] < middle[1] ? middle[2] : middle[1];
    double work = 2e-9 * (double)m * (double)n * (double)k;
    double weights = (double)(n * k) * (type == TYPE_BF16 ? 2e-9 : 4e-9);
    printf("%-3s %-4s %6ld %6ld %6ld %9.1f %9.1f %7.2f %9.1f\n", name,
           type == TYPE_BF16 ? "bf16" : "f32", (long)m, (long)n, (long)k, work / middle[0],
           work / best, best / middle[0], weights / middle[0]);
    fflush(stdout);
    for (int c = 1; c < contestants; c++)
        peer_free(&peers[c - 1], &layer);
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
