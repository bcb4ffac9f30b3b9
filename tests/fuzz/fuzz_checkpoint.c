// A checkpoint with a fitting trailer: what HDF5 can hold, described by the input a byte at a time,
// so that every file is one that HDF5 reads and what meets it is our own code.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/regular.h"
#include "files/checkpoint_file.h"
#include "files/checksum.h"
#include "files/hdf5.h"
#include "tasks/stored_adapter.h"
#include "tests/fuzz/fuzz.h"

typedef struct {
    const uint8_t *at, *end;
} Input;

static uint8_t take(Input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static int64_t take_number(Input *input)
{
    static const int64_t odd[] = {0, 1, -1, 2, 3, 65537, INT64_MAX, INT64_MIN};
    uint8_t byte = take(input);
    return byte < 8 ? odd[byte] : byte;
}

// A text of up to 15 bytes.
static void take_text(Input *input, char *text)
{
    size_t length = take(input) & 15;
    for (size_t i = 0; i < length; i++)
        text[i] = (char)take(input);
    text[length] = 0;
}

static void take_name(Input *input, char *name)
{
    static const char *const known[] = {
        "format",          "format_version", "dtype",         "adapter_rank", "adapter_alpha",
        "adapter_targets", "base_path",      "base_checksum", "/w",           "/g/w"};
    uint8_t choice = take(input) % 16;
    if (choice < sizeof known / sizeof *known)
        strcpy(name, known[choice]);
    else
        take_text(input, name);
}

// A type that tensors or attributes have, or should not have; to be closed.
static hid_t take_type(Input *input)
{
    hid_t made;
    switch (take(input) % 16) {
    case 0:
        return H5Tcopy(H5T_IEEE_F32LE);
    case 1:
        return H5Tcopy(H5T_STD_I64LE);
    case 2:
        return H5Tcopy(H5T_STD_U8LE);
    case 3:
        return H5Tcopy(H5T_STD_U16LE);
    case 4:
        return H5Tcopy(H5T_IEEE_F64LE);
    case 5:
        return H5Tcopy(H5T_STD_I32LE);
    case 6:
        return H5Tcopy(H5T_IEEE_F32BE);
    case 7:
        return H5Tcopy(H5T_STD_U64BE);
    case 8:
        return H5Tcopy(H5T_STD_REF_OBJ);
    case 9:
        made = H5Tcreate(H5T_COMPOUND, 8);
        H5Tinsert(made, "a", 0, H5T_STD_I32LE);
        return made;
    case 10:
        made = H5Tenum_create(H5T_STD_I32LE);
        H5Tenum_insert(made, "a", &(int){1});
        return made;
    case 11:
        return H5Tarray_create2(H5T_STD_I32LE, 1, (hsize_t[]){3});
    case 12:
        return H5Tvlen_create(H5T_STD_U8LE);
    case 13:
        made = H5Tcopy(H5T_C_S1);
        H5Tset_size(made, H5T_VARIABLE);
        return made;
    case 14:
        return H5Tcreate(H5T_OPAQUE, 3);
    default:
        made = H5Tcopy(H5T_C_S1);
        H5Tset_size(made, 1 + take(input) % 20);
        return made;
    }
}

// `huge`: of a size that no disk has.
static hid_t take_space(Input *input, bool huge)
{
    hsize_t shape[16];
    int rank = take(input) % 12;
    if (rank == 11)
        return H5Screate(H5S_NULL);
    for (int i = 0; i < rank; i++) {
        uint8_t size = take(input);
        shape[i] = huge && size > 200 ? (hsize_t)1 << 40 : size % 6;
    }
    return rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, shape, NULL);
}

