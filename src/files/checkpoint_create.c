// checkpoint_create.c - makes the HDF5 layout of a checkpoint and seals it; see checkpoint_file.h.

#include "files/checkpoint_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/checksum.h"
#include "files/directory.h"
#include "files/hdf5.h"
#include "files/raw.h"

static hid_t hdf5_type_of(StoredType type)
{
    switch (type) {
    case STORED_F32:
        return H5T_IEEE_F32LE;
    case STORED_F64:
        return H5T_IEEE_F64LE;
    case STORED_U8:
        return H5T_STD_U8LE;
    case STORED_I32:
        return H5T_STD_I32LE;
    case STORED_I64:
        return H5T_STD_I64LE;
    default:
        return H5T_STD_U16LE; // BF16 and F16
    }
}

static int create_tensor(hid_t file, const char *path, CheckpointTensor *tensor)
{
    hsize_t shape[STORED_RANK_MAXIMUM];
    CHECK(tensor->rank >= 0 && tensor->rank <= STORED_RANK_MAXIMUM, "rank of '%s'", tensor->name);
    int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
    CHECK(elements >= 0, "shape of '%s'", tensor->name);
    for (int i = 0; i < tensor->rank; i++)
        shape[i] = (hsize_t)tensor->shape[i];
    hid_t space =
        tensor->rank > 0 ? H5Screate_simple(tensor->rank, shape, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = hdf5_create_set(file, tensor->name, hdf5_type_of(tensor->type), space);
    int status = 0;
    if (set < 0 || hdf5_write_text(set, "dtype", stored_type_name(tensor->type)) < 0) {
        hdf5_fail(EXIT_CANNOT_CREATE, "make a data set in", path);
        status = fail_context("'%s'", tensor->name);
    } else {
        tensor->offset = elements > 0 ? (int64_t)H5Dget_offset(set) : -1;
    }
    H5Sclose(space);
    if (set >= 0 && H5Dclose(set) < 0 && status == 0)
        status = hdf5_fail(EXIT_CANNOT_CREATE, "finish a data set in", path);
    return status;
}

static int create_attribute(hid_t file, const char *path, const CheckpointAttribute *attribute)
{
    int status = -1;
    if (attribute->kind == ATTRIBUTE_TEXT && strlen(attribute->text) > CHECKPOINT_TEXT_MAXIMUM)
        return fail(EXIT_CANNOT_CREATE, "%s: attribute '%s' has %zu bytes; at most %d are allowed",
                    path, attribute->name, strlen(attribute->text), CHECKPOINT_TEXT_MAXIMUM);
    if (attribute->kind == ATTRIBUTE_TEXT)
        status = hdf5_write_text(file, attribute->name, attribute->text);
    if (attribute->kind == ATTRIBUTE_INTEGER)
        status = hdf5_write_integer(file, attribute->name, attribute->integer);
    if (attribute->kind == ATTRIBUTE_REAL)
        status = hdf5_write_real(file, attribute->name, attribute->real);
    if (status >= 0)
        return 0;
    hdf5_fail(EXIT_CANNOT_CREATE, "make an attribute in", path);
    return fail_context("'%s'", attribute->name);
}

static int create_tensors(hid_t file, const char *path, CheckpointTensor *tensors, int64_t count,
                          bool small)
{
    int status = 0;
    for (int64_t i = 0; i < count && status == 0; i++) {
        if ((checkpoint_tensor_bytes(&tensors[i]) < HDF5_ALIGNED_BYTES) == small)
            status = create_tensor(file, path, &tensors[i]);
    }
    return status;
}

static int create_content(hid_t file, const char *path, CheckpointTensor *tensors, int64_t count,
                          const CheckpointAttribute *attributes, int64_t attribute_count)
{
    const CheckpointAttribute format[] = {
        {.name = "format", .kind = ATTRIBUTE_TEXT, .text = CHECKPOINT_FORMAT},
        {.name = "format_version",
         .kind = ATTRIBUTE_INTEGER,
         .integer = CHECKPOINT_FORMAT_VERSION}};
    int status = 0;
    for (int64_t i = 0; i < 2 && status == 0; i++)
        status = create_attribute(file, path, &format[i]);
    for (int64_t i = 0; i < attribute_count && status == 0; i++)
        status = create_attribute(file, path, &attributes[i]);
    // Small ones stand together: each between two large ones on pages would leave a gap, and a
    // block with a gap is one of structure, to be read before HDF5 may see the file.
    if (status == 0)
        status = create_tensors(file, path, tensors, count, true);
    if (status == 0)
        status = create_tensors(file, path, tensors, count, false);
    return status;
}

static int create_hdf5(const char *path, CheckpointTensor *tensors, int64_t count,
                       const CheckpointAttribute *attributes, int64_t attribute_count)
{
    hdf5_enter();
    hid_t file = hdf5_create(path);
    int status;
    if (file < 0) {
        status = hdf5_fail(EXIT_CANNOT_CREATE, "create", path);
    } else {
        status = create_content(file, path, tensors, count, attributes, attribute_count);
        if (H5Fclose(file) < 0 && status == 0)
            status = hdf5_fail(EXIT_CANNOT_CREATE, "finish", path);
    }
    hdf5_leave();
    if (status)
        unlink(path); // also what a failed H5Fcreate leaves
    return status;
}

// A full disk is told before the first byte of data is written. Space is not taken: writes to space
// that fallocate took are a quarter slower (ext4).
static int check_space(const char *path, int64_t bytes)
{
    char *directory = directory_of(path);
    int64_t available = directory_free_bytes(directory);
    int status = 0;
    if (available >= 0 && available < bytes)
        status = fail(EXIT_CANNOT_CREATE,
                      "%s needs %lld bytes, %s has %lld free: free some space or keep fewer "
                      "checkpoints",
                      path, (long long)bytes, directory, (long long)available);
    release(directory);
    return status; // where that is not known it is told by a write
}

int checkpoint_file_create(const char *path, CheckpointTensor *tensors, int64_t count,
                           const CheckpointAttribute *attributes, int64_t attribute_count,
                           int64_t *payload_bytes)
{
    if (access(path, F_OK) == 0)
        return fail(EXIT_CANNOT_CREATE, "%s is there already", path);
    if (create_hdf5(path, tensors, count, attributes, attribute_count))
        return -1;
    int status = -1;
    struct stat made = {0};
    if (stat(path, &made) != 0)
        fail(EXIT_CANNOT_CREATE, "cannot look at %s: %s", path, strerror(errno));
    else
        status = check_space(path, made.st_size + checksum_trailer_bytes(made.st_size));
    *payload_bytes = made.st_size;
    if (status)
        unlink(path);
    return status;
}

int checkpoint_file_write(int descriptor, const char *path, const CheckpointTensor *tensor,
                          int64_t first, int64_t count, const void *data)
{
    int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
    CHECK(first >= 0 && count >= 0 && first <= elements && count <= elements - first,
          "elements [%lld, +%lld) of '%s'", (long long)first, (long long)count, tensor->name);
    size_t size = stored_type_bytes(tensor->type);
    return raw_write_at(descriptor, path, data, (size_t)count * size,
                        tensor->offset + first * (int64_t)size);
}

void checkpoint_file_note_structure(ChecksumTrailer *trailer, const CheckpointTensor *tensors,
                                    int64_t count)
{
    int64_t *left = allocate((size_t)trailer->block_count, sizeof *left); // bytes of no tensor
    for (int64_t block = 0; block < trailer->block_count; block++)
        left[block] = checksum_block_bytes(trailer->payload_bytes, block);
    for (int64_t i = 0; i < count; i++) {
        const CheckpointTensor *tensor = &tensors[i];
        int64_t at = tensor->offset;
        int64_t end = at + checkpoint_tensor_bytes(tensor);
        for (int64_t next; at < end; at = next) {
            int64_t block = at / CHECKSUM_BLOCK_BYTES;
            next = (block + 1) * CHECKSUM_BLOCK_BYTES;
            next = next < end ? next : end;
            left[block] -= next - at;
        }
    }
    for (int64_t block = 0; block < trailer->block_count; block++)
        trailer->structure[block] = left[block] != 0;
    release(left);
}

int checkpoint_file_seal(const char *path, int64_t payload_bytes, const CheckpointTensor *tensors,
                         int64_t count)
{
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return fail(EXIT_CANNOT_WRITE, "cannot open %s: %s", path, strerror(errno));
    ChecksumTrailer trailer;
    checksum_make(&trailer, payload_bytes);
    checkpoint_file_note_structure(&trailer, tensors, count);
    int status = checksum_hash_blocks(descriptor, path, payload_bytes, 0, trailer.block_count,
                                      trailer.hashes);
    if (status == 0)
        status = checksum_write_trailer(descriptor, path, &trailer);
    if (status == 0)
        status = raw_sync(descriptor, path);
    checksum_free(&trailer);
    close(descriptor);
    return status;
}
