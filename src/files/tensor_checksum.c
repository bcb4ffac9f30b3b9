#include "files/tensor_checksum.h"

#include <string.h>

#include <xxhash.h>

#include "base/fail.h"
#include "base/memory.h"

struct TensorChecksum {
    XXH3_state_t *state; // owned
};

TensorChecksum *tensor_checksum_begin(const char *name)
{
    TensorChecksum *checksum = allocate(1, sizeof *checksum);
    checksum->state = XXH3_createState();
    CHECK(checksum->state, "no memory for a checksum");
    XXH3_64bits_reset_withSeed(checksum->state, XXH3_64bits(name, strlen(name)));
    return checksum;
}

void tensor_checksum_add(TensorChecksum *checksum, const float *values, int64_t count)
{
    XXH3_64bits_update(checksum->state, values, (size_t)count * sizeof *values);
}

uint64_t tensor_checksum_end(TensorChecksum *checksum)
{
    uint64_t term = XXH3_64bits_digest(checksum->state);
    XXH3_freeState(checksum->state);
    release(checksum);
    return term;
}
