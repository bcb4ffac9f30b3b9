// checksum.h - XXH3-64 of every 1 MiB block of a file, kept in a trailer behind its end.
//
// A flipped bit in an HDF5 data set is silent, so the whole file is hashed, its metadata included.
//
//   payload           payload_bytes       the HDF5 file, to its own end
//   block hashes      8 * block_count     XXH3-64 of each block; the last block may be short
//   footer            48                  magic, version, block size, payload bytes, block count,
//                                         zero, XXH3-64 of the footer before it, seeded with
//                                         the XXH3-64 of the block hashes
//
// A single flipped bit or a truncation anywhere, the trailer included, is found. This is no
// defence against someone who writes a file with a fitting trailer.

#ifndef L2A_FILES_CHECKSUM_H
#define L2A_FILES_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

enum { CHECKSUM_BLOCK_BYTES = 1 << 20 };

typedef struct {
    int64_t payload_bytes;
    int64_t block_count;
    uint64_t *hashes; // owned [block_count]
} ChecksumTrailer;

int64_t checksum_block_count(int64_t payload_bytes);

// hashes [count] = hashes of the payload's blocks [first, first + count), read from the file.
int checksum_hash_blocks(int descriptor, const char *path, int64_t payload_bytes, int64_t first,
                         int64_t count, uint64_t *hashes);

// Writes the trailer behind the payload, without flushing. EXIT_CANNOT_WRITE.
int checksum_write_trailer(int descriptor, const char *path, const ChecksumTrailer *trailer);

// Reads and checks the trailer of an open file of `file_bytes`. EXIT_BAD_DATA when it is missing
// or damaged.
int checksum_read_trailer(int descriptor, const char *path, int64_t file_bytes,
                          ChecksumTrailer *trailer);
void checksum_free(ChecksumTrailer *trailer);

// Compares blocks [first, first + count) with the trailer. 0, or -1; `bad_block` receives the first
// damaged block, or -1 when the file could not be read.
int checksum_verify_blocks(int descriptor, const char *path, const ChecksumTrailer *trailer,
                           int64_t first, int64_t count, int64_t *bad_block);

// The whole file: trailer and all blocks; the message names file and block.
int checksum_verify_file(const char *path);

#endif
