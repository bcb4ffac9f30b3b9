#include "parallel/shard.h"

int64_t shard_align(int64_t elements)
{
    return (elements + SHARD_ALIGNMENT - 1) / SHARD_ALIGNMENT * SHARD_ALIGNMENT;
}

Shard shard_of(int64_t global, int rank, int size)
{
    int64_t local = shard_align((global + size - 1) / size);
    return (Shard){.global = global, .padded = local * size, .local = local, .first = local * rank};
}
