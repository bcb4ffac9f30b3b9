#include "tests/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/checksum.h"
#include "files/hdf5.h"
#include "tests/files/scratch.h"

enum { TENSORS = 7, LARGE_ELEMENTS = 300 * 1000 };

static const CheckpointAttribute attributes[] = {
    {.name = "config", .kind = ATTRIBUTE_TEXT, .text = "[train]\nlearning_rate = 3e-6\n"},
    {.name = "empty", .kind = ATTRIBUTE_TEXT, .text = ""},
    {.name = "step", .kind = ATTRIBUTE_INTEGER, .integer = INT64_C(-5000000000)},
    {.name = "best", .kind = ATTRIBUTE_REAL, .real = 0.1},
};

static const CheckpointTensor model_tensors[TENSORS] = {
    {.name = "/weights/model.norm.weight", .type = STORED_F32, .rank = 2, .shape = {300, 1000}},
    {.name = "/weights/model.embed.weight", .type = STORED_BF16, .rank = 2, .shape = {300, 1000}},
    {.name = "/optimizer/m/model.norm.weight", .type = STORED_F32, .rank = 1, .shape = {3}},
    {.name = "/files/config.json", .type = STORED_U8, .rank = 1, .shape = {17}},
    {.name = "/counters", .type = STORED_I64, .rank = 1, .shape = {5}},
    {.name = "/scalar", .type = STORED_F64, .rank = 0},
    {.name = "/nothing", .type = STORED_I32, .rank = 2, .shape = {0, 3}},
};

static int64_t bytes_of(const CheckpointTensor *tensor)
{
    return stored_type_elements(tensor->type, tensor->rank, tensor->shape) *
           (int64_t)stored_type_bytes(tensor->type);
}

// Bytes of tensor `i`, different at each place.
static unsigned char *content_of(int64_t i, int64_t bytes)
{
    unsigned char *content = allocate((size_t)bytes, 1);
    for (int64_t k = 0; k < bytes; k++)
        content[k] = (unsigned char)((k * 131 + i * 17 + k / 251) & 0x3f);
    return content;
}

static void make_checkpoint(const char *name)
{
    CheckpointTensor tensors[TENSORS];
    memcpy(tensors, model_tensors, sizeof tensors);
    int64_t payload_bytes;
    const char *path = scratch_path(name);
    unlink(path);
    if (checkpoint_file_create(path, tensors, TENSORS, attributes, 4, &payload_bytes))
        fail_msg("%s", fail_message());
    int descriptor = open(path, O_RDWR);
    for (int i = 0; i < TENSORS; i++) {
        unsigned char *content = content_of(i, bytes_of(&tensors[i]));
        int64_t elements = stored_type_elements(tensors[i].type, tensors[i].rank, tensors[i].shape);
        if (bytes_of(&tensors[i]) >= 65536)
            assert_int_equal(tensors[i].offset % 4096, 0);
        assert_int_equal(checkpoint_file_write(descriptor, path, &tensors[i], 0, elements, content),
                         0);
        release(content);
    }
    close(descriptor);
    assert_int_equal(checkpoint_file_seal(path, payload_bytes), 0);
}

static void a_checkpoint_reads_back_exactly(void **state)
{
    (void)state;
    make_checkpoint("c.h5");
    CheckpointFile *file = checkpoint_file_open(scratch_path("c.h5"), CHECKPOINT_VERIFY_ALL);
    if (!file)
        fail_msg("%s", fail_message());
    assert_int_equal(checkpoint_file_count(file), TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        int64_t index = checkpoint_file_find(file, model_tensors[i].name);
        assert_true(index >= 0);
        const CheckpointTensor *tensor = checkpoint_file_tensor(file, index);
        assert_int_equal(tensor->type, model_tensors[i].type);
        assert_int_equal(tensor->rank, model_tensors[i].rank);
        assert_memory_equal(tensor->shape, model_tensors[i].shape, sizeof tensor->shape);
        unsigned char *expected = content_of(i, bytes_of(tensor));
        unsigned char *content = allocate((size_t)bytes_of(tensor), 1);
        int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
        assert_int_equal(checkpoint_file_read(file, index, 0, elements, content), 0);
        assert_memory_equal(content, expected, (size_t)bytes_of(tensor));
        release(expected);
        release(content);
    }
    assert_int_equal(checkpoint_file_find(file, "/weights/absent"), -1);
    assert_string_equal(checkpoint_file_attribute(file, "config")->text, attributes[0].text);
    assert_string_equal(checkpoint_file_attribute(file, "empty")->text, "");
    assert_int_equal(checkpoint_file_attribute(file, "step")->integer, attributes[2].integer);
    assert_true(checkpoint_file_attribute(file, "best")->real == 0.1);
    assert_null(checkpoint_file_attribute(file, "absent"));
    checkpoint_file_close(file);
}

