// publication_nccl.cu - publication over NCCL: a unit is a broadcast of each of its shards, all at
// once, from the first learner rank that holds it.

#include "parallel/communicator_nccl.h"

struct Publication {
    const World *world;     // borrowed
    const Kernels *kernels; // borrowed
    int shards;
    int shard;  // that this rank sends; -1: none
    char *unit; // owned, device
};

Publication *publication_make_nccl(const World *world, const Kernels *kernels, int shards,
                                   int64_t largest, int ranks_per_node)
{
    (void)ranks_per_node; // NCCL knows the nodes
    Publication *made = static_cast<Publication *>(allocate(1, sizeof *made));
    int learner = world->all.rank - world->first[ROLE_LEARNER];
    *made = {world, kernels, shards, -1, NULL};
    if (learner >= 0 && learner < shards)
        made->shard = learner;
    communicator_join(&world->all);
    if (world->all.size > 1)
        made->unit =
            static_cast<char *>(kernels->memory_make(static_cast<size_t>(largest) * sizeof(float)));
    return made;
}

void publication_free_nccl(Publication *publication)
{
    if (!publication)
        return;
    if (publication->unit)
        publication->kernels->memory_free(publication->unit);
    release(publication);
}

Elements publish_nccl(Publication *publication, Elements shard, int64_t local, ElementType type)
{
    const World *world = publication->world;
    if (world->all.size == 1)
        return shard;
    size_t bytes = static_cast<size_t>(local) * type_bytes(type);
    if (publication->shard >= 0) {
        CHECK(shard.type == TYPE_F32 || shard.type == type, "a bf16 shard published in fp32");
        publication->kernels->convert(
            NULL, publication->unit + static_cast<size_t>(publication->shard) * bytes, type, shard,
            local);
    }
    Operation *operation = operation_begin(&world->all, "publication", static_cast<int64_t>(bytes));
    ncclComm_t comm = operation->communicator->comm;
    CUDA(cudaStreamWaitEvent(operations_stream(), operation->ready, 0));
    NCCL(ncclGroupStart());
    for (int s = 0; s < publication->shards; s++) {
        char *place = publication->unit + static_cast<size_t>(s) * bytes;
        NCCL(ncclBroadcast(place, place, static_cast<size_t>(local), nccl_type(type),
                           world->first[ROLE_LEARNER] + s, comm, operations_stream()));
    }
    NCCL(ncclGroupEnd());
    operation_given(operation);
    CUDA(cudaStreamWaitEvent(stream_of(NULL), operation->done, 0));
    operation_end(operation);
    return {publication->unit, type};
}
