#include "files/checkpoint_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/checksum.h"
#include "files/hdf5.h"
#include "files/raw.h"

struct CheckpointFile {
    char *path; // owned
    int descriptor;
    ChecksumTrailer trailer;
    CheckpointTensor *tensors; // owned, with their names [count], ordered by name
    size_t count, capacity;
    int64_t objects;                 // data sets, groups and others of the file
    CheckpointAttribute *attributes; // owned, with their names and texts
    size_t attribute_count, attribute_capacity;
};

int64_t checkpoint_tensor_bytes(const CheckpointTensor *tensor)
{
    return stored_type_elements(tensor->type, tensor->rank, tensor->shape) *
           (int64_t)stored_type_bytes(tensor->type);
}

static bool type_fits(hid_t type, StoredType stored)
{
    hid_t wanted = stored == STORED_F32   ? H5T_IEEE_F32LE
                   : stored == STORED_F64 ? H5T_IEEE_F64LE
                   : stored == STORED_U8  ? H5T_STD_U8LE
                   : stored == STORED_I32 ? H5T_STD_I32LE
                   : stored == STORED_I64 ? H5T_STD_I64LE
                                          : H5T_STD_U16LE;
    return H5Tequal(type, wanted) > 0;
}

static int read_type(const CheckpointFile *file, hid_t set, CheckpointTensor *tensor)
{
    enum { TYPE_NAME_MAXIMUM = 16 };
    char *name = hdf5_read_text(set, "dtype", TYPE_NAME_MAXIMUM);
    hid_t type = H5Dget_type(set);
    tensor->type = stored_type_of_name(name ? name : "");
    bool fits = tensor->type != STORED_TYPE_COUNT && type_fits(type, tensor->type);
    H5Tclose(type);
    release(name);
    return fits ? 0
                : fail(EXIT_BAD_DATA, "%s: data set '%s' has no type that this program knows",
                       file->path, tensor->name);
}

static int read_shape(const CheckpointFile *file, hid_t set, CheckpointTensor *tensor)
{
    hsize_t shape[H5S_MAX_RANK];
    hid_t space = H5Dget_space(set);
    int rank = H5Sget_simple_extent_ndims(space);
    bool usable = rank >= 0 && rank <= STORED_RANK_MAXIMUM &&
                  (H5Sget_simple_extent_type(space) == H5S_SIMPLE ||
                   H5Sget_simple_extent_type(space) == H5S_SCALAR) &&
                  H5Sget_simple_extent_dims(space, shape, NULL) == rank;
    H5Sclose(space);
    for (int i = 0; usable && i < rank; i++)
        tensor->shape[i] = shape[i] <= INT64_MAX ? (int64_t)shape[i] : -1;
    tensor->rank = usable ? rank : 0;
    if (usable && stored_type_elements(tensor->type, rank, tensor->shape) >= 0)
        return 0;
    return fail(EXIT_BAD_DATA, "%s: data set '%s' has a shape that cannot be used", file->path,
                tensor->name);
}

// The bytes of a tensor must lie in this file, in one piece: anything else is not our layout.
static int read_place(const CheckpointFile *file, hid_t set, CheckpointTensor *tensor)
{
    hid_t creation = H5Dget_create_plist(set);
    bool plain = H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_external_count(creation) == 0;
    H5Pclose(creation);
    int64_t bytes = checkpoint_tensor_bytes(tensor);
    haddr_t offset = H5Dget_offset(set);
    tensor->offset = -1;
    if (plain && bytes == 0)
        return 0;
    if (!plain || offset == HADDR_UNDEF || offset > (haddr_t)file->trailer.payload_bytes ||
        bytes > file->trailer.payload_bytes - (int64_t)offset)
        return fail(EXIT_BAD_DATA, "%s: the data of '%s' are not in one piece within the file",
                    file->path, tensor->name);
    tensor->offset = (int64_t)offset;
    return 0;
}

// A visit of nested groups takes time that grows with the square of their depth.
static int check_object(CheckpointFile *file, const char *name)
{
    int depth = 0;
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/'))
        depth++;
    if (depth > CHECKPOINT_DEPTH_MAXIMUM)
        return fail(EXIT_BAD_DATA, "%s: groups are nested deeper than %d", file->path,
                    CHECKPOINT_DEPTH_MAXIMUM);
    if (++file->objects > CHECKPOINT_OBJECTS_MAXIMUM)
        return fail(EXIT_BAD_DATA, "%s holds more than %d data sets and groups", file->path,
                    CHECKPOINT_OBJECTS_MAXIMUM);
    return 0;
}

