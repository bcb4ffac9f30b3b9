// communicator_nccl.h - NCCL's communicators, and the operations under way on them; inside
// `parallel` only.
//
// Operations run in the order in which they are begun, on one stream of their own. An operation
// starts when the kernels' stream has come to where it was begun, and the kernels' stream waits for
// it where it is ended; the host waits for neither. Whoever waits for a stream of the device looks
// after them: an error of NCCL ends the program with the name of the rank, and an operation that is
// due is recorded as waited for, and judged when the deadline has passed (parallel/watchdog.h).

#ifndef L2A_PARALLEL_COMMUNICATOR_NCCL_H
#define L2A_PARALLEL_COMMUNICATOR_NCCL_H

#include <nccl.h>

#include "kernels/cuda/cuda.h"

extern "C" {
#include "parallel/collective.h"
}

// 0, or -1 with the reason recorded; before the first call of a function of NCCL.
int nccl_load(void);

typedef struct Communicator {
    ncclComm_t comm; // owned
    int rank, size;
    struct Communicator *next; // of the list of all
} Communicator;

// The first time makes a group's communicator, which group_free frees. Collective over group.
void communicator_join(const Group *group);

Communicator *communicator_of(const Group *group); // of a group that has been joined

// The stream of operations.
cudaStream_t operations_stream(void);

struct Operation {
    Communicator *communicator; // borrowed
    int64_t call;               // in parallel/recorder.h
    const char *what;
    int64_t bytes;
    cudaEvent_t ready; // owned: the kernels' stream has come to its beginning
    cudaEvent_t done;  // owned: the stream of operations has come to its end
    bool ended;        // the kernels' stream waits for `done`
};

// A new operation, whose `ready` is recorded: the caller lets the stream of operations wait for it,
// gives that stream its work, and calls operation_given. `bytes` are the same on all members.
Operation *operation_begin(const Group *group, const char *what, int64_t bytes);

// Records `done`, which the caller lets the kernels' stream wait for before operation_end.
void operation_given(Operation *operation);
void operation_end(Operation *operation);

// Dies of an error of NCCL or a missed deadline; never waits.
void operations_watch(void);

// Dies unless a call of NCCL was accepted.
#define NCCL(call) nccl_check((call), #call)
void nccl_check(ncclResult_t result, const char *call);

// publication_nccl.cu
Publication *publication_make_nccl(const World *world, const Kernels *kernels, int shards,
                                   int64_t largest, int ranks_per_node);
void publication_free_nccl(Publication *publication);
Elements publish_nccl(Publication *publication, Elements shard, int64_t local, ElementType type);

static inline ncclDataType_t nccl_type(ElementType type)
{
    return type == TYPE_BF16 ? ncclBfloat16 : ncclFloat;
}

#endif
