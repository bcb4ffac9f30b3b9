// nccl_inside.h - what the parts of the emulated NCCL share: communicators, and calls that become
// operations of streams.

#ifndef L2A_TESTS_CUDA_ON_CPU_NCCL_INSIDE_H
#define L2A_TESTS_CUDA_ON_CPU_NCCL_INSIDE_H

#include <nccl.h>

#include <memory>
#include <vector>

#include "tests/cuda_on_cpu/streams.h"
#include "tests/cuda_on_cpu/wire.h"

namespace cuda_on_cpu
{

// What a rank tells the maker of a communicator's id, and is told of the others.
struct Member {
    int rank, size; // in the communicator
    int world_rank;
    int device;
    cudaUUID_t uuid;
};

enum class Phase { JOINING, READY, FINALISING, FINALISED, ABORTED };

struct Job;

} // namespace cuda_on_cpu

struct ncclComm {
    cuda_on_cpu::Member self;
    int maker, tag; // of the id: its world rank, and the messages' tag
    bool blocking;
    cuda_on_cpu::Phase phase;
    ncclResult_t error;                       // ncclSuccess, or what has gone wrong
    std::vector<cuda_on_cpu::Member> members; // by rank
    std::shared_ptr<cuda_on_cpu::Job> job;    // calls that no stream has got yet, or NULL
    int64_t issued, ended;                    // operations: they take turns
    std::vector<bool> quiet;                  // members that have finalised
    bool said;                                // to them that this one has
};

namespace cuda_on_cpu
{

typedef std::shared_ptr<ncclComm> Communicator;

enum class Kind { SEND, RECEIVE, ALL_GATHER, BROADCAST, ALL_REDUCE, REDUCE_SCATTER };

struct Call {
    Kind kind;
    Communicator comm;
    cudaStream_t stream;
    const void *from;
    void *to;
    size_t count;
    ncclDataType_t type;
    ncclRedOp_t operation;
    int peer; // or root
};

// Calls between ncclGroupStart and ncclGroupEnd, until streams get them.
struct Job {
    std::vector<Call> calls;
    int looks; // after which they do
};

// ---- communicator.cpp ---------------------------------------------------------------------------

// What a call on a communicator begins with: its error, ncclInvalidArgument where the last call is
// still in progress.
ncclResult_t communicator_ready(ncclComm_t comm, Communicator *found);

// Records a message and returns the result.
ncclResult_t refuse(ncclResult_t result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Lets messages come, communicators join and jobs be issued.
void nccl_poll();

// A communicator that init has begun in a group, or a job: both are waited for where they block.
ncclResult_t communicators_settle(const std::vector<Communicator> &communicators);

// ---- transfer.cpp, combine.cpp ------------------------------------------------------------------

// The calls, all of one communicator, become one operation.
Advance transfer_make(const std::vector<Call> &calls);

// to = to and from, combined as a reduction says; of the `first`: from.
void combine(void *to, const void *from, const Call &call, bool first);

// ---- nccl.cpp -----------------------------------------------------------------------------------

struct Span {
    char *first;
    size_t bytes;
};

// What a call reads and writes on this rank.
Span source_of(const Call &call);
Span destination_of(const Call &call);

size_t type_bytes(ncclDataType_t type);
const char *call_name(Kind kind);

// Streams get the calls of the job.
ncclResult_t job_issue(const Job &job);

bool group_is_open();
// To be settled when the group ends.
void group_add(const Communicator &comm);

} // namespace cuda_on_cpu

#endif
