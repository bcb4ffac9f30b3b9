// bench_collectives.c - the collectives over MPI against the MPI library's own and a copy of
// memory.
//
//     mpirun -n RANKS bench_collectives [LARGEST_MIB] [--quick] [--json FILE]
//
// For arrays of 64 KiB to LARGEST_MIB (64) in all: all-gather, reduce-scatter and sum, in turns
// with MPI_Allgather, MPI_Reduce_scatter_block and MPI_Allreduce. Each is first checked against
// sums in rank order, ours to the bit. Times are those of the slowest rank. Bus bandwidth is
// nccl-tests': bytes that any algorithm must move through a rank, a second: S (n - 1) / n of a
// gathered or scattered array S, twice that of a sum. The ceiling is what all ranks at once copy in
// the same rounds.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "benchmarks/figures.h"
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

static void run_case(Figures *figures, Arrays *arrays, int which)
{
    const Case *c = &cases[which];
    int size = arrays->world.size;
    double bytes = (double)total(arrays) * sizeof(float);
    double moved = 1e-9 * c->factor * bytes * (size - 1) / size;
    Series ours = {0}, peer = {0}, copied = {0};
    fill(arrays);
    c->ours(arrays);
    verify(arrays, which, c->name);
    fill(arrays);
    c->peer(arrays);
    verify(arrays, which, c->peer_name);
    for (int round = -WARM_UP; round < ROUNDS; round++) {
        if (round == 0)
            ours = peer = copied = (Series){0};
        fill(arrays); // sums would else grow
        series_add(&ours, time_one(arrays, c->ours), moved);
        fill(arrays);
        series_add(&peer, time_one(arrays, c->peer), moved);
        series_add(&copied, time_one(arrays, copy), 1e-9 * bytes);
    }
    char shape[32];
    snprintf(shape, sizeof shape, "%.4g MiB", bytes / 0x1p20);
    figures_add(figures, &(Figure){.what = c->name,
                                   .shape = shape,
                                   .unit = "GB/s",
                                   .ours = &ours,
                                   .peer = c->peer_name,
                                   .theirs = &peer,
                                   .bound = "a copy of memory",
                                   .ceiling = copied.amounts[0] /
                                              times_of(copied.seconds, copied.count).middle});
}

static void make_arrays(Arrays *arrays, int64_t largest)
{
    int size = arrays->world.size;
    size_t room = (size_t)largest / sizeof(float) + (size_t)size * SHARD_ALIGNMENT;
    arrays->full = allocate(room, sizeof(float));
    arrays->shard = allocate(room / (size_t)size + SHARD_ALIGNMENT, sizeof(float));
    arrays->scratch = allocate(room, sizeof(float));
    arrays->other = allocate(room, sizeof(float));
    collective_mpi.join(&arrays->world);
}

static void free_arrays(Arrays *arrays)
{
    release(arrays->full);
    release(arrays->shard);
    release(arrays->scratch);
    release(arrays->other);
    group_free(&arrays->world);
}

int main(int argc, char **argv)
{
    Figures figures;
    group_start(&argc, &argv);
    figures_make(&figures, &argc, argv);
    Arrays arrays = {.world = group_world(), .kernels = kernels_cpu()};
    int64_t largest = (argc > 1 ? strtoll(argv[1], NULL, 10) : figures.quick ? 1 : 64) << 20;
    if (largest < 1 << 20 || argc > 2)
        die(EXIT_USAGE, "bench_collectives [LARGEST_MIB] [--quick] [--json FILE]");
    if (arrays.world.size < 2)
        die(EXIT_USAGE, "bench_collectives measures what ranks say to each other: mpirun -n 2");
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(library, &length);
    library[strcspn(library, ",\n")] = 0;
    make_arrays(&arrays, largest);
    figures_head(&figures, arrays.world.rank, arrays.world.size, library);
    for (int64_t bytes = 1 << 16; bytes <= largest; bytes *= 4) {
        arrays.local =
            shard_of(bytes / (int64_t)sizeof(float), arrays.world.rank, arrays.world.size).local;
        for (int which = 0; which < CASES; which++)
            run_case(&figures, &arrays, which);
    }
    figures_write(&figures);
    free_arrays(&arrays);
    group_stop();
    return EXIT_DONE;
}
