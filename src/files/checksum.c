#include "files/checksum.h"

#include <stdatomic.h>
#include <string.h>

#include <xxhash.h>
#ifdef XXHASH_DISPATCHES
#include <xxh_x86dispatch.h>
#endif

#include "base/fail.h"
#include "base/memory.h"
#include "files/block_walk.h"
#include "files/raw.h"

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t block_bytes;
    uint64_t payload_bytes;
    uint64_t block_count;
    uint64_t zero;
    uint64_t hash; // of the fields above, seeded with the hash of what stands before them
} Footer;

_Static_assert(sizeof(Footer) == 48, "the footer is written as it stands in memory");

static const char footer_magic[8] = {'L', '2', 'A', '-', 'X', 'X', 'H', '3'};
enum { FOOTER_VERSION = 3, READERS = 2 };

uint64_t checksum_of_block(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes); // xxh_x86dispatch.h makes this the dispatched one
}

int64_t checksum_block_count(int64_t payload_bytes)
{
    return (payload_bytes + CHECKSUM_BLOCK_BYTES - 1) / CHECKSUM_BLOCK_BYTES;
}

int64_t checksum_block_bytes(int64_t payload_bytes, int64_t block)
{
    int64_t left = payload_bytes - block * CHECKSUM_BLOCK_BYTES;
    return left < CHECKSUM_BLOCK_BYTES ? left : CHECKSUM_BLOCK_BYTES;
}

// `buffer` has room for a block.
static int hash_block(int descriptor, const char *path, int64_t payload_bytes, int64_t block,
                      char *buffer, uint64_t *hash)
{
    size_t bytes = (size_t)checksum_block_bytes(payload_bytes, block);
    if (raw_read_at(descriptor, path, buffer, bytes, block * CHECKSUM_BLOCK_BYTES))
        return -1;
    *hash = checksum_of_block(buffer, bytes);
    return 0;
}

int checksum_hash_blocks(int descriptor, const char *path, int64_t payload_bytes, int64_t first,
                         int64_t count, uint64_t *hashes)
{
    CHECK(first >= 0 && first + count <= checksum_block_count(payload_bytes), "blocks of %s", path);
    char *buffer = allocate((size_t)checksum_block_bytes(payload_bytes, 0), 1);
    int status = 0;
    for (int64_t i = 0; i < count && status == 0; i++)
        status = hash_block(descriptor, path, payload_bytes, first + i, buffer, &hashes[i]);
    release(buffer);
    return status;
}

void checksum_make(ChecksumTrailer *trailer, int64_t payload_bytes)
{
    int64_t count = checksum_block_count(payload_bytes);
    *trailer = (ChecksumTrailer){.payload_bytes = payload_bytes,
                                 .block_count = count,
                                 .hashes = allocate((size_t)count, sizeof *trailer->hashes),
                                 .structure = allocate((size_t)count, sizeof *trailer->structure)};
    memset(trailer->structure, true, (size_t)count * sizeof *trailer->structure);
}

void checksum_free(ChecksumTrailer *trailer)
{
    release(trailer->hashes);
    release(trailer->structure);
    *trailer = (ChecksumTrailer){0};
}

// Bytes between payload and footer.
static size_t table_bytes(uint64_t blocks)
{
    return (size_t)blocks * (sizeof(uint64_t) + 1);
}

int64_t checksum_trailer_bytes(int64_t payload_bytes)
{
    uint64_t blocks = (uint64_t)checksum_block_count(payload_bytes);
    return (int64_t)(table_bytes(blocks) + sizeof(Footer));
}

// The table as it stands in the file.
static void make_table(const ChecksumTrailer *trailer, Bytes *table)
{
    _Static_assert(sizeof(bool) == 1, "flags are written as they stand in memory");
    size_t count = (size_t)trailer->block_count;
    bytes_append(table, trailer->hashes, count * sizeof *trailer->hashes);
    bytes_append(table, trailer->structure, count);
}

static uint64_t trailer_hash(const Bytes *table, const Footer *footer)
{
    uint64_t seed = XXH3_64bits(table->data, table->length);
    return XXH3_64bits_withSeed(footer, offsetof(Footer, hash), seed);
}

