#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/hdf5.h"
#include "tests/files/sample.h"
#include "tests/files/scratch.h"

static void a_checkpoint_reads_back_exactly(void **state)
{
    (void)state;
    sample_make("c.h5");
    CheckpointFile *file = checkpoint_file_open(scratch_path("c.h5"), CHECKPOINT_VERIFY_ALL);
    if (!file)
        fail_msg("%s", fail_message());
    assert_int_equal(checkpoint_file_count(file), SAMPLE_TENSORS);
    for (int i = 0; i < SAMPLE_TENSORS; i++) {
        int64_t index = checkpoint_file_find(file, sample_tensors[i].name);
        assert_true(index >= 0);
        const CheckpointTensor *tensor = checkpoint_file_tensor(file, index);
        assert_int_equal(tensor->type, sample_tensors[i].type);
        assert_int_equal(tensor->rank, sample_tensors[i].rank);
        assert_memory_equal(tensor->shape, sample_tensors[i].shape, sizeof tensor->shape);
        unsigned char *expected = sample_content(i, sample_bytes(tensor));
        unsigned char *content = allocate((size_t)sample_bytes(tensor), 1);
        int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
        assert_int_equal(checkpoint_file_read(file, index, 0, elements, content), 0);
        assert_memory_equal(content, expected, (size_t)sample_bytes(tensor));
        release(expected);
        release(content);
    }
    assert_int_equal(checkpoint_file_find(file, "/weights/absent"), -1);
    assert_string_equal(checkpoint_file_attribute(file, "config")->text, sample_attributes[0].text);
    assert_string_equal(checkpoint_file_attribute(file, "empty")->text, "");
    assert_int_equal(checkpoint_file_attribute(file, "step")->integer,
                     sample_attributes[2].integer);
    assert_true(checkpoint_file_attribute(file, "best")->real == 0.1);
    assert_null(checkpoint_file_attribute(file, "absent"));
    checkpoint_file_close(file);
}