static void slices_convert_to_fp32(void **state)
{
    (void)state;
    make_checkpoint("f.h5");
    CheckpointFile *file = checkpoint_file_open(scratch_path("f.h5"), CHECKPOINT_VERIFY_ALL);
    int64_t index = checkpoint_file_find(file, "/weights/model.embed.weight");
    float *values = allocate(LARGE_ELEMENTS, sizeof *values);
    assert_int_equal(checkpoint_file_read_f32(file, index, 7, LARGE_ELEMENTS - 7, values), 0);
    unsigned char *content = content_of(1, LARGE_ELEMENTS * 2);
    for (int i = 7; i < LARGE_ELEMENTS; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i - 7], sizeof bits);
        assert_int_equal(bits, (uint32_t)(content[2 * i] | content[2 * i + 1] << 8) << 16);
    }
    release(content);
    release(values);
    checkpoint_file_close(file);
}

static void equal_content_makes_equal_files(void **state)
{
    (void)state;
    size_t a_bytes, b_bytes;
    make_checkpoint("a.h5");
    sleep(1); // a time stamp would differ
    make_checkpoint("b.h5");
    char *a = scratch_read("a.h5", &a_bytes), *b = scratch_read("b.h5", &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a, b, a_bytes);
    release(a);
    release(b);
}

