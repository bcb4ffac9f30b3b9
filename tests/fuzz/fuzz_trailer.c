// The bytes of a checkpoint as they are: what its checksums let through reaches HDF5.

#include "files/checkpoint_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file((FuzzPart){(const char *)data, size});
    checkpoint_file_close(checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL));
    checkpoint_file_close(checkpoint_file_open(path, CHECKPOINT_VERIFY_STRUCTURE));
    return 0;
}
