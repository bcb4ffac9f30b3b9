// test_cores.c - what a log says of ranks' cores, and how many threads a rank takes.

#define _GNU_SOURCE // sched_setaffinity
#include "tests/testing.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "parallel/cores.h"

// A rank of so many threads on cores [first, first + cores).
static RankCores rank_on(const char *host, int threads, int first, int cores)
{
    RankCores rank = {.threads = threads};
    snprintf(rank.host, sizeof rank.host, "%s", host);
    for (int i = first; i < first + cores; i++)
        rank.set[i / 64] |= (uint64_t)1 << i % 64;
    return rank;
}

static void expect(const RankCores *ranks, int count, const char *line, const char *advice)
{
    Bytes said = {0}, advised = {0};
    cores_describe(ranks, count, &said, &advised);
    assert_string_equal(said.data, line);
    if (advice)
        assert_non_null(strstr(advised.data, advice));
    else
        assert_int_equal(advised.length, 0);
    bytes_free(&said);
    bytes_free(&advised);
}

static void hosts_are_told_together_where_they_are_alike(void **state)
{
    (void)state;
    const RankCores one[] = {rank_on("vm", 2, 0, 2)};
    expect(one, 1, "vm: 1 rank of 2 threads on 2 cores", NULL);
    const RankCores alike[] = {rank_on("a", 8, 0, 64), rank_on("b", 8, 0, 64),
                               rank_on("a", 8, 0, 64), rank_on("b", 8, 0, 64)};
    expect(alike, 4, "each of 2 hosts: 2 ranks of 8 threads on 64 cores", NULL);
    const RankCores mixed[] = {rank_on("a", 1, 0, 2), rank_on("b", 1, 0, 1)};
    expect(mixed, 2, "a: 1 rank of 1 thread on 2 cores; b: 1 rank of 1 thread on 1 core", NULL);
    const RankCores uneven[] = {rank_on("a", 1, 0, 4), rank_on("a", 3, 0, 4)};
    expect(uneven, 2, "a: 2 ranks of about 2 threads on 4 cores", NULL);
}

static void of_many_unlike_hosts_the_first_are_told(void **state)
{
    (void)state;
    RankCores ranks[6];
    for (int r = 0; r < 6; r++) {
        char host[8];
        snprintf(host, sizeof host, "n%d", r);
        ranks[r] = rank_on(host, 1, 0, 1 + r);
    }
    Bytes line = {0}, advice = {0};
    cores_describe(ranks, 6, &line, &advice);
    assert_non_null(strstr(line.data, "n3: 1 rank of 1 thread on 4 cores; and 2 hosts more"));
    assert_null(strstr(line.data, "n4"));
    bytes_free(&line);
    bytes_free(&advice);
}

static void who_is_bound_to_fewer_cores_than_threads_is_told(void **state)
{
    (void)state;
    RankCores bound[] = {rank_on("a", 4, 0, 4), rank_on("a", 4, 4, 1)};
    bound[1].online = 8;
    expect(bound, 2,
           "a: 2 ranks of 4 threads on 5 cores, each bound to some: more threads than cores",
           "rank 1 on a has 4 threads for 1 core, on which they take turns: start with mpirun "
           "--bind-to none (or --map-by slot:PE=4), srun --cpus-per-task=4");
    const RankCores many[] = {rank_on("a", 4, 0, 2)};
    expect(many, 1, "a: 1 rank of 4 threads on 2 cores: more threads than cores",
           "rank 0 on a has 4 threads for 2 cores, on which they take turns: set "
           "parallel.threads or OMP_NUM_THREADS to 2");
    const RankCores shared[] = {rank_on("a", 1, 0, 1), rank_on("a", 1, 0, 1)};
    expect(shared, 2, "a: 2 ranks of 1 thread on 1 core: more threads than cores", NULL);
    RankCores part[] = {rank_on("a", 1, 0, 1)};
    part[0].online = 8;
    expect(part, 1, "a: 1 rank of 1 thread on 1 of 8 cores", NULL);
    const RankCores unknown[] = {rank_on("a", 4, 0, 0)};
    expect(unknown, 1, "a: 1 rank of 4 threads, cores not known", NULL);
}

static cpu_set_t allowed; // where this rank may run
static Group world;

// The `index`-th core that ranks may run on, counted around.
static size_t core_at(int index)
{
    size_t core = 0;
    for (int left = index % CPU_COUNT(&allowed); !CPU_ISSET(core, &allowed) || left-- > 0;)
        core++;
    return core;
}

static void bind_to(size_t core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

static void a_rank_knows_where_it_may_run(void **state)
{
    (void)state;
    size_t core = core_at(world.rank), *bound = allocate((size_t)world.size, sizeof *bound);
    group_all_gather(&world, &core, sizeof core, bound);
    bind_to(core);
    int root = world.size - 1;
    RankCores *ranks = cores_gather(&world, 3, root);
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    assert_true((ranks != NULL) == (world.rank == root));
    for (int r = 0; ranks && r < world.size; r++) {
        core = bound[r];
        assert_int_equal(ranks[r].threads, 3);
        for (size_t i = 0; i < CORES_WORDS; i++)
            assert_true(ranks[r].set[i] == (i == core / 64 ? (uint64_t)1 << core % 64 : 0));
    }
    release(ranks);
    release(bound);
}

static void ranks_share_the_cores_that_they_have_in_common(void **state)
{
    (void)state;
    int cores = CPU_COUNT(&allowed), all = cores_share(&world);
    if (cores == sysconf(_SC_NPROCESSORS_ONLN)) // nobody bound the ranks
        assert_int_equal(all, cores > world.size ? cores / world.size : 1);
    bind_to(core_at(world.rank));
    int share = cores_share(&world);
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    assert_int_equal(share, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_told_together_where_they_are_alike),
        cmocka_unit_test(of_many_unlike_hosts_the_first_are_told),
        cmocka_unit_test(who_is_bound_to_fewer_cores_than_threads_is_told),
        cmocka_unit_test(a_rank_knows_where_it_may_run),
        cmocka_unit_test(ranks_share_the_cores_that_they_have_in_common),
    };
    group_start(&argc, &argv);
    world = group_world();
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "no cores");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    group_free(&world);
    group_stop();
    return failed;
}
