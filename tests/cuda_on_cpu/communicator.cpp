// communicator.cpp - NCCL's communicators: how members find each other, agree, and part.
//
// The maker of an id gathers what the members tell it and tells all of them, in whatever call it is
// in; it need not be a member. The id's number, with its maker's rank, is the tag of all messages
// of the communicator, and is not used again.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <map>

#include "tests/cuda_on_cpu/nccl_inside.h"

namespace cuda_on_cpu
{

enum { JOIN_TAG = 1, FIRST_TAG = 2, MOST_IDS = 4096 };

struct Id {
    uint32_t magic;
    int maker, tag;
};

enum { MAGIC = 0x6e63636c };

struct Join {
    int tag;
    Member member;
};

static std::vector<Communicator> communicators;
static std::map<int, std::vector<Member>> gathered; // by tag, of ids that this rank made
static char last_error[256];

ncclResult_t refuse(ncclResult_t result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return result;
}

template <class Type> static Letter letter_of(const Type *things, size_t count)
{
    const char *first = reinterpret_cast<const char *>(things);
    return Letter(first, first + count * sizeof *things);
}

// ---- joining ------------------------------------------------------------------------------------

// The maker's part.
static void members_gather()
{
    Letter letter;
    while (wire_take_any(JOIN_TAG, &letter)) {
        Join join;
        memcpy(&join, letter.data(), sizeof join);
        std::vector<Member> &members = gathered[join.tag];
        members.push_back(join.member);
        if (members[0].size != join.member.size)
            wrong("ncclCommInitRank: rank %d of %d and rank %d of %d", members[0].rank,
                  members[0].size, join.member.rank, join.member.size);
        if (members.size() < static_cast<size_t>(join.member.size))
            continue;
        std::sort(members.begin(), members.end(),
                  [](const Member &a, const Member &b) { return a.rank < b.rank; });
        for (const Member &member : members)
            wire_send(member.world_rank, join.tag, letter_of(members.data(), members.size()));
        gathered.erase(join.tag);
    }
}

static void members_check(ncclComm *comm)
{
    for (size_t i = 0; i < comm->members.size(); i++) {
        const Member &member = comm->members[i];
        if (member.rank != static_cast<int>(i))
            wrong("ncclCommInitRank: two processes are rank %d", member.rank);
        bool own = member.rank == comm->self.rank;
        if (!own && memcmp(&member.uuid, &comm->self.uuid, sizeof member.uuid) == 0)
            comm->error =
                refuse(ncclInvalidUsage, "Duplicate GPU detected : rank %d and rank %d both on %s",
                       comm->self.rank, member.rank, member.uuid.bytes);
    }
}

static void join_poll(ncclComm *comm)
{
    Letter letter;
    if (!wire_take(comm->maker, comm->tag, &letter))
        return;
    comm->members.resize(static_cast<size_t>(comm->self.size));
    memcpy(comm->members.data(), letter.data(), letter.size());
    comm->quiet.assign(comm->members.size(), false);
    comm->phase = Phase::READY;
    members_check(comm);
}

// ---- parting ------------------------------------------------------------------------------------

// Once all operations have ended, an empty letter to each member says so.
static void finalise_poll(ncclComm *comm)
{
    if (comm->ended < comm->issued)
        return;
    for (const Member &member : comm->members) {
        if (!comm->said)
            wire_send(member.world_rank, comm->tag, Letter());
    }
    comm->said = true;
    Letter letter;
    bool all = true;
    for (size_t i = 0; i < comm->members.size(); i++) {
        if (!comm->quiet[i] && wire_take(comm->members[i].world_rank, comm->tag, &letter)) {
            if (!letter.empty())
                wrong("ncclCommFinalize: rank %zu still communicates", i);
            comm->quiet[i] = true;
        }
        all = all && comm->quiet[i];
    }
    if (all)
        comm->phase = Phase::FINALISED;
}

// ---- progress -----------------------------------------------------------------------------------

static void job_poll(ncclComm *comm)
{
    std::shared_ptr<Job> job = comm->job;
    if (!job || job->looks-- > 0)
        return;
    for (const Communicator &other : communicators) {
        if (other->job == job)
            other->job = NULL;
    }
    ncclResult_t result = job_issue(*job);
    if (result != ncclSuccess)
        comm->error = result;
}

void nccl_poll()
{
    wire_poll();
    members_gather();
    for (size_t i = 0; i < communicators.size(); i++) {
        ncclComm *comm = communicators[i].get();
        if (comm->phase == Phase::JOINING)
            join_poll(comm);
        else if (comm->phase == Phase::FINALISING)
            finalise_poll(comm);
        job_poll(comm);
    }
}

static bool in_progress(const ncclComm *comm)
{
    return comm->error == ncclSuccess &&
           (comm->phase == Phase::JOINING || comm->phase == Phase::FINALISING || comm->job);
}

static ncclResult_t state_of(const ncclComm *comm)
{
    return in_progress(comm) ? ncclInProgress : comm->error;
}

ncclResult_t communicators_settle(const std::vector<Communicator> &settled)
{
    for (const Communicator &comm : settled) {
        if (!comm->blocking)
            return ncclInProgress;
    }
    streams_wait(NULL, [&settled] {
        nccl_poll();
        return std::none_of(settled.begin(), settled.end(),
                            [](const Communicator &comm) { return in_progress(comm.get()); });
    });
    for (const Communicator &comm : settled) {
        if (comm->error != ncclSuccess)
            return comm->error;
    }
    return ncclSuccess;
}

static Communicator find(ncclComm_t comm)
{
    for (const Communicator &known : communicators) {
        if (known.get() == comm)
            return known;
    }
    return NULL;
}

static void forget(ncclComm_t comm)
{
    communicators.erase(
        std::remove_if(communicators.begin(), communicators.end(),
                       [comm](const Communicator &known) { return known.get() == comm; }),
        communicators.end());
}

ncclResult_t communicator_ready(ncclComm_t comm, Communicator *found)
{
    *found = find(comm);
    if (!*found)
        return refuse(ncclInvalidArgument, "not a communicator");
    if (in_progress(comm))
        return refuse(ncclInvalidArgument, "Attempt to use communicator before the previous "
                                           "operation returned ncclSuccess");
    if (comm->phase == Phase::FINALISED)
        return refuse(ncclInvalidUsage, "the communicator is finalised");
    return comm->error;
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

const char *ncclGetLastError(ncclComm_t)
{
    return last_error;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    static int made;
    if (!wire_is_open())
        return refuse(ncclSystemError, "MPI has not begun");
    if (made == MOST_IDS)
        wrong("more than %d communicators of one maker", MOST_IDS);
    Id own = {MAGIC, wire_rank(), FIRST_TAG + wire_rank() * MOST_IDS + made++};
    *id = {};
    memcpy(id->internal, &own, sizeof own);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    return ncclCommInitRankConfig(comm, ranks, id, rank, &config);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config)
{
    Id known;
    memcpy(&known, id.internal, sizeof known);
    cudaDeviceProp properties;
    if (!wire_is_open())
        return refuse(ncclSystemError, "MPI has not begun");
    if (rank < 0 || rank >= ranks || known.magic != MAGIC)
        return refuse(ncclInvalidArgument, "rank %d of %d, or an id that nobody made", rank, ranks);
    if (call_begins("ncclCommInitRank") ||
        cudaGetDeviceProperties(&properties, device_current()) != cudaSuccess)
        return refuse(ncclUnhandledCudaError, "there is no device");
    Communicator made = std::make_shared<ncclComm>();
    made->self = {rank, ranks, wire_rank(), device_current(), properties.uuid};
    made->maker = known.maker;
    made->tag = known.tag;
    made->blocking = !config || config->blocking != 0;
    Join join = {known.tag, made->self};
    wire_send(known.maker, JOIN_TAG, letter_of(&join, 1));
    communicators.push_back(made);
    *comm = made.get();
    if (group_is_open()) {
        group_add(made);
        return made->blocking ? ncclSuccess : ncclInProgress;
    }
    return communicators_settle({made});
}

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
    Communicator found;
    ncclResult_t result = communicator_ready(comm, &found);
    if (result != ncclSuccess)
        return result;
    comm->phase = Phase::FINALISING;
    return communicators_settle({found});
}

// One that has failed can only be aborted.
ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    Communicator found = find(comm);
    if (!found)
        return refuse(ncclInvalidArgument, "not a communicator");
    if (comm->error != ncclSuccess)
        return refuse(comm->error, "a communicator with an error has to be aborted");
    if (comm->phase == Phase::READY)
        comm->phase = Phase::FINALISING;
    comm->blocking = true;
    ncclResult_t result = communicators_settle({found});
    forget(comm);
    return result;
}

// Operations under way end at once; where they wrote is nonsense.
ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    Communicator found = find(comm);
    if (!found)
        return refuse(ncclInvalidArgument, "not a communicator");
    found->phase = Phase::ABORTED;
    found->job = NULL;
    forget(comm);
    return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
    if (!find(comm))
        return refuse(ncclInvalidArgument, "not a communicator");
    nccl_poll();
    *error = state_of(comm);
    streams_asked(*error != ncclInProgress);
    return ncclSuccess;
}

ncclResult_t ncclCommCount(ncclComm_t comm, int *count)
{
    Communicator found;
    ncclResult_t result = communicator_ready(comm, &found);
    *count = found ? comm->self.size : 0;
    return result;
}

ncclResult_t ncclCommCuDevice(ncclComm_t comm, int *device)
{
    Communicator found;
    ncclResult_t result = communicator_ready(comm, &found);
    *device = found ? comm->self.device : 0;
    return result;
}

ncclResult_t ncclCommUserRank(ncclComm_t comm, int *rank)
{
    Communicator found;
    ncclResult_t result = communicator_ready(comm, &found);
    *rank = found ? comm->self.rank : 0;
    return result;
}
