// bench_collectives.c - the collectives over MPI against the MPI library's own and a copy of
// memory.
//
//     mpirun -n RANKS bench_collectives [LARGEST_MIB [FILE.json]]
//
// For arrays of 64 KiB to LARGEST_MIB (64) in all: all-gather, reduce-scatter and sum, in turns
// with MPI_Allgather, MPI_Reduce_scatter_block and MPI_Allreduce. Each is first checked against
// sums in rank order, ours to the bit. Times are those of the slowest rank. Bus bandwidth is
// nccl-tests': bytes that any algorithm must move through a rank, a second: S (n - 1) / n of a
// gathered or scattered array S, twice that of a sum. The ceiling is what all ranks at once copy.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "benchmarks/median.h"
#include "parallel/collective.h"
#include "parallel/shard.h"

enum { WARM_UP = 2, ROUNDS = 11 };

typedef struct {
    Group world;
    const Kernels *kernels;
    int64_t local; // elements of a shard
    float *full, *shard, *scratch, *other;
} Arrays;

typedef struct {
    const char *name, *peer_name;
    void (*ours)(Arrays *arrays);
    void (*peer)(Arrays *arrays);
    double factor; // of the bytes that must move through a rank
} Case;

// What element i of a rank's array is: sums of such numbers are exact in any order.
static float value_of(int rank, int64_t i)
{
    return (float)((i * 7 + rank * 13) % 251);
}

static int64_t total(const Arrays *arrays)
{
    return arrays->local * arrays->world.size;
}

static void fill(Arrays *arrays)
{
    for (int64_t i = 0; i < total(arrays); i++)
        arrays->full[i] = value_of(arrays->world.rank, i);
    for (int64_t i = 0; i < arrays->local; i++)
        arrays->shard[i] = value_of(arrays->world.rank, i);
}

static void all_gather_ours(Arrays *arrays)
{
    Transfer transfer;
    collective_mpi.all_gather_begin(&arrays->world, arrays->kernels, arrays->full,
                                    elements_f32(arrays->shard), arrays->local, &transfer);
    collective_mpi.all_gather_end(&transfer);
}

static void all_gather_peer(Arrays *arrays)
{
    MPI_Allgather(arrays->shard, (int)arrays->local, MPI_FLOAT, arrays->full, (int)arrays->local,
                  MPI_FLOAT, arrays->world.comm);
}

static void reduce_scatter_ours(Arrays *arrays)
{
    Transfer transfer;
    memset(arrays->shard, 0, (size_t)arrays->local * sizeof *arrays->shard);
    collective_mpi.reduce_scatter_begin(&arrays->world, arrays->full, arrays->local,
                                        arrays->scratch, &transfer);
    collective_mpi.reduce_scatter_end(&arrays->world, arrays->kernels, arrays->shard, arrays->full,
                                      arrays->local, arrays->scratch, &transfer);
}

static void reduce_scatter_peer(Arrays *arrays)
{
    MPI_Reduce_scatter_block(arrays->full, arrays->shard, (int)arrays->local, MPI_FLOAT, MPI_SUM,
                             arrays->world.comm);
}

static void sum_ours(Arrays *arrays)
{
    collective_mpi.sum(&arrays->world, arrays->kernels, arrays->full, total(arrays),
                       arrays->scratch);
}

static void sum_peer(Arrays *arrays)
{
    MPI_Allreduce(MPI_IN_PLACE, arrays->full, (int)total(arrays), MPI_FLOAT, MPI_SUM,
                  arrays->world.comm);
}

static const Case cases[] = {
    {"all-gather", "MPI_Allgather", all_gather_ours, all_gather_peer, 1},
    {"reduce-scatter", "MPI_Reduce_scatter_block", reduce_scatter_ours, reduce_scatter_peer, 1},
    {"sum", "MPI_Allreduce", sum_ours, sum_peer, 2},
};
enum { CASES = sizeof cases / sizeof *cases };

static float sum_of(const Arrays *arrays, int64_t i)
{
    float sum = 0;
    for (int rank = 0; rank < arrays->world.size; rank++)
        sum += value_of(rank, i);
    return sum;
}

// Dies where what a case left is not what it should.
static void verify(const Arrays *arrays, int which, const char *name)
{
    int64_t wrong = 0, first = arrays->local * arrays->world.rank;
    for (int64_t i = 0; which != 1 && i < total(arrays); i++) {
        int rank = (int)(i / arrays->local);
        wrong +=
            arrays->full[i] != (which == 0 ? value_of(rank, i % arrays->local) : sum_of(arrays, i));
    }
    for (int64_t i = 0; which == 1 && i < arrays->local; i++)
        wrong += arrays->shard[i] != sum_of(arrays, first + i);
    if (wrong > 0)
        die(EXIT_BUG, "%s: %lld elements of rank %d are wrong", name, (long long)wrong,
            arrays->world.rank);
}

static double time_one(Arrays *arrays, void (*run)(Arrays *))
{
    group_barrier(&arrays->world);
    double since = clock_now();
    run(arrays);
    return group_maximum(&arrays->world, clock_now() - since);
}

