// block_walk.h - the blocks of files/checksum.h read in order, by several threads.
//
// While one thread works on what it has read, another one reads: the disk never waits. Reading goes
// past the page cache where the file system can.

#ifndef L2A_FILES_BLOCK_WALK_H
#define L2A_FILES_BLOCK_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Gets the bytes of a block; may be called for several blocks at once. 0 or what fail returns.
typedef int BlockTake(void *context, int64_t block, const char *data, size_t bytes);

typedef struct {
    int descriptor;        // its O_DIRECT is set meanwhile
    const char *path;      // of messages
    int64_t payload_bytes; // what the blocks divide
    const bool *wanted;    // borrowed [checksum_block_count(payload_bytes)]
    BlockTake *take;
    void *context;
} BlockWalk;

// Reads the wanted blocks. Ends at the first failure.
int block_walk(const BlockWalk *walk, int threads);

#endif