static void slices_convert_to_fp32(void **state)
{
    (void)state;
    sample_make("f.h5");
    CheckpointFile *file = checkpoint_file_open(scratch_path("f.h5"), CHECKPOINT_VERIFY_ALL);
    int64_t index = checkpoint_file_find(file, "/weights/model.embed.weight");
    float *values = allocate(SAMPLE_LARGE, sizeof *values);
    assert_int_equal(checkpoint_file_read_f32(file, index, 7, SAMPLE_LARGE - 7, values), 0);
    unsigned char *content = sample_content(1, SAMPLE_LARGE * 2);
    for (int i = 7; i < SAMPLE_LARGE; i++) {
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
    sample_make("a.h5");
    sleep(1); // a time stamp would differ
    sample_make("b.h5");
    char *a = scratch_read("a.h5", &a_bytes), *b = scratch_read("b.h5", &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a, b, a_bytes);
    release(a);
    release(b);
}

static void hdf5_itself_reads_the_data_through_the_trailer(void **state)
{
    (void)state;
    sample_make("h.h5");
    hdf5_enter();
    hid_t root = H5Fopen(scratch_path("h.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(root >= 0);
    hid_t set = H5Dopen2(root, "/weights/model.norm.weight", H5P_DEFAULT);
    char *values = allocate(SAMPLE_LARGE, 4);
    assert_true(H5Dread(set, H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    unsigned char *expected = sample_content(0, SAMPLE_LARGE * 4);
    assert_memory_equal(values, expected, SAMPLE_LARGE * 4);
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
    sample_make("d.h5");
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
    assert_int_equal(checkpoint_file_seal(scratch_path("foreign.h5"), (int64_t)bytes, NULL, 0), 0);
    assert_null(checkpoint_file_open(scratch_path("foreign.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, "not a checkpoint of this program");
    scratch_write_text("text.h5", "no HDF5 at all, but sealed");
    assert_int_equal(checkpoint_file_seal(scratch_path("text.h5"), 26, NULL, 0), 0);
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
    assert_int_equal(checkpoint_file_seal(scratch_path(name), (int64_t)bytes, NULL, 0), 0);
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

// A sealed checkpoint of so many attributes beside its own, groups in its root, and groups within
// one another.
static void make_large(const char *name, int attributes, int groups, int depth)
{
    hdf5_enter();
    hid_t root = hdf5_create(scratch_path(name));
    hdf5_write_text(root, "format", CHECKPOINT_FORMAT);
    hdf5_write_integer(root, "format_version", CHECKPOINT_FORMAT_VERSION);
    for (int i = 0; i < attributes; i++) {
        char text[16];
        snprintf(text, sizeof text, "a%d", i);
        hdf5_write_integer(root, text, i);
    }
    for (int i = 0; i < groups; i++) {
        char text[16];
        snprintf(text, sizeof text, "g%d", i);
        H5Gclose(H5Gcreate2(root, text, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    }
    hid_t inner = H5Gopen2(root, "/", H5P_DEFAULT);
    for (int i = 0; i < depth; i++) {
        hid_t outer = inner;
        inner = H5Gcreate2(outer, "in", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(outer);
    }
    H5Gclose(inner);
    H5Fclose(root);
    hdf5_leave();
    size_t bytes;
    release(scratch_read(name, &bytes));
    assert_int_equal(checkpoint_file_seal(scratch_path(name), (int64_t)bytes, NULL, 0), 0);
}

static void expect_too_large(int attributes, int groups, int depth, const char *part)
{
    make_large("large.h5", attributes, groups, depth);
    assert_null(checkpoint_file_open(scratch_path("large.h5"), CHECKPOINT_VERIFY_ALL));
    assert_failed(EXIT_BAD_DATA, part);
    assert_int_equal(unlink(scratch_path("large.h5")), 0);
}

static void more_than_the_limits_is_refused(void **state)
{
    (void)state;
    // One nested group is deeper than the data sets that it may hold; the file has two attributes.
    make_large("limits.h5", CHECKPOINT_ATTRIBUTES_MAXIMUM - 2, 100, CHECKPOINT_DEPTH_MAXIMUM + 1);
    CheckpointFile *file = checkpoint_file_open(scratch_path("limits.h5"), CHECKPOINT_VERIFY_ALL);
    assert_non_null(file);
    checkpoint_file_close(file);
    expect_too_large(CHECKPOINT_ATTRIBUTES_MAXIMUM - 1, 0, 0, "has more than 1000 attributes");
    expect_too_large(0, 0, 3000, "groups are nested deeper than 8");
    expect_too_large(0, CHECKPOINT_OBJECTS_MAXIMUM, 0,
                     "holds more than 100000 data sets and groups");
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
    char *text = allocate(CHECKPOINT_TEXT_MAXIMUM + 2, 1);
    CheckpointAttribute attribute = {.name = "long", .kind = ATTRIBUTE_TEXT, .text = text};
    memset(text, 'x', CHECKPOINT_TEXT_MAXIMUM);
    tensor.shape[0] = 4;
    assert_int_equal(
        checkpoint_file_create(scratch_path("most.h5"), &tensor, 1, &attribute, 1, &payload_bytes),
        0);
    text[CHECKPOINT_TEXT_MAXIMUM] = 'x';
    assert_int_equal(
        checkpoint_file_create(scratch_path("long.h5"), &tensor, 1, &attribute, 1, &payload_bytes),
        -1);
    assert_failed(EXIT_CANNOT_CREATE, "attribute 'long' has 60001 bytes");
    assert_int_equal(access(scratch_path("long.h5"), F_OK), -1);
    release(text);
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
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(other_versions_and_layouts_are_refused),
        cmocka_unit_test(more_than_the_limits_is_refused),
        cmocka_unit_test(what_cannot_be_created_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
