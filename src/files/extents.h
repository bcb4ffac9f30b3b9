// extents.h - stretches of a file and where they stand in memory.
//
// Writing goes past the page cache wherever a stretch and its memory lie alike on pages of 4 KiB:
// that is as fast as the disk, and what is read back comes from the disk. `file` is the name that
// is opened, `path` the one that messages use.

#ifndef L2A_FILES_EXTENTS_H
#define L2A_FILES_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "files/checksum.h"

enum { EXTENT_ALIGNMENT = 4096 }; // of memory, for writes past the page cache

typedef struct {
    const char *name; // borrowed; of messages
    int64_t offset;   // in the file
    size_t bytes;
    char *data; // borrowed
} Extent;

// Writes the extents to a file that is there, flushes it, and makes the system forget it.
// EXIT_CANNOT_WRITE.
int extents_write(const char *file, const char *path, const Extent *list, int64_t count);

// Which blocks (files/checksum.h) of a payload hold bytes of the extents, and their hashes.
typedef struct {
    int64_t payload_bytes, block_count;
    bool *touched;    // owned [block_count]
    uint64_t *hashes; // owned [block_count], of touched blocks
} ExtentBlocks;

void extents_find_blocks(ExtentBlocks *blocks, int64_t payload_bytes, const Extent *list,
                         int64_t count);
void extents_free_blocks(ExtentBlocks *blocks);

// Reads the blocks that the extents touch, compares them with memory and fills in their hashes.
// What is found different is EXIT_CANNOT_WRITE: the file is not what was written.
int extents_compare(const char *file, const char *path, const Extent *list, int64_t count,
                    ExtentBlocks *blocks);

// Fills the extents from the file: every block that they touch is compared with the trailer, and
// marked in `checked` [blocks] where it is right. 0, or -1; `bad_block` receives a damaged block,
// or -1 when the file could not be read.
int extents_read(int descriptor, const char *path, const ChecksumTrailer *trailer,
                 const Extent *list, int64_t count, bool *checked, int64_t *bad_block);

#endif
