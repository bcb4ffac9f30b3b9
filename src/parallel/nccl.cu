// nccl.cu - the functions of NCCL that collectives call, from the library when it is loaded.

#include "parallel/communicator_nccl.h"

#include "kernels/cuda/libraries.h"

static Library nccl = {"libnccl.so.2", "NCCL, which several ranks with GPUs need", nullptr};

int nccl_load(void)
{
    return library_load(&nccl);
}

#define NCCL_FORWARD(name, parameters, arguments)                                                  \
    FORWARD(nccl, ncclResult_t, name, parameters, arguments)

FORWARD(nccl, const char *, ncclGetErrorString, (ncclResult_t result), (result))
FORWARD(nccl, const char *, ncclGetLastError, (ncclComm_t comm), (comm))
NCCL_FORWARD(ncclGetVersion, (int *version), (version))
NCCL_FORWARD(ncclGetUniqueId, (ncclUniqueId * id), (id))
NCCL_FORWARD(ncclCommInitRankConfig,
             (ncclComm_t * comm, int size, ncclUniqueId id, int rank, ncclConfig_t *config),
             (comm, size, id, rank, config))
NCCL_FORWARD(ncclCommGetAsyncError, (ncclComm_t comm, ncclResult_t *result), (comm, result))
NCCL_FORWARD(ncclCommFinalize, (ncclComm_t comm), (comm))
NCCL_FORWARD(ncclCommDestroy, (ncclComm_t comm), (comm))
NCCL_FORWARD(ncclCommAbort, (ncclComm_t comm), (comm))
NCCL_FORWARD(ncclGroupStart, (), ())
NCCL_FORWARD(ncclGroupEnd, (), ())
NCCL_FORWARD(ncclAllGather,
             (const void *from, void *to, size_t count, ncclDataType_t type, ncclComm_t comm,
              cudaStream_t stream),
             (from, to, count, type, comm, stream))
NCCL_FORWARD(ncclBroadcast,
             (const void *from, void *to, size_t count, ncclDataType_t type, int root,
              ncclComm_t comm, cudaStream_t stream),
             (from, to, count, type, root, comm, stream))
NCCL_FORWARD(ncclSend,
             (const void *from, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
              cudaStream_t stream),
             (from, count, type, peer, comm, stream))
NCCL_FORWARD(ncclRecv,
             (void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
              cudaStream_t stream),
             (to, count, type, peer, comm, stream))
