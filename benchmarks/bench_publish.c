// bench_publish.c - how fast weights come from learner ranks to all, beside plain copying.
//
//     mpirun -n RANKS bench_publish MODEL [LEARNERS [RANKS_PER_NODE]]
//
// MODEL: a Hugging Face directory (config.json is read; the weights are made up). LEARNERS: how
// many of the ranks, the last ones, hold shards; all of them otherwise. RANKS_PER_NODE: as if so
// many ranks were a node. Only the transport is timed: nobody packs what came. In turns with it the
// same ranks copy the same shards, as they hold them, each to memory of its own. Medians of ROUNDS.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "model/parameters.h"
#include "parallel/collective.h"

enum { ROUNDS = 15 };

typedef struct {
    World world;
    Parameters parameters;
    Publication *publication;
    void *shards; // owned: of this rank, fp32
    char *copy;   // owned: room for the largest unit
    int learners;
} Bench;

static double publish_all(const Bench *bench, Elements shards, ElementType type)
{
    group_barrier(&bench->world.all);
    double since = clock_now();
    for (int64_t u = 0; u < bench->parameters.unit_count; u++) {
        const Unit *unit = &bench->parameters.units[u];
        collective_mpi.publish(bench->publication, elements_from(shards, unit->local_offset),
                               unit->shard.local, type);
    }
    group_barrier(&bench->world.all);
    return clock_now() - since;
}

static double copy_all(const Bench *bench, ElementType type)
{
    Elements shards = {bench->shards, type};
    group_barrier(&bench->world.all);
    double since = clock_now();
    for (int64_t u = 0; u < bench->parameters.unit_count; u++) {
        const Unit *unit = &bench->parameters.units[u];
        if (bench->world.has[ROLE_LEARNER])
            memcpy(bench->copy, elements_from(shards, unit->local_offset).data,
                   (size_t)unit->shard.local * type_bytes(type));
    }
    group_barrier(&bench->world.all);
    return clock_now() - since;
}

static void compare(const Bench *bench, const char *what, ElementType held, ElementType type)
{
    double published[ROUNDS], copied[ROUNDS], elements = 0;
    Elements shards = {bench->shards, held};
    for (int64_t u = 0; u < bench->parameters.unit_count; u++)
        elements += (double)bench->parameters.units[u].shard.padded;
    publish_all(bench, shards, type); // memory is touched for the first time
    copy_all(bench, held);
    for (int r = 0; r < ROUNDS; r++) {
        published[r] = publish_all(bench, shards, type);
        copied[r] = copy_all(bench, held);
    }
    double there = times_of(published, ROUNDS).middle, plain = times_of(copied, ROUNDS).middle;
    double came = elements * (double)type_bytes(type),
           held_bytes = elements * (double)type_bytes(held);
    if (bench->world.all.rank == 0)
        printf(
            "%-24s %6.0f MB in %7.2f ms, %6.2f GB/s; memcpy of %6.0f MB in %7.2f ms, %6.2f GB/s: "
            "%.2f of its speed\n",
            what, came / 1e6, 1e3 * there, came / there / 1e9, held_bytes / 1e6, 1e3 * plain,
            held_bytes / plain / 1e9, plain / there);
}

static void open_bench(Bench *bench, const char *model, int learners, int ranks_per_node)
{
    ModelShape shape;
    Group all = group_world();
    learners = learners > 0 ? learners : all.size;
    WorldPlan plan = {
        .split = learners < all.size, .rollout = all.size - learners, .learner = learners};
    if (world_make(&bench->world, plan) != 0 || shape_read(&shape, model, NULL) != 0)
        die_failed();
    const World *world = &bench->world;
    int rank = world->has[ROLE_LEARNER] ? world->group[ROLE_LEARNER].rank : 0;
    parameters_make(&bench->parameters, &shape, rank, learners);
    bench->shards = allocate((size_t)bench->parameters.local, sizeof(float));
    parameters_randomise(&bench->parameters, 1, bench->shards);
    bench->copy = allocate((size_t)bench->parameters.largest, sizeof(float));
    bench->publication = collective_mpi.publication_make(world, kernels_cpu(), learners,
                                                         bench->parameters.largest, ranks_per_node);
}

int main(int argc, char **argv)
{
    Bench bench;
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: mpirun -n RANKS bench_publish MODEL [LEARNERS [RANKS_PER_NODE]]\n");
        return EXIT_USAGE;
    }
    group_start(&argc, &argv);
    open_bench(&bench, argv[1], argc > 2 ? atoi(argv[2]) : 0, argc > 3 ? atoi(argv[3]) : 0);
    compare(&bench, "fp32", TYPE_F32, TYPE_F32);
    compare(&bench, "bf16 from fp32 masters", TYPE_F32, TYPE_BF16);
    compare(&bench, "bf16 from bf16", TYPE_BF16, TYPE_BF16);
    collective_mpi.publication_free(bench.publication);
    release(bench.shards);
    release(bench.copy);
    parameters_free(&bench.parameters);
    world_free(&bench.world);
    group_stop();
    return EXIT_DONE;
}
