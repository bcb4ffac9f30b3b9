// nccl.cpp - NCCL's calls, alone and in groups, become operations of streams.
//
// On a communicator that does not block they return ncclInProgress, and streams get the operations
// later, as with NCCL: what is asked of a stream before ncclCommGetAsyncError says ncclSuccess may
// come in front of them. All calls of a communicator in a group must name one stream.

#include <algorithm>

#include "tests/cuda_on_cpu/nccl_inside.h"

namespace cuda_on_cpu
{

enum { MOST_LOOKS = 4 };

// The group that is open.
static struct {
    int depth;
    std::vector<Call> calls;
    std::vector<Communicator> joining;
    ncclResult_t error; // of its first call that had one
} group;

bool group_is_open()
{
    return group.depth > 0;
}

void group_add(const Communicator &comm)
{
    group.joining.push_back(comm);
}

const char *call_name(Kind kind)
{
    switch (kind) {
    case Kind::SEND:
        return "ncclSend";
    case Kind::RECEIVE:
        return "ncclRecv";
    case Kind::ALL_GATHER:
        return "ncclAllGather";
    case Kind::BROADCAST:
        return "ncclBroadcast";
    case Kind::ALL_REDUCE:
        return "ncclAllReduce";
    case Kind::REDUCE_SCATTER:
        return "ncclReduceScatter";
    }
    return "";
}

size_t type_bytes(ncclDataType_t type)
{
    switch (type) {
    case ncclUint8:
        return 1;
    case ncclBfloat16:
        return 2;
    case ncclInt32:
    case ncclFloat32:
        return 4;
    case ncclInt64:
        return 8;
    }
    return 0;
}

// ---- what a call may be -------------------------------------------------------------------------

Span source_of(const Call &call)
{
    size_t bytes = call.count * type_bytes(call.type);
    size_t ranks = call.comm->members.size();
    bool none = call.kind == Kind::RECEIVE ||
                (call.kind == Kind::BROADCAST && call.peer != call.comm->self.rank);
    const char *from = static_cast<const char *>(call.from);
    return {const_cast<char *>(from), none                                ? 0
                                      : call.kind == Kind::REDUCE_SCATTER ? ranks * bytes
                                                                          : bytes};
}

Span destination_of(const Call &call)
{
    size_t bytes = call.count * type_bytes(call.type);
    size_t ranks = call.comm->members.size();
    return {static_cast<char *>(call.to), call.kind == Kind::SEND         ? 0
                                          : call.kind == Kind::ALL_GATHER ? ranks * bytes
                                                                          : bytes};
}

static ncclResult_t call_check(const Call &call)
{
    const char *name = call_name(call.kind);
    bool reduces = call.kind == Kind::ALL_REDUCE || call.kind == Kind::REDUCE_SCATTER;
    if (type_bytes(call.type) == 0)
        return refuse(ncclInvalidArgument, "%s : invalid type %d", name, call.type);
    if (call.peer < 0 || call.peer >= call.comm->self.size)
        return refuse(ncclInvalidArgument, "%s : invalid rank or root %d of %d", name, call.peer,
                      call.comm->self.size);
    if (reduces && call.operation != ncclSum && call.operation != ncclMax &&
        call.operation != ncclMin)
        return refuse(ncclInvalidArgument, "%s : invalid reduction operation %d", name,
                      call.operation);
    for (Span span : {source_of(call), destination_of(call)}) {
        if (!memory_is_reachable(span.first, span.bytes))
            return refuse(ncclInvalidArgument, "%s : %zu bytes at %p are not a device's", name,
                          span.bytes, static_cast<void *>(span.first));
    }
    return ncclSuccess;
}

// ---- groups -------------------------------------------------------------------------------------

// The calls of the communicator that the first call names; the others stay.
static std::vector<Call> first_communicator_take(std::vector<Call> *calls)
{
    Communicator comm = calls->front().comm;
    auto rest = std::stable_partition(calls->begin(), calls->end(),
                                      [&](const Call &call) { return call.comm == comm; });
    std::vector<Call> taken(calls->begin(), rest);
    calls->erase(calls->begin(), rest);
    return taken;
}

ncclResult_t job_issue(const Job &job)
{
    std::vector<Call> left = job.calls;
    while (!left.empty()) {
        std::vector<Call> calls = first_communicator_take(&left);
        for (const Call &call : calls) {
            if (call.stream != calls[0].stream)
                return refuse(ncclInvalidUsage, "a group's calls on one communicator name two "
                                                "streams, which is not emulated");
        }
        const char *name = calls.size() > 1 ? "a group of NCCL's calls" : call_name(calls[0].kind);
        if (enqueue(calls[0].stream, name, [calls] { return transfer_make(calls); }))
            return refuse(ncclUnhandledCudaError, "the stream is not the device's");
    }
    return ncclSuccess;
}

static ncclResult_t job_begin(const std::vector<Call> &calls)
{
    std::vector<Communicator> communicators;
    bool blocking = true;
    for (const Call &call : calls) {
        communicators.push_back(call.comm);
        blocking = blocking && call.comm->blocking;
    }
    if (blocking)
        return job_issue({calls, 0});
    int looks = settings().seed == 0   ? MOST_LOOKS
                : settings().seed == 1 ? 0
                                       : static_cast<int>(draw_turn(MOST_LOOKS));
    std::shared_ptr<Job> job = std::make_shared<Job>(Job{calls, looks});
    for (const Communicator &comm : communicators)
        comm->job = job;
    return ncclInProgress;
}

static ncclResult_t call_add(Call call, ncclComm_t comm)
{
    ncclResult_t result = communicator_ready(comm, &call.comm);
    if (result == ncclSuccess)
        result = call_check(call);
    if (result == ncclSuccess && call_begins(call_name(call.kind)))
        result = refuse(ncclUnhandledCudaError, "the device has failed");
    if (!group_is_open())
        return result == ncclSuccess ? job_begin({call}) : result;
    if (result == ncclSuccess)
        group.calls.push_back(call);
    else if (group.error == ncclSuccess)
        group.error = result;
    return result;
}

} // namespace cuda_on_cpu