static void hdf5_itself_reads_the_data_through_the_trailer(void **state)
{
    (void)state;
    make_checkpoint("h.h5");
    hdf5_enter();
    hid_t root = H5Fopen(scratch_path("h.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(root >= 0);
    hid_t set = H5Dopen2(root, "/weights/model.norm.weight", H5P_DEFAULT);
    char *values = allocate(LARGE_ELEMENTS, 4);
    assert_true(H5Dread(set, H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    unsigned char *expected = content_of(0, LARGE_ELEMENTS * 4);
    assert_memory_equal(values, expected, LARGE_ELEMENTS * 4);
    H5Dclose(set);
    H5Fclose(root);
    hdf5_leave();
    release(values);
    release(expected);
}

static void h5dump_lists_the_tensors(void **state)
{
    (void)state;
    if (system("h5dump --version >/dev/null 2>&1") != 0)
        skip();
    make_checkpoint("d.h5");
    char command[1200], line[256];
    snprintf(command, sizeof command, "h5dump -H %s", scratch_path("d.h5"));
    FILE *dump = popen(command, "r");
    int found = 0;
    while (fgets(line, sizeof line, dump))
        found += strstr(line, "model.norm.weight") || strstr(line, "model.embed.weight") ||
                 strstr(line, "( 300, 1000 )");
    assert_int_equal(pclose(dump), 0);
    assert_int_equal(found, 5);
}

static void flip(char *bytes, size_t bit)
{
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
}

static uint64_t next(uint64_t *draw)
{
    *draw = *draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *draw >> 16;
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    size_t bytes;
    make_checkpoint("flip.h5");
    char *file = scratch_read("flip.h5", &bytes);
    uint64_t draw = 7;
    for (int i = 0; i < 300; i++) {
        // A third anywhere, a third in HDF5's head, a third in the trailer with its footer.
        size_t place = i % 3 == 0   ? next(&draw) % bytes
                       : i % 3 == 1 ? next(&draw) % 4096
                                    : bytes - 1 - next(&draw) % 64;
        size_t bit = place * 8 + next(&draw) % 8;
        flip(file, bit);
        scratch_write("flipped.h5", file, bytes);
        flip(file, bit);
        if (checksum_verify_file(scratch_path("flipped.h5")) == 0)
            fail_msg("bit %zu of %zu bytes was not found", bit, bytes);
        assert_null(checkpoint_file_open(scratch_path("flipped.h5"), CHECKPOINT_VERIFY_ALL));
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
    }
    release(file);
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    size_t bytes;
    make_checkpoint("cut.h5");
    char *file = scratch_read("cut.h5", &bytes);
    uint64_t draw = 11;
    for (int i = 0; i < 300; i++) {
        size_t left = i < 64 ? bytes - 1 - (size_t)i : next(&draw) % bytes;
        scratch_write("short.h5", file, left);
        assert_null(checkpoint_file_open(scratch_path("short.h5"), CHECKPOINT_VERIFY_ALL));
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
    }
    release(file);
}

static void every_inserted_byte_is_found(void **state)
{
    (void)state;
    enum { FOOTER_BYTES = 48 };
    size_t bytes;
    make_checkpoint("grow.h5");
    char *file = scratch_read("grow.h5", &bytes);
    const size_t places[] = {0, 5000, bytes - FOOTER_BYTES, bytes - 1, bytes};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *longer = allocate(bytes + 1, 1);
        memcpy(longer, file, places[i]);
        memcpy(longer + places[i] + 1, file + places[i], bytes - places[i]);
        scratch_write("grown.h5", longer, bytes + 1);
        assert_null(checkpoint_file_open(scratch_path("grown.h5"), CHECKPOINT_VERIFY_ALL));
        assert_failed(EXIT_BAD_DATA, "trailer");
        release(longer);
    }
    release(file);
}

// Damaged by a program that then sealed it: HDF5 is content, as the trailer makes up for the
// length.
static void tensors_that_reach_into_the_trailer_are_refused(void **state)
{
    (void)state;
    int64_t payload_bytes;
    const char *path = scratch_path("reach.h5");
    CheckpointTensor tensor = {.name = "/t", .type = STORED_F32, .rank = 1, .shape = {100000}};
    assert_int_equal(checkpoint_file_create(path, &tensor, 1, NULL, 0, &payload_bytes), 0);
    assert_int_equal(tensor.offset + 400000, payload_bytes);
    assert_int_equal(truncate(path, payload_bytes - 8), 0);
    assert_int_equal(checkpoint_file_seal(path, payload_bytes - 8), 0);
    assert_null(checkpoint_file_open(path, CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "the data of '/t' are not in one piece within the file");
}

static void damage_is_told_with_block_and_tensor(void **state)
{
    (void)state;
    size_t bytes;
    make_checkpoint("told.h5");
    CheckpointFile *checkpoint =
        checkpoint_file_open(scratch_path("told.h5"), CHECKPOINT_VERIFY_ALL);
    int64_t index = checkpoint_file_find(checkpoint, "/weights/model.norm.weight");
    int64_t offset = checkpoint_file_tensor(checkpoint, index)->offset + 100;
    checkpoint_file_close(checkpoint);
    char *file = scratch_read("told.h5", &bytes), expected[64];
    file[offset] ^= 1;
    scratch_write("told.h5", file, bytes);
    release(file);
    snprintf(expected, sizeof expected, "damaged in block %lld", (long long)(offset >> 20));
    assert_null(checkpoint_file_open(scratch_path("told.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "told.h5");
    assert_failed(EXIT_BAD_DATA, expected);
    assert_failed(EXIT_BAD_DATA, "in /weights/model.norm.weight");
}

static void random_damage_of_the_structure_never_crashes(void **state)
{
    (void)state;
    size_t bytes;
    make_checkpoint("wild.h5");
    char *file = scratch_read("wild.h5", &bytes);
    int64_t payload_bytes = (int64_t)bytes - 48;
    while (payload_bytes + 8 * checksum_block_count(payload_bytes) + 48 > (int64_t)bytes)
        payload_bytes--;
    uint64_t draw = 3;
    for (int i = 0; i < 300; i++) {
        char *wild = allocate(bytes, 1);
        memcpy(wild, file, bytes);
        for (int flips = 0; flips < 3; flips++)
            wild[next(&draw) % 5000] = (char)next(&draw);
        scratch_write("wild.h5", wild, (size_t)payload_bytes);
        release(wild);
        // Sealed anew, so the damage reaches HDF5: an attacker's file.
        assert_int_equal(checkpoint_file_seal(scratch_path("wild.h5"), payload_bytes), 0);
        CheckpointFile *opened =
            checkpoint_file_open(scratch_path("wild.h5"), CHECKPOINT_VERIFY_ALL);
        for (int64_t k = 0; opened && k < checkpoint_file_count(opened); k++) {
            const CheckpointTensor *tensor = checkpoint_file_tensor(opened, k);
            if (tensor->offset >= 0)
                assert_true(tensor->offset + bytes_of(tensor) <= payload_bytes);
        }
        checkpoint_file_close(opened);
    }
    release(file);
}

static void foreign_files_are_refused(void **state)
{
    (void)state;
    assert_null(checkpoint_file_open(scratch_path("absent.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_NO_INPUT, "absent.h5");
    scratch_write("zero.h5", "", 0);
    assert_null(checkpoint_file_open(scratch_path("zero.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "no checksum trailer");
    // Another program's HDF5 file, once as it is, once with a trailer of ours.
    hdf5_enter();
    hid_t foreign = H5Fcreate(scratch_path("foreign.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(foreign);
    hdf5_leave();
    assert_null(checkpoint_file_open(scratch_path("foreign.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "not a file of this program");
    size_t bytes;
    release(scratch_read("foreign.h5", &bytes));
    assert_int_equal(checkpoint_file_seal(scratch_path("foreign.h5"), (int64_t)bytes), 0);
    assert_null(checkpoint_file_open(scratch_path("foreign.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "not a checkpoint of this program");
    scratch_write_text("text.h5", "no HDF5 at all, but sealed");
    assert_int_equal(checkpoint_file_seal(scratch_path("text.h5"), 26), 0);
    assert_null(checkpoint_file_open(scratch_path("text.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "HDF5:");
}

static void make_with_hdf5(const char *name, int64_t version, bool chunked)
{
    hdf5_enter();
    hsize_t shape[1] = {8}, chunk[1] = {4};
    hid_t root = H5Fcreate(scratch_path(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hdf5_write_text(root, "format", CHECKPOINT_FORMAT);
    hdf5_write_integer(root, "format_version", version);
    hid_t space = H5Screate_simple(1, shape, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked)
        H5Pset_chunk(list, 1, chunk);
    hid_t set = H5Dcreate2(root, "t", H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (chunked)
        hdf5_write_text(set, "dtype", "F32");
    H5Dclose(set);
    H5Pclose(list);
    H5Sclose(space);
    H5Fclose(root);
    hdf5_leave();
    size_t bytes;
    release(scratch_read(name, &bytes));
    assert_int_equal(checkpoint_file_seal(scratch_path(name), (int64_t)bytes), 0);
}

static void other_versions_and_layouts_are_refused(void **state)
{
    (void)state;
    make_with_hdf5("newer.h5", 2, true);
    assert_null(checkpoint_file_open(scratch_path("newer.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "checkpoint format 2; this program reads format 1");
    make_with_hdf5("chunked.h5", 1, true);
    assert_null(checkpoint_file_open(scratch_path("chunked.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "not in one piece");
    make_with_hdf5("untyped.h5", 1, false);
    assert_null(checkpoint_file_open(scratch_path("untyped.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "no type that this program knows");
}

static void what_cannot_be_created_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    int64_t payload_bytes;
    CheckpointTensor tensor = {.name = "/t", .type = STORED_F32, .rank = 1, .shape = {4}};
    assert_int_equal(
        checkpoint_file_create(scratch_path("nowhere/x.h5"), &tensor, 1, NULL, 0, &payload_bytes),
        -1);
    assert_failed(EXIT_CANNOT_CREATE, "nowhere/x.h5");
    scratch_write_text("there.h5", "x");
    assert_int_equal(
        checkpoint_file_create(scratch_path("there.h5"), &tensor, 1, NULL, 0, &payload_bytes), -1);
    assert_failed(EXIT_CANNOT_CREATE, "there already");
    tensor.shape[0] = INT64_C(1) << 50;
    assert_int_equal(
        checkpoint_file_create(scratch_path("huge.h5"), &tensor, 1, NULL, 0, &payload_bytes), -1);
    assert_int_equal(access(scratch_path("huge.h5"), F_OK), -1);
    CheckpointTensor twice[2] = {{.name = "/t", .type = STORED_U8, .rank = 1, .shape = {4}},
                                 {.name = "/t", .type = STORED_U8, .rank = 1, .shape = {4}}};
    assert_int_equal(
        checkpoint_file_create(scratch_path("twice.h5"), twice, 2, NULL, 0, &payload_bytes), -1);
    assert_failed(EXIT_CANNOT_CREATE, "'/t'");
    assert_int_equal(access(scratch_path("twice.h5"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_reads_back_exactly),
        cmocka_unit_test(slices_convert_to_fp32),
        cmocka_unit_test(equal_content_makes_equal_files),
        cmocka_unit_test(hdf5_itself_reads_the_data_through_the_trailer),
        cmocka_unit_test(h5dump_lists_the_tensors),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(every_inserted_byte_is_found),
        cmocka_unit_test(tensors_that_reach_into_the_trailer_are_refused),
        cmocka_unit_test(damage_is_told_with_block_and_tensor),
        cmocka_unit_test(random_damage_of_the_structure_never_crashes),
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(other_versions_and_layouts_are_refused),
        cmocka_unit_test(what_cannot_be_created_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
