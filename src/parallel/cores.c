#define _GNU_SOURCE // sched_getaffinity
#include "parallel/cores.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_TOLD = 4 };

// The ranks of one host.
typedef struct {
    const char *name;
    int ranks, threads; // of all of them
    int online;         // cores
    bool even;          // each has as many threads
    bool bound;         // not every rank may run on all of them
    uint64_t set[CORES_WORDS];
} Host;

// Those of this process, whose team has so many threads.
static RankCores cores_of_rank(int threads)
{
    RankCores mine = {.threads = threads, .online = (int32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    cpu_set_t allowed;
    if (gethostname(mine.host, sizeof mine.host - 1) != 0)
        snprintf(mine.host, sizeof mine.host, "unknown");
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return mine; // more cores than a set holds
    for (int i = 0; i < CORES_MOST && i < CPU_SETSIZE; i++) {
        if (CPU_ISSET((size_t)i, &allowed))
            mine.set[i / 64] |= (uint64_t)1 << i % 64;
    }
    return mine;
}

RankCores *cores_gather(const Group *group, int threads, int root)
{
    RankCores mine = cores_of_rank(threads);
    RankCores *all = group->rank == root ? allocate((size_t)group->size, sizeof *all) : NULL;
    group_gather(group, &mine, sizeof mine, all, root);
    return all;
}

static int count_of(const uint64_t set[CORES_WORDS])
{
    int count = 0;
    for (int i = 0; i < CORES_WORDS; i++)
        count += __builtin_popcountll(set[i]);
    return count;
}

static bool overlap(const uint64_t a[CORES_WORDS], const uint64_t b[CORES_WORDS])
{
    for (int i = 0; i < CORES_WORDS; i++) {
        if (a[i] & b[i])
            return true;
    }
    return false;
}

int cores_share(const Group *node)
{
    RankCores mine = cores_of_rank(0);
    RankCores *ranks = allocate((size_t)node->size, sizeof *ranks);
    group_all_gather(node, &mine, sizeof mine, ranks);
    int sharing = 0, cores = count_of(mine.set);
    for (int r = 0; r < node->size; r++)
        sharing += overlap(mine.set, ranks[r].set);
    release(ranks);
    if (cores == 0) { // not known
        cores = mine.online;
        sharing = node->size;
    }
    return cores / sharing > 1 ? cores / sharing : 1;
}

static void host_add(Host *host, const RankCores *rank)
{
    host->even = host->even && rank->threads * host->ranks == host->threads;
    host->bound = host->bound || memcmp(host->set, rank->set, sizeof host->set) != 0;
    host->ranks++;
    host->threads += rank->threads;
    for (int i = 0; i < CORES_WORDS; i++)
        host->set[i] |= rank->set[i];
}

// The host's ranks, from the first of them on.
static Host host_of(const RankCores *ranks, int first, int count)
{
    Host host = {.name = ranks[first].host, .online = ranks[first].online, .even = true};
    memcpy(host.set, ranks[first].set, sizeof host.set);
    for (int r = first; r < count; r++) {
        if (strcmp(ranks[r].host, host.name) == 0)
            host_add(&host, &ranks[r]);
    }
    return host;
}

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

static void host_describe(const Host *host, Bytes *text)
{
    int cores = count_of(host->set), each = host->threads / host->ranks;
    bytes_print(text, "%d rank%s of %s%d thread%s", host->ranks, plural(host->ranks),
                host->even ? "" : "about ", each, plural(each));
    if (cores == 0) {
        bytes_append_text(text, ", cores not known");
        return;
    }
    bytes_print(text, " on %d ", cores);
    if (host->online > cores)
        bytes_print(text, "of %d ", host->online);
    bytes_print(text, "core%s%s%s", plural(host->online > cores ? host->online : cores),
                host->bound ? ", each bound to some" : "",
                host->threads > cores ? ": more threads than cores" : "");
}

static bool is_first_of_host(const RankCores *ranks, int rank)
{
    for (int r = 0; r < rank; r++) {
        if (strcmp(ranks[r].host, ranks[rank].host) == 0)
            return false;
    }
    return true;
}

// What keeps them on fewer cores is the launcher, where the host has more, else the settings.
static void advise(const RankCores *ranks, int count, Bytes *advice)
{
    for (int r = 0; r < count; r++) {
        int cores = count_of(ranks[r].set), threads = ranks[r].threads;
        if (cores == 0 || threads <= cores)
            continue;
        bytes_print(advice,
                    "rank %d on %s has %d threads for %d core%s, on which they take turns: ", r,
                    ranks[r].host, threads, cores, plural(cores));
        if (ranks[r].online > cores)
            bytes_print(advice,
                        "start with mpirun --bind-to none (or --map-by slot:PE=%d), srun "
                        "--cpus-per-task=%d, or with parallel.threads = %d",
                        threads, threads, cores);
        else
            bytes_print(advice, "set parallel.threads or OMP_NUM_THREADS to %d", cores);
        return;
    }
}

void cores_describe(const RankCores *ranks, int count, Bytes *line, Bytes *advice)
{
    Bytes first = {0}, other = {0};
    int hosts = 0, told = 0;
    bool alike = true;
    for (int r = 0; r < count; r++) {
        if (!is_first_of_host(ranks, r))
            continue;
        Host host = host_of(ranks, r, count);
        Bytes *text = hosts++ == 0 ? &first : &other;
        bytes_clear(text);
        host_describe(&host, text);
        alike = alike && strcmp(text->data, first.data) == 0;
    }
    if (hosts > 1 && alike)
        bytes_print(line, "each of %d hosts: %s", hosts, first.data);
    for (int r = 0; r < count && !(hosts > 1 && alike); r++) {
        if (!is_first_of_host(ranks, r) || told++ >= HOSTS_TOLD)
            continue;
        Host host = host_of(ranks, r, count);
        bytes_print(line, "%s%s: ", told > 1 ? "; " : "", host.name);
        host_describe(&host, line);
    }
    if (told > HOSTS_TOLD)
        bytes_print(line, "; and %d hosts more", told - HOSTS_TOLD);
    bytes_free(&first);
    bytes_free(&other);
    advise(ranks, count, advice);
}
