// publication_mpi.c - publication through windows of MPI-3 shared memory; see collective.h.

#include <string.h>
#include <sys/statvfs.h>

#include "base/fail.h"
#include "parallel/collective_mpi.h"
#include "parallel/recorder.h"

enum { TAG = 999 }; // of shards; mail's begin above

// Where a rank stands.
typedef struct {
    int node;  // world rank of its node's first rank
    int place; // among the ranks of the node
    int count; // of them
} Seat;

typedef struct {
    int shard, source; // world rank
} Arrival;

struct Publication {
    const World *world;     // borrowed
    const Kernels *kernels; // borrowed
    int shards, replicas;   // learner ranks = shards * replicas
    Group node;             // the ranks that share the memory
    MPI_Win window;         // of it; MPI_WIN_NULL: it is this rank's own
    char *unit;             // in the window, or owned
    Seat *seats;            // owned, one a rank
    int shard;              // that this rank writes; -1: none
    int *targets;           // owned: world ranks that get it sent
    int target_count;
    Arrival *arrivals; // owned: what this rank receives for its node
    int arrival_count;
    MPI_Request *requests; // owned, of both
};

// World rank of the first learner rank on a node that holds a shard; -1: none does.
static int writer_on(const Publication *publication, int node, int shard)
{
    int first = publication->world->first[ROLE_LEARNER] + shard;
    for (int replica = 0; replica < publication->replicas; replica++) {
        int rank = first + replica * publication->shards;
        if (publication->seats[rank].node == node)
            return rank;
    }
    return -1;
}

// Who sends a shard to the node of this number: replicas take turns.
static int source_for(const Publication *publication, int number, int shard)
{
    int replica = number % publication->replicas;
    int holder = publication->world->first[ROLE_LEARNER] + replica * publication->shards + shard;
    return writer_on(publication, publication->seats[holder].node, shard);
}

// Which rank of a node receives a shard.
static int receiver_on(const Publication *publication, int node, int shard)
{
    int rank = node, place = shard % publication->seats[node].count;
    while (publication->seats[rank].node != node || publication->seats[rank].place != place)
        rank++;
    return rank;
}

static void plan_node(Publication *publication, int node, int number)
{
    int me = publication->world->all.rank, shard = publication->shard;
    if (shard >= 0 && writer_on(publication, node, shard) < 0 &&
        source_for(publication, number, shard) == me)
        publication->targets[publication->target_count++] = receiver_on(publication, node, shard);
    Seat seat = publication->seats[me];
    if (seat.node != node)
        return;
    for (shard = seat.place; shard < publication->shards; shard += seat.count)
        if (writer_on(publication, node, shard) < 0)
            publication->arrivals[publication->arrival_count++] =
                (Arrival){shard, source_for(publication, number, shard)};
}

static void plan_messages(Publication *publication)
{
    const World *world = publication->world;
    const Group *all = &world->all;
    Seat seat = {all->rank, publication->node.rank, publication->node.size};
    group_broadcast(&publication->node, &seat.node, sizeof seat.node, 0);
    publication->seats = allocate((size_t)all->size, sizeof(Seat));
    group_all_gather(all, &seat, sizeof seat, publication->seats);
    publication->shard = -1;
    if (world->has[ROLE_LEARNER]) {
        int shard = (all->rank - world->first[ROLE_LEARNER]) % publication->shards;
        if (writer_on(publication, seat.node, shard) == all->rank)
            publication->shard = shard;
    }
    publication->targets = allocate((size_t)all->size, sizeof(int));
    publication->arrivals = allocate((size_t)publication->shards, sizeof(Arrival));
    int number = 0;
    for (int rank = 0; rank < all->size; rank++)
        if (publication->seats[rank].node == rank)
            plan_node(publication, rank, number++);
    publication->requests = allocate(
        (size_t)(publication->target_count + publication->arrival_count) + 1, sizeof(MPI_Request));
}

// MPI libraries put windows there; one that does not fit ends in SIGBUS.
static bool shared_memory_has(size_t bytes)
{
    struct statvfs room;
    return statvfs("/dev/shm", &room) != 0 || room.f_bsize * room.f_bavail > bytes + bytes / 16;
}