int checksum_write_trailer(int descriptor, const char *path, const ChecksumTrailer *trailer)
{
    Footer footer = {.version = FOOTER_VERSION,
                     .block_bytes = CHECKSUM_BLOCK_BYTES,
                     .payload_bytes = (uint64_t)trailer->payload_bytes,
                     .block_count = (uint64_t)trailer->block_count};
    memcpy(footer.magic, footer_magic, sizeof footer.magic);
    Bytes bytes = {0};
    make_table(trailer, &bytes);
    footer.hash = trailer_hash(&bytes, &footer);
    bytes_append(&bytes, &footer, sizeof footer);
    int status = raw_write_at(descriptor, path, bytes.data, bytes.length, trailer->payload_bytes);
    bytes_free(&bytes);
    return status;
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
                    "is damaged, or of another version of this program",
                    path, footer->version, FOOTER_VERSION);
    uint64_t blocks = footer->block_count, payload = footer->payload_bytes;
    uint64_t trailer_bytes = table_bytes(blocks) + sizeof *footer;
    if (footer->block_bytes != CHECKSUM_BLOCK_BYTES || payload > (uint64_t)file_bytes ||
        blocks != (uint64_t)checksum_block_count((int64_t)payload) ||
        payload + trailer_bytes != (uint64_t)file_bytes)
        return fail(EXIT_BAD_DATA, "%s has a damaged checksum trailer: its sizes do not fit", path);
    return 0;
}

static int take_table(const char *path, const Footer *footer, const Bytes *table,
                      ChecksumTrailer *trailer)
{
    if (footer->hash != trailer_hash(table, footer))
        return fail(EXIT_BAD_DATA, "%s has a damaged checksum trailer", path);
    checksum_make(trailer, (int64_t)footer->payload_bytes);
    size_t count = (size_t)footer->block_count;
    memcpy(trailer->hashes, table->data, count * sizeof *trailer->hashes);
    memcpy(trailer->structure, table->data + count * sizeof *trailer->hashes, count);
    return 0;
}

int checksum_read_trailer(int descriptor, const char *path, int64_t file_bytes,
                          ChecksumTrailer *trailer)
{
    Footer footer = {0};
    *trailer = (ChecksumTrailer){0};
    if (read_footer(descriptor, path, file_bytes, &footer))
        return -1;
    size_t bytes = table_bytes(footer.block_count);
    Bytes table = {.data = allocate_or_fail(bytes + 1, 1), .length = bytes, .capacity = bytes + 1};
    if (!table.data)
        return -1;
    int status = raw_read_at(descriptor, path, table.data, bytes, (int64_t)footer.payload_bytes);
    if (status == 0)
        status = take_table(path, &footer, &table, trailer);
    bytes_free(&table);
    return status;
}

bool checksum_matches(const ChecksumTrailer *trailer, int64_t block, const void *data, size_t bytes)
{
    return checksum_of_block(data, bytes) == trailer->hashes[block];
}

int checksum_fail(const char *path, const ChecksumTrailer *trailer, int64_t block)
{
    int64_t first = block * CHECKSUM_BLOCK_BYTES;
    int64_t last = first + checksum_block_bytes(trailer->payload_bytes, block) - 1;
    return fail(EXIT_BAD_DATA, "%s is damaged in block %lld (bytes %lld to %lld)", path,
                (long long)block, (long long)first, (long long)last);
}

typedef struct {
    const char *path;
    const ChecksumTrailer *trailer;
    atomic_llong bad_block;
} Verification;

static int verify_block(void *context, int64_t block, const char *data, size_t bytes)
{
    Verification *verification = context;
    if (checksum_matches(verification->trailer, block, data, bytes))
        return 0;
    atomic_store(&verification->bad_block, block);
    return checksum_fail(verification->path, verification->trailer, block);
}

int checksum_verify(int descriptor, const char *path, const ChecksumTrailer *trailer,
                    const bool *wanted, int64_t *bad_block)
{
    Verification verification = {.path = path, .trailer = trailer, .bad_block = -1};
    bool *all = allocate((size_t)trailer->block_count, sizeof *all);
    memset(all, true, (size_t)trailer->block_count * sizeof *all);
    int status = block_walk(&(BlockWalk){.descriptor = descriptor,
                                         .path = path,
                                         .payload_bytes = trailer->payload_bytes,
                                         .wanted = wanted ? wanted : all,
                                         .take = verify_block,
                                         .context = &verification},
                            READERS);
    release(all);
    *bad_block = atomic_load(&verification.bad_block);
    if (*bad_block >= 0)
        checksum_fail(path, trailer, *bad_block); // threads may have met several
    return status;
}