static void copy(Arrays *arrays)
{
    memcpy(arrays->other, arrays->full, (size_t)total(arrays) * sizeof *arrays->full);
}

typedef struct {
    double least, middle, most; // seconds
} Times;

static Times times_of(double *values)
{
    double middle = median(values, ROUNDS);
    return (Times){values[0], middle, values[ROUNDS - 1]};
}

static void print_row(const Case *c, int64_t bytes, int size, Times ours, Times peer, Times copied,
                      FILE *json, bool first)
{
    double moved = c->factor * (double)bytes * (size - 1) / size;
    printf("%-15s %9.3f  %9.1f %9.1f %9.1f  %7.2f  %9.1f %7.2f  %5.2f  %8.2f\n", c->name,
           (double)bytes / 0x1p20, 1e6 * ours.least, 1e6 * ours.middle, 1e6 * ours.most,
           1e-9 * moved / ours.middle, 1e6 * peer.middle, 1e-9 * moved / peer.middle,
           peer.middle / ours.middle, 1e-9 * (double)bytes / copied.middle);
    fflush(stdout);
    if (json)
        fprintf(json,
                "%s\n  {\"collective\": \"%s\", \"peer\": \"%s\", \"ranks\": %d, \"bytes\": %lld, "
                "\"seconds\": [%.4g, %.4g, %.4g], \"peer_seconds\": [%.4g, %.4g, %.4g], "
                "\"copy_seconds\": [%.4g, %.4g, %.4g]}",
                first ? "" : ",", c->name, c->peer_name, size, (long long)bytes, ours.least,
                ours.middle, ours.most, peer.least, peer.middle, peer.most, copied.least,
                copied.middle, copied.most);
}

static void run_case(Arrays *arrays, int which, FILE *json, bool first)
{
    const Case *c = &cases[which];
    double ours[ROUNDS], peer[ROUNDS], copied[ROUNDS];
    fill(arrays);
    c->ours(arrays);
    verify(arrays, which, c->name);
    fill(arrays);
    c->peer(arrays);
    verify(arrays, which, c->peer_name);
    for (int round = -WARM_UP; round < ROUNDS; round++) {
        int kept = round < 0 ? 0 : round;
        fill(arrays); // sums would else grow
        ours[kept] = time_one(arrays, c->ours);
        fill(arrays);
        peer[kept] = time_one(arrays, c->peer);
        copied[kept] = time_one(arrays, copy);
    }
    if (arrays->world.rank == 0)
        print_row(c, total(arrays) * (int64_t)sizeof(float), arrays->world.size, times_of(ours),
                  times_of(peer), times_of(copied), json, first);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    Arrays arrays = {.world = group_world(), .kernels = kernels_cpu()};
    int size = arrays.world.size;
    int64_t largest = (argc > 1 ? strtoll(argv[1], NULL, 10) : 64) << 20;
    if (largest < 1 << 20 || argc > 3)
        die(EXIT_USAGE, "bench_collectives [LARGEST_MIB [FILE.json]]");
    FILE *json = argc > 2 && arrays.world.rank == 0 ? fopen(argv[2], "w") : NULL;
    if (argc > 2 && arrays.world.rank == 0 && !json)
        die(EXIT_CANNOT_CREATE, "cannot create %s", argv[2]);
    size_t room = (size_t)largest / sizeof(float) + (size_t)size * SHARD_ALIGNMENT;
    arrays.full = allocate(room, sizeof(float));
    arrays.shard = allocate(room / (size_t)size + SHARD_ALIGNMENT, sizeof(float));
    arrays.scratch = allocate(room, sizeof(float));
    arrays.other = allocate(room, sizeof(float));
    collective_mpi.join(&arrays.world);
    if (arrays.world.rank == 0) {
        char library[MPI_MAX_LIBRARY_VERSION_STRING];
        int length;
        MPI_Get_library_version(library, &length);
        printf("%d ranks, %s, kernels %s, %.40s\n", size, collective_mpi.name, arrays.kernels->name,
               library);
        printf("%-15s %9s  %9s %9s %9s  %7s  %9s %7s  %5s  %8s\n", "", "MiB", "least us", "median",
               "most", "GB/s", "peer us", "GB/s", "ratio", "copy GB/s");
    }
    if (json)
        fputs("[", json);
    bool first = true;
    for (int64_t bytes = 1 << 16; bytes <= largest; bytes *= 4) {
        arrays.local = shard_of(bytes / (int64_t)sizeof(float), arrays.world.rank, size).local;
        for (int which = 0; which < CASES; which++, first = false)
            run_case(&arrays, which, json, first);
    }
    if (json && (fputs("\n]\n", json) < 0 || fclose(json) != 0))
        die(EXIT_CANNOT_WRITE, "cannot write %s", argv[2]);
    release(arrays.full);
    release(arrays.shard);
    release(arrays.scratch);
    release(arrays.other);
    group_free(&arrays.world);
    group_stop();
    return EXIT_DONE;
}