using namespace cuda_on_cpu;

ncclResult_t ncclGroupStart()
{
    if (group.depth++ == 0)
        group.error = ncclSuccess;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd()
{
    if (group.depth == 0)
        return refuse(ncclInvalidUsage, "ncclGroupEnd: not in a group call.");
    if (--group.depth > 0)
        return ncclSuccess;
    std::vector<Call> calls;
    std::vector<Communicator> joining;
    calls.swap(group.calls);
    joining.swap(group.joining);
    if (group.error != ncclSuccess)
        return group.error;
    if (!joining.empty())
        return communicators_settle(joining);
    return calls.empty() ? ncclSuccess : job_begin(calls);
}

ncclResult_t ncclSend(const void *from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream)
{
    return call_add({Kind::SEND, NULL, stream, from, NULL, count, type, ncclSum, peer}, comm);
}

ncclResult_t ncclRecv(void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream)
{
    return call_add({Kind::RECEIVE, NULL, stream, NULL, to, count, type, ncclSum, peer}, comm);
}

ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream)
{
    return call_add({Kind::ALL_GATHER, NULL, stream, from, to, count, type, ncclSum, 0}, comm);
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream)
{
    return call_add({Kind::BROADCAST, NULL, stream, from, to, count, type, ncclSum, root}, comm);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream)
{
    return call_add({Kind::ALL_REDUCE, NULL, stream, from, to, count, type, operation, 0}, comm);
}

ncclResult_t ncclReduceScatter(const void *from, void *to, size_t count, ncclDataType_t type,
                               ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream)
{
    return call_add({Kind::REDUCE_SCATTER, NULL, stream, from, to, count, type, operation, 0},
                    comm);
}

ncclResult_t ncclGetVersion(int *version)
{
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    switch (result) {
    case ncclSuccess:
        return "no error";
    case ncclUnhandledCudaError:
        return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
        return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
        return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
        return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
        return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
        return "remote process exited or there was a network error";
    case ncclInProgress:
        return "NCCL operation in progress";
    }
    return "unknown result code";
}