// Returns 1 to stop with a recorded failure of ours; HDF5's own are negative.
static herr_t take_object(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    CheckpointFile *file = context;
    if (check_object(file, name) != 0)
        return 1;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    hid_t set = H5Dopen2(root, name, H5P_DEFAULT);
    if (set < 0)
        return -1;
    Bytes full_name = {0};
    bytes_print(&full_name, "/%s", name);
    grow((void **)&file->tensors, &file->capacity, file->count + 1, sizeof *file->tensors);
    CheckpointTensor *tensor = &file->tensors[file->count++];
    *tensor = (CheckpointTensor){.name = full_name.data};
    int status = read_type(file, set, tensor);
    if (status == 0)
        status = read_shape(file, set, tensor);
    if (status == 0)
        status = read_place(file, set, tensor);
    H5Dclose(set);
    return status ? 1 : 0;
}

static herr_t take_attribute(hid_t root, const char *name, const H5A_info_t *info, void *context)
{
    (void)info;
    CheckpointFile *file = context;
    CheckpointAttribute taken = {.name = name};
    if (file->attribute_count == CHECKPOINT_ATTRIBUTES_MAXIMUM) {
        fail(EXIT_BAD_DATA, "%s has more than %d attributes", file->path,
             CHECKPOINT_ATTRIBUTES_MAXIMUM);
        return 1;
    }
    hid_t attribute = H5Aopen(root, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    bool known = H5Sget_simple_extent_npoints(space) == 1;
    switch (H5Tget_class(type)) {
    case H5T_STRING:
        taken.kind = ATTRIBUTE_TEXT;
        taken.text = hdf5_read_text(root, name, CHECKPOINT_TEXT_MAXIMUM);
        known = known && taken.text;
        break;
    case H5T_INTEGER:
        taken.kind = ATTRIBUTE_INTEGER;
        known = known && H5Aread(attribute, H5T_NATIVE_INT64, &taken.integer) >= 0;
        break;
    case H5T_FLOAT:
        taken.kind = ATTRIBUTE_REAL;
        known = known && H5Aread(attribute, H5T_NATIVE_DOUBLE, &taken.real) >= 0;
        break;
    default:
        known = false;
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    if (known) {
        taken.name = duplicate(name);
        grow((void **)&file->attributes, &file->attribute_capacity, file->attribute_count + 1,
             sizeof *file->attributes);
        file->attributes[file->attribute_count++] = taken;
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const CheckpointTensor *)a)->name, ((const CheckpointTensor *)b)->name);
}

static int check_format(const CheckpointFile *file)
{
    const CheckpointAttribute *format = checkpoint_file_attribute(file, "format");
    const CheckpointAttribute *version = checkpoint_file_attribute(file, "format_version");
    if (!format || format->kind != ATTRIBUTE_TEXT || strcmp(format->text, CHECKPOINT_FORMAT) != 0)
        return fail(EXIT_BAD_DATA, "%s is an HDF5 file, but not a checkpoint of this program",
                    file->path);
    if (!version || version->kind != ATTRIBUTE_INTEGER ||
        version->integer != CHECKPOINT_FORMAT_VERSION)
        return fail(EXIT_BAD_DATA,
                    "%s has checkpoint format %lld; this program reads format %d: use the program "
                    "that wrote it",
                    file->path, version ? (long long)version->integer : 0LL,
                    CHECKPOINT_FORMAT_VERSION);
    return 0;
}

static int read_structure_open(CheckpointFile *file, hid_t root)
{
    hsize_t position = 0;
    herr_t attributes =
        H5Aiterate2(root, H5_INDEX_NAME, H5_ITER_INC, &position, take_attribute, file);
    if (attributes != 0)
        return attributes > 0 ? -1 : hdf5_fail(EXIT_BAD_DATA, "read the attributes of", file->path);
    if (check_format(file))
        return -1;
    herr_t visit =
        H5Ovisit2(root, H5_INDEX_NAME, H5_ITER_NATIVE, take_object, file, H5O_INFO_BASIC);
    if (visit != 0)
        return visit > 0 ? -1 : hdf5_fail(EXIT_BAD_DATA, "list", file->path);
    if (file->count > 0)
        qsort(file->tensors, file->count, sizeof *file->tensors, compare_names);
    return 0;
}

static int read_structure(CheckpointFile *file)
{
    hdf5_enter();
    hid_t root = hdf5_open(file->path);
    int status;
    if (root < 0) {
        status = hdf5_fail(EXIT_BAD_DATA, "open", file->path);
    } else {
        status = read_structure_open(file, root);
        H5Fclose(root);
    }
    hdf5_leave();
    return status;
}

const char *checkpoint_file_owner(const CheckpointTensor *tensors, int64_t count, int64_t offset,
                                  int64_t bytes)
{
    const char *owner = "the file's structure";
    int64_t most = 0;
    for (int64_t i = 0; i < count; i++) {
        const CheckpointTensor *tensor = &tensors[i];
        int64_t end = tensor->offset + checkpoint_tensor_bytes(tensor);
        int64_t first = tensor->offset > offset ? tensor->offset : offset;
        int64_t last = end < offset + bytes ? end : offset + bytes;
        if (tensor->offset >= 0 && last - first > most) {
            most = last - first;
            owner = tensor->name;
        }
    }
    return owner;
}

