#include "parallel/recorder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "parallel/rank_files.h"

static RankRecord own; // until there is a file, and where there is none
static RankRecord *record = &own;
static int64_t unit = -1;
static char *directory; // owned; NULL: none is open

// ---- where --------------------------------------------------------------------------------------

static void move_to(RankRecord *place)
{
    if (place != record)
        memcpy(place, record, sizeof *place);
    activity_move(&place->activity);
    record = place;
}

static int open_file(int rank)
{
    RankRecord *mapped = rank_file_map(directory, rank);
    if (mapped)
        move_to(mapped);
    return mapped ? 0 : -1;
}

// One number for the job, one moment for all clocks.
static void mark(const Group *all)
{
    uint64_t job = (uint64_t)clock_nanoseconds() ^ (uint64_t)getpid() << 40;
    group_broadcast(all, &job, sizeof job, 0);
    record->rank = all->rank;
    record->pid = (int32_t)getpid();
    if (gethostname(record->host, sizeof record->host - 1) != 0)
        snprintf(record->host, sizeof record->host, "unknown");
    group_barrier(all);
    record->origin = clock_nanoseconds();
    atomic_store(&record->beat, record->origin);
    record->job = job | 1;
}

void recorder_open(const Group *all, const char *path)
{
    CHECK(!directory, "%s is open already", directory);
    directory = duplicate(path);
    int status = group_agree(all, all->rank == 0 ? rank_files_make(directory) : 0);
    if (status == 0)
        status = group_agree(all, open_file(all->rank));
    if (status != 0) {
        if (all->rank == 0)
            warn("%s: if a rank hangs, the others cannot tell which, and end the job when "
                 "[parallel] deadline has passed",
                 fail_message());
        recorder_close(all);
    }
    activity_move(&record->activity);
    mark(all);
}

void recorder_close(const Group *all)
{
    bool mapped = record != &own;
    if (!directory)
        return;
    group_barrier(all); // nobody looks any more
    move_to(&own);
    if (mapped)
        rank_file_remove(directory, all->rank);
    group_barrier(all);
    if (all->rank == 0)
        rmdir(directory);
    release(directory);
    directory = NULL;
}

const char *recorder_directory(void)
{
    return directory;
}

RankRecord *recorder_own(void)
{
    return record;
}

// ---- groups -------------------------------------------------------------------------------------

// The same on its members, and never given twice.
static uint64_t identify(MPI_Comm comm)
{
    static uint32_t made; // by this rank, as the first of a group
    int world;
    MPI_Comm_rank(MPI_COMM_WORLD, &world);
    uint64_t id = (uint64_t)(world + 1) << 32 | ++made;
    MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, comm);
    return id;
}

int recorder_add_group(MPI_Comm comm, int size, const char *name)
{
    if (size == 1)
        return 0;
    uint64_t id = identify(comm);
    for (int g = 1; g < RECORD_GROUPS; g++) {
        RecordedGroup *group = &record->groups[g];
        if (group->id != 0)
            continue;
        group->sequence = 0;
        snprintf(group->name, sizeof group->name, "%s", name);
        group->id = id;
        return g;
    }
    return 0; // waits in what is beyond the table are not seen
}

void recorder_drop_group(int group)
{
    CHECK(group >= 0 && group < RECORD_GROUPS, "group %d", group);
    if (group > 0)
        record->groups[group].id = 0;
}

// ---- calls --------------------------------------------------------------------------------------

static int64_t enter(int group, int64_t sequence, const char *what, int64_t bytes)
{
    int64_t number = atomic_load_explicit(&record->calls, memory_order_relaxed) + 1;
    RecordedCall *call = &record->ring[number % RECORD_CALLS];
    call->number = 0;
    atomic_thread_fence(memory_order_release);
    call->group = record->groups[group].id;
    call->sequence = sequence;
    call->bytes = bytes;
    call->unit = unit;
    call->entered = clock_nanoseconds();
    call->waited = call->left = call->outer = 0;
    call->device = 0;
    strncpy(call->what, what, sizeof call->what - 1);
    atomic_thread_fence(memory_order_release);
    call->number = number;
    atomic_store_explicit(&record->calls, number, memory_order_release);
    return number;
}

int64_t recorder_enter(int group, const char *what, int64_t bytes)
{
    return group == 0 ? 0 : enter(group, ++record->groups[group].sequence, what, bytes);
}

int64_t recorder_enter_any(int group, const char *what)
{
    return group == 0 ? 0 : enter(group, 0, what, 0);
}

// NULL: newer ones have taken its place.
static RecordedCall *find(int64_t number)
{
    RecordedCall *call = &record->ring[number % RECORD_CALLS];
    return number > 0 && call->number == number ? call : NULL;
}

static void wait_for(int64_t number, bool device)
{
    RecordedCall *call = find(number);
    if (!call || call->waited != 0)
        return;
    call->device = device;
    call->outer = atomic_load_explicit(&record->waiting, memory_order_relaxed);
    call->waited = clock_nanoseconds();
    atomic_store_explicit(&record->waiting, number, memory_order_release);
}

void recorder_wait(int64_t number)
{
    wait_for(number, false);
}

void recorder_wait_device(int64_t number)
{
    wait_for(number, true);
}

void recorder_leave(int64_t number)
{
    RecordedCall *call = find(number);
    if (!call)
        return;
    call->left = clock_nanoseconds();
    if (atomic_load_explicit(&record->waiting, memory_order_relaxed) != number)
        return;
    const RecordedCall *outer = find(call->outer);
    atomic_store_explicit(&record->waiting, outer && outer->left == 0 ? outer->number : 0,
                          memory_order_release);
}

void recorder_set_unit(int64_t which)
{
    unit = which;
}
