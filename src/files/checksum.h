// checksum.h - XXH3-64 of every 256 KiB block of a file, kept in a trailer behind its end.
//
// A flipped bit in an HDF5 data set is silent, so the whole file is hashed, its metadata included.
// Blocks are small because a rank reads whole ones: one that two ranks share is read twice.
//
//   payload           payload_bytes       the HDF5 file, to its own end
//   block hashes      8 * block_count     XXH3-64 of each block; the last block may be short
//   structure         block_count         1: the block holds HDF5's own bytes, 0: data only
//   footer            48                  magic, version, block size, payload bytes, block count,
//                                         zero, XXH3-64 of the footer before it, seeded with
//                                         the XXH3-64 of what stands between payload and footer
//
// Who knows which blocks hold the structure need not read all of a file before HDF5 may see it.
// A single flipped bit or a truncation anywhere, the trailer included, is found. This is no
// defence against someone who writes a file with a fitting trailer.

#ifndef L2A_FILES_CHECKSUM_H
#define L2A_FILES_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHECKSUM_BLOCK_BYTES = 1 << 18 };

typedef struct {
    int64_t payload_bytes;
    int64_t block_count;
    uint64_t *hashes; // owned [block_count]
    bool *structure;  // owned [block_count]
} ChecksumTrailer;

// XXH3-64 of a block, by the widest vectors of the processor where xxHash was built to choose.
uint64_t checksum_of_block(const void *data, size_t bytes);

int64_t checksum_block_count(int64_t payload_bytes);
int64_t checksum_block_bytes(int64_t payload_bytes, int64_t block); // the last may be short

int64_t checksum_trailer_bytes(int64_t payload_bytes);

// Memory for the trailer of such a payload: hashes zero, every block one of structure.
void checksum_make(ChecksumTrailer *trailer, int64_t payload_bytes);
void checksum_free(ChecksumTrailer *trailer);

// hashes [count] = hashes of the payload's blocks [first, first + count), read from the file.
int checksum_hash_blocks(int descriptor, const char *path, int64_t payload_bytes, int64_t first,
                         int64_t count, uint64_t *hashes);

// Writes the trailer behind the payload, without flushing. EXIT_CANNOT_WRITE.
int checksum_write_trailer(int descriptor, const char *path, const ChecksumTrailer *trailer);

// Reads and checks the trailer of an open file of `file_bytes`. EXIT_BAD_DATA when it is missing
// or damaged.
int checksum_read_trailer(int descriptor, const char *path, int64_t file_bytes,
                          ChecksumTrailer *trailer);

// Compares the blocks that are wanted [block_count], or all where it is NULL, with the trailer. 0,
// or -1; `bad_block` receives a damaged block, or -1 when the file could not be read.
int checksum_verify(int descriptor, const char *path, const ChecksumTrailer *trailer,
                    const bool *wanted, int64_t *bad_block);

// Whether a block that was read is the one that was hashed; says which one is not: EXIT_BAD_DATA.
bool checksum_matches(const ChecksumTrailer *trailer, int64_t block, const void *data,
                      size_t bytes);
int checksum_fail(const char *path, const ChecksumTrailer *trailer, int64_t block);

#endif