static void add_any_attribute(Input *input, hid_t object, const char *name)
{
    uint64_t value[64] = {0};
    hid_t type = take_type(input), space = take_space(input, false);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool plain = H5Tget_class(type) != H5T_VLEN && H5Tis_variable_str(type) <= 0 &&
                 H5Tget_class(type) != H5T_REFERENCE;
    for (size_t i = 0; i < 4; i++)
        value[i] = (uint64_t)take_number(input);
    if (attribute >= 0 && plain && H5Aget_storage_size(attribute) <= sizeof value)
        H5Awrite(attribute, type, value);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void add_attribute(Input *input, hid_t object)
{
    char name[16], text[16];
    take_name(input, name);
    switch (take(input) % 4) {
    case 0:
        take_text(input, text);
        hdf5_write_text(object, name, text);
        break;
    case 1:
        hdf5_write_integer(object, name, take_number(input));
        break;
    case 2:
        hdf5_write_real(object, name, (double)take_number(input));
        break;
    default:
        add_any_attribute(input, object, name);
    }
}

// `late`: its space is not taken before there are data.
static hid_t take_layout(Input *input, bool *late)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    uint8_t choice = take(input) % 8;
    *late = choice == 4;
    if (choice == 1)
        H5Pset_layout(creation, H5D_COMPACT);
    else if (choice == 2)
        H5Pset_chunk(creation, 1, (hsize_t[]){2});
    else if (choice == 3)
        H5Pset_external(creation, "elsewhere", 0, H5F_UNLIMITED);
    else if (choice == 4)
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_LATE);
    else
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    return creation;
}

static void add_set(Input *input, hid_t file)
{
    static const char *const types[] = {"F32", "I64", "U8", "BF16", "F64", "I32", "F16", "F4"};
    char name[16];
    take_name(input, name);
    bool late;
    hid_t links = H5Pcreate(H5P_LINK_CREATE), creation = take_layout(input, &late);
    hid_t type = take_type(input), space = take_space(input, late);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(file, name, type, space, links, creation, H5P_DEFAULT);
    uint8_t choice = take(input);
    if (set >= 0 && choice < 128)
        hdf5_write_text(set, "dtype", types[choice % 8]);
    else if (set >= 0)
        add_attribute(input, set);
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(links);
    H5Pclose(creation);
    H5Sclose(space);
    H5Tclose(type);
}

static void add_link(Input *input, hid_t file)
{
    char name[16], other[16];
    take_name(input, name);
    take_name(input, other);
    switch (take(input) % 4) {
    case 0:
        H5Lcreate_soft(other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 1:
        H5Lcreate_external("other.h5", other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 2:
        H5Lcreate_hard(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    default: {
        hid_t type = take_type(input);
        H5Tcommit2(file, name, type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Tclose(type);
    }
    }
}

static const char *make_file(Input input)
{
    const char *path = fuzz_write("c.h5", (FuzzPart){0});
    hdf5_enter();
    H5set_free_list_limits(-1, -1, -1, -1, -1, -1); // half a megabyte a file is kept
    hid_t file = hdf5_create(path);
    CHECK(file >= 0, "no file");
    if (take(&input) & 3) { // a checkpoint of this program, and more
        hdf5_write_text(file, "format", CHECKPOINT_FORMAT);
        hdf5_write_integer(file, "format_version", CHECKPOINT_FORMAT_VERSION);
    }
    while (input.at < input.end) {
        uint8_t choice = take(&input) % 4;
        if (choice == 0)
            add_attribute(&input, file);
        else if (choice == 1)
            add_link(&input, file);
        else
            add_set(&input, file);
    }
    H5Fclose(file);
    hdf5_leave();
    return path;
}

static void read_all(const CheckpointFile *file)
{
    for (int64_t i = 0; i < checkpoint_file_count(file); i++) {
        const CheckpointTensor *tensor = checkpoint_file_tensor(file, i);
        int64_t count = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
        CHECK(checkpoint_file_find(file, tensor->name) >= 0, "%s is not found", tensor->name);
        void *values = allocate((size_t)count, stored_type_bytes(tensor->type));
        CHECK(checkpoint_file_read(file, i, 0, count, values) == 0, "%s", fail_message());
        release(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { INPUT_BYTES = 400 };
    size_t used = size < INPUT_BYTES ? size : INPUT_BYTES;
    const char *path = make_file((Input){data, data + used});
    int64_t bytes;
    int descriptor = regular_open(path, &bytes);
    close(descriptor);
    CHECK(checkpoint_file_seal(path, bytes, NULL, 0) == 0, "%s", fail_message());
    fuzz_begin();
    CheckpointFile *file = checkpoint_file_open(path, CHECKPOINT_VERIFY_STRUCTURE);
    if (file)
        read_all(file);
    checkpoint_file_close(file);
    StoredAdapter stored;
    if (stored_adapter_read(&stored, path) == 0)
        CHECK(stored.shape.rank == 0 ||
                  (adapter_alpha_is_usable(stored.shape.alpha) && stored.base),
              "half an adapter");
    stored_adapter_free(&stored);
    return 0;
}