// Damage is named by tensor where the structure can still be read.
static int name_damage(CheckpointFile *file, int64_t bad_block)
{
    Failure failure = {0};
    failure_keep(&failure);
    bool readable = read_structure(file) == 0;
    const char *owner =
        checkpoint_file_owner(file->tensors, readable ? (int64_t)file->count : 0,
                              bad_block * CHECKSUM_BLOCK_BYTES, CHECKSUM_BLOCK_BYTES);
    fail(failure.code, "%s, in %s", failure.message, owner);
    failure_forget(&failure);
    return -1;
}

CheckpointFile *checkpoint_file_open(const char *path, CheckpointVerify verify)
{
    int64_t bytes = 0, bad_block = -1;
    CheckpointFile *file = allocate(1, sizeof *file);
    file->path = duplicate(path);
    file->descriptor = regular_open(path, &bytes);
    int status = file->descriptor < 0 ? -1 : 0;
    if (status == 0)
        status = checksum_read_trailer(file->descriptor, path, bytes, &file->trailer);
    if (status == 0)
        status = checksum_verify(file->descriptor, path, &file->trailer,
                                 verify == CHECKPOINT_VERIFY_ALL ? NULL : file->trailer.structure,
                                 &bad_block);
    if (bad_block >= 0)
        status = name_damage(file, bad_block);
    if (status == 0)
        status = read_structure(file);
    if (status == 0)
        return file;
    checkpoint_file_close(file);
    return NULL;
}

void checkpoint_file_close(CheckpointFile *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->count; i++)
        release((void *)(uintptr_t)file->tensors[i].name);
    for (size_t i = 0; i < file->attribute_count; i++) {
        release((void *)(uintptr_t)file->attributes[i].name);
        release((void *)(uintptr_t)file->attributes[i].text);
    }
    if (file->descriptor >= 0)
        close(file->descriptor);
    checksum_free(&file->trailer);
    release(file->tensors);
    release(file->attributes);
    release(file->path);
    release(file);
}

const char *checkpoint_file_path(const CheckpointFile *file)
{
    return file->path;
}

int checkpoint_file_descriptor(const CheckpointFile *file)
{
    return file->descriptor;
}

const ChecksumTrailer *checkpoint_file_trailer(const CheckpointFile *file)
{
    return &file->trailer;
}

int64_t checkpoint_file_count(const CheckpointFile *file)
{
    return (int64_t)file->count;
}

const CheckpointTensor *checkpoint_file_tensor(const CheckpointFile *file, int64_t index)
{
    CHECK(index >= 0 && index < (int64_t)file->count, "tensor %lld", (long long)index);
    return &file->tensors[index];
}

int64_t checkpoint_file_find(const CheckpointFile *file, const char *name)
{
    CheckpointTensor key = {.name = name};
    const CheckpointTensor *found = file->count > 0 ? bsearch(&key, file->tensors, file->count,
                                                              sizeof *file->tensors, compare_names)
                                                    : NULL;
    return found ? found - file->tensors : -1;
}

int64_t checkpoint_file_attribute_count(const CheckpointFile *file)
{
    return (int64_t)file->attribute_count;
}

const CheckpointAttribute *checkpoint_file_attribute_at(const CheckpointFile *file, int64_t index)
{
    CHECK(index >= 0 && index < (int64_t)file->attribute_count, "attribute %lld", (long long)index);
    return &file->attributes[index];
}

const CheckpointAttribute *checkpoint_file_attribute(const CheckpointFile *file, const char *name)
{
    for (size_t i = 0; i < file->attribute_count; i++) {
        if (strcmp(file->attributes[i].name, name) == 0)
            return &file->attributes[i];
    }
    return NULL;
}

// The tensor with [first, first + count) checked to lie in it.
static const CheckpointTensor *checked_slice(const CheckpointFile *file, int64_t index,
                                             int64_t first, int64_t count)
{
    const CheckpointTensor *tensor = checkpoint_file_tensor(file, index);
    int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
    CHECK(first >= 0 && count >= 0 && first <= elements && count <= elements - first,
          "elements [%lld, +%lld) of '%s'", (long long)first, (long long)count, tensor->name);
    return tensor;
}

int checkpoint_file_read(const CheckpointFile *file, int64_t index, int64_t first, int64_t count,
                         void *out)
{
    const CheckpointTensor *tensor = checked_slice(file, index, first, count);
    size_t size = stored_type_bytes(tensor->type);
    return raw_read_at(file->descriptor, file->path, out, (size_t)count * size,
                       tensor->offset + first * (int64_t)size);
}

int checkpoint_file_read_f32(const CheckpointFile *file, int64_t index, int64_t first,
                             int64_t count, float *out)
{
    const CheckpointTensor *tensor = checked_slice(file, index, first, count);
    return raw_read_f32(file->descriptor, file->path, tensor->type,
                        tensor->offset + first * (int64_t)stored_type_bytes(tensor->type), count,
                        out);
}