static void share_memory(Publication *publication, size_t bytes)
{
    Group *node = &publication->node;
    int fits = shared_memory_has(bytes);
    group_broadcast(node, &fits, sizeof fits, 0);
    if (!fits) {
        if (node->rank == 0)
            warn("/dev/shm has no room for the %zu MiB that this node's %d ranks would share: each "
                 "takes a copy of its own (make it larger; of a container, --shm-size)",
                 (bytes >> 20) + 1, node->size);
        Group alone = group_split(node, node->rank, "one rank");
        group_free(node);
        *node = alone;
    }
    if (node->size == 1) {
        publication->unit = allocate(bytes, 1);
        return;
    }
    MPI_Aint size;
    int unit;
    char *mine;
    MPI_Win_allocate_shared(node->rank == 0 ? (MPI_Aint)bytes : 0, 1, MPI_INFO_NULL, node->comm,
                            &mine, &publication->window);
    MPI_Win_shared_query(publication->window, 0, &size, &unit, &publication->unit);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, publication->window);
}

Publication *publication_make_mpi(const World *world, const Kernels *kernels, int shards,
                                  int64_t largest, int ranks_per_node)
{
    Publication *publication = allocate(1, sizeof *publication);
    *publication = (Publication){.world = world,
                                 .kernels = kernels,
                                 .shards = shards,
                                 .replicas = world->count[ROLE_LEARNER] / shards,
                                 .window = MPI_WIN_NULL};
    if (world->all.size == 1)
        return publication;
    publication->node = ranks_per_node > 0
                            ? group_split(&world->all, world->all.rank / ranks_per_node, "the node")
                            : group_of_node(&world->all);
    share_memory(publication, (size_t)largest * sizeof(float));
    plan_messages(publication);
    return publication;
}

void publication_free_mpi(Publication *publication)
{
    if (!publication)
        return;
    if (publication->window != MPI_WIN_NULL) {
        MPI_Win_unlock_all(publication->window);
        MPI_Win_free(&publication->window);
    } else {
        release(publication->unit);
    }
    group_free(&publication->node);
    release(publication->seats);
    release(publication->targets);
    release(publication->arrivals);
    release(publication->requests);
    release(publication);
}

// What is written before is seen by all of the node behind it.
static void node_barrier(const Publication *publication)
{
    if (publication->window == MPI_WIN_NULL)
        return;
    MPI_Win_sync(publication->window);
    group_barrier(&publication->node);
    MPI_Win_sync(publication->window);
}

Elements publish_mpi(Publication *publication, Elements shard, int64_t local, ElementType type)
{
    const Group *all = &publication->world->all;
    if (all->size == 1)
        return shard;
    CHECK(shard.type == TYPE_F32 || shard.type == type || publication->shard < 0,
          "a bf16 shard published in fp32");
    char *unit = publication->unit;
    int64_t bytes = local * (int64_t)type_bytes(type);
    int count = mpi_count(local), open = 0;
    int64_t call = recorder_enter(all->record, "publication", bytes);
    recorder_wait(call);
    node_barrier(publication); // everybody has read the last unit
    for (int i = 0; i < publication->arrival_count; i++) {
        Arrival arrival = publication->arrivals[i];
        MPI_Irecv(unit + arrival.shard * bytes, count, mpi_type(type), arrival.source, TAG,
                  all->comm, &publication->requests[open++]);
    }
    if (publication->shard >= 0) {
        char *mine = unit + publication->shard * bytes;
        publication->kernels->convert(NULL, mine, type, shard, local);
        for (int i = 0; i < publication->target_count; i++)
            MPI_Isend(mine, count, mpi_type(type), publication->targets[i], TAG, all->comm,
                      &publication->requests[open++]);
    }
    MPI_Waitall(open, publication->requests, MPI_STATUSES_IGNORE);
    node_barrier(publication);
    recorder_leave(call);
    return (Elements){.data = unit, .type = type};
}
