#include "files/checksum.h"

#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/raw.h"

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t block_bytes;
    uint64_t payload_bytes;
    uint64_t block_count;
    uint64_t zero;
    uint64_t hash; // of the fields above, seeded with the hash of the block hashes
} Footer;

_Static_assert(sizeof(Footer) == 48, "the footer is written as it stands in memory");

static const char footer_magic[8] = {'L', '2', 'A', '-', 'X', 'X', 'H', '3'};
enum { FOOTER_VERSION = 1 };

int64_t checksum_block_count(int64_t payload_bytes)
{
    return (payload_bytes + CHECKSUM_BLOCK_BYTES - 1) / CHECKSUM_BLOCK_BYTES;
}

static size_t block_length(int64_t payload_bytes, int64_t block)
{
    int64_t left = payload_bytes - block * CHECKSUM_BLOCK_BYTES;
    return (size_t)(left < CHECKSUM_BLOCK_BYTES ? left : CHECKSUM_BLOCK_BYTES);
}

// `buffer` has room for a block.
static int hash_block(int descriptor, const char *path, int64_t payload_bytes, int64_t block,
                      char *buffer, uint64_t *hash)
{
    size_t bytes = block_length(payload_bytes, block);
    if (raw_read_at(descriptor, path, buffer, bytes, block * CHECKSUM_BLOCK_BYTES))
        return -1;
    *hash = XXH3_64bits(buffer, bytes);
    return 0;
}

int checksum_hash_blocks(int descriptor, const char *path, int64_t payload_bytes, int64_t first,
                         int64_t count, uint64_t *hashes)
{
    CHECK(first >= 0 && first + count <= checksum_block_count(payload_bytes), "blocks of %s", path);
    char *buffer = allocate(CHECKSUM_BLOCK_BYTES, 1);
    int status = 0;
    for (int64_t i = 0; i < count && status == 0; i++)
        status = hash_block(descriptor, path, payload_bytes, first + i, buffer, &hashes[i]);
    release(buffer);
    return status;
}

static uint64_t trailer_hash(const uint64_t *hashes, const Footer *footer)
{
    uint64_t seed = XXH3_64bits(hashes, (size_t)footer->block_count * sizeof *hashes);
    return XXH3_64bits_withSeed(footer, offsetof(Footer, hash), seed);
}

int checksum_write_trailer(int descriptor, const char *path, const ChecksumTrailer *trailer)
{
    Footer footer = {.version = FOOTER_VERSION,
                     .block_bytes = CHECKSUM_BLOCK_BYTES,
                     .payload_bytes = (uint64_t)trailer->payload_bytes,
                     .block_count = (uint64_t)trailer->block_count};
    memcpy(footer.magic, footer_magic, sizeof footer.magic);
    footer.hash = trailer_hash(trailer->hashes, &footer);
    size_t bytes = (size_t)trailer->block_count * sizeof *trailer->hashes;
    if (raw_write_at(descriptor, path, trailer->hashes, bytes, trailer->payload_bytes))
        return -1;
    return raw_write_at(descriptor, path, &footer, sizeof footer,
                        trailer->payload_bytes + (int64_t)bytes);
}

static int read_footer(int descriptor, const char *path, int64_t file_bytes, Footer *footer)
{
    if (file_bytes < (int64_t)sizeof *footer)
        return fail(EXIT_BAD_DATA, "%s has no checksum trailer: it is empty, cut short or foreign",
                    path);
    if (raw_read_at(descriptor, path, footer, sizeof *footer, file_bytes - (int64_t)sizeof *footer))
        return -1;
    if (memcmp(footer->magic, footer_magic, sizeof footer->magic) != 0)
        return fail(EXIT_BAD_DATA,
                    "%s has no checksum trailer: it was cut short, damaged, or is not a file of "
                    "this program",
                    path);
    if (footer->version != FOOTER_VERSION)
        return fail(EXIT_BAD_DATA,
                    "%s has a checksum trailer of version %u; this program knows version %d: it "
                    "is damaged, or was written by a newer program",
                    path, footer->version, FOOTER_VERSION);
    uint64_t blocks = footer->block_count, payload = footer->payload_bytes;
    uint64_t trailer_bytes = blocks * sizeof(uint64_t) + sizeof *footer;
    if (footer->block_bytes != CHECKSUM_BLOCK_BYTES || payload > (uint64_t)file_bytes ||
        blocks != (uint64_t)checksum_block_count((int64_t)payload) ||
        payload + trailer_bytes != (uint64_t)file_bytes)
        return fail(EXIT_BAD_DATA, "%s has a damaged checksum trailer: its sizes do not fit", path);
    return 0;
}

int checksum_read_trailer(int descriptor, const char *path, int64_t file_bytes,
                          ChecksumTrailer *trailer)
{
    Footer footer;
    *trailer = (ChecksumTrailer){0};
    if (read_footer(descriptor, path, file_bytes, &footer))
        return -1;
    size_t count = (size_t)footer.block_count;
    uint64_t *hashes = allocate_or_fail(count, sizeof *hashes);
    if (!hashes)
        return -1;
    int status = raw_read_at(descriptor, path, hashes, count * sizeof *hashes,
                             (int64_t)footer.payload_bytes);
    if (status == 0 && footer.hash != trailer_hash(hashes, &footer))
        status = fail(EXIT_BAD_DATA, "%s has a damaged checksum trailer", path);
    *trailer = (ChecksumTrailer){(int64_t)footer.payload_bytes, (int64_t)count, hashes};
    if (status)
        checksum_free(trailer);
    return status;
}

void checksum_free(ChecksumTrailer *trailer)
{
    release(trailer->hashes);
    *trailer = (ChecksumTrailer){0};
}

static int fail_block(const char *path, int64_t payload_bytes, int64_t block)
{
    int64_t first = block * CHECKSUM_BLOCK_BYTES;
    int64_t last = first + (int64_t)block_length(payload_bytes, block) - 1;
    return fail(EXIT_BAD_DATA, "%s is damaged in block %lld (bytes %lld to %lld)", path,
                (long long)block, (long long)first, (long long)last);
}

int checksum_verify_blocks(int descriptor, const char *path, const ChecksumTrailer *trailer,
                           int64_t first, int64_t count, int64_t *bad_block)
{
    char *buffer = allocate(CHECKSUM_BLOCK_BYTES, 1);
    int status = 0;
    *bad_block = -1;
    for (int64_t block = first; block < first + count && status == 0; block++) {
        uint64_t hash;
        status = hash_block(descriptor, path, trailer->payload_bytes, block, buffer, &hash);
        if (status == 0 && hash != trailer->hashes[block]) {
            *bad_block = block;
            status = fail_block(path, trailer->payload_bytes, block);
        }
    }
    release(buffer);
    return status;
}

int checksum_verify_file(const char *path)
{
    int64_t bytes = 0, bad_block;
    int descriptor = raw_open(path, &bytes);
    if (descriptor < 0)
        return -1;
    ChecksumTrailer trailer;
    int status = checksum_read_trailer(descriptor, path, bytes, &trailer);
    if (status == 0)
        status =
            checksum_verify_blocks(descriptor, path, &trailer, 0, trailer.block_count, &bad_block);
    checksum_free(&trailer);
    close(descriptor);
    return status;
}
