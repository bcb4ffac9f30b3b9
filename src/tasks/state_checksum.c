// state_checksum.c - one number for sharded weights, whatever the shards; see state.h.
//
// The sum, modulo 2^64, over blocks of SHARD_ALIGNMENT elements of every tensor of the XXH3-64 of a
// block, seeded with the tensor's name and the block's place: shards end between such blocks.

#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "tasks/state.h"

static uint64_t sum_piece(const Piece *piece, const float *values)
{
    const char *name = piece->tensor->name;
    uint64_t sum = 0, seed = XXH3_64bits(name, strlen(name));
    for (int64_t done = 0; done < piece->count; done += SHARD_ALIGNMENT) {
        int64_t left = piece->count - done;
        size_t bytes = (size_t)(left < SHARD_ALIGNMENT ? left : SHARD_ALIGNMENT) * sizeof *values;
        sum += XXH3_64bits_withSeed(values + done, bytes, seed + (uint64_t)(piece->first + done));
    }
    return sum;
}

static const float *host_values(const StateOwner *owner, const float *values)
{
    const Kernels *kernels = owner->kernels;
    if (kernels->host_is_device)
        return values;
    kernels->copy_out(NULL, owner->snapshot, values,
                      (size_t)owner->parameters->local * sizeof *values);
    kernels->queue_wait(NULL);
    return owner->snapshot;
}

uint64_t state_checksum(const StateOwner *owner, const float *values)
{
    const float *host = host_values(owner, values);
    uint64_t mine = 0, sum = 0;
    const Group *group = owner->group;
    uint64_t *all = allocate((size_t)group->size, sizeof *all);
    for (int64_t i = 0; i < owner->parameters->tensor_count && owner->writes; i++) {
        Piece piece = parameters_piece(owner->parameters, i);
        mine += sum_piece(&piece, host + piece.local);
    }
    group_all_gather(group, &mine, sizeof mine, all);
    for (int i = 0; i < group->size; i++)
        sum += all[i];
    release(all);
    return sum;
}

void state_print_checksum(uint64_t checksum, char text[STATE_CHECKSUM_BYTES])
{
    snprintf(text, STATE_CHECKSUM_BYTES, "%016llx", (unsigned long long)checksum);
}
