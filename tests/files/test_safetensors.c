#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/safetensors.h"
#include "tests/files/scratch.h"

// A file of this header text and `data_bytes` zero bytes of data.
static void write_file(const char *name, const char *header, size_t data_bytes)
{
    Bytes file = {0};
    uint64_t length = strlen(header);
    bytes_append(&file, &length, sizeof length);
    bytes_append(&file, header, length);
    char *zeros = allocate(data_bytes, 1);
    bytes_append(&file, zeros, data_bytes);
    scratch_write(name, file.data, file.length);
    release(zeros);
    bytes_free(&file);
}

static void expect_refused(const char *header, size_t data_bytes, const char *part)
{
    write_file("bad.safetensors", header, data_bytes);
    SafetensorsSet *set = safetensors_open(scratch_path("bad.safetensors"));
    if (set)
        fail_msg("accepted, expected '%s': %.200s", part, header);
    assert_failed(EXIT_BAD_DATA, part);
    assert_failed(EXIT_BAD_DATA, "bad.safetensors");
}

static void a_written_file_reads_back_exactly(void **state)
{
    (void)state;
    const SafetensorsDeclaration tensors[] = {
        {"model.layers.10.weight", STORED_BF16, 2, {3, 5}},
        {"model.norm.weight", STORED_F32, 1, {7}},
        {"empty", STORED_F32, 2, {0, 4}},
        {"scalar", STORED_BF16, 0, {0}},
        {"a \"quoted\" name", STORED_F32, 1, {2}},
    };
    float values[15];
    for (int i = 0; i < 15; i++)
        values[i] = (float)i * 0.5f - 3;
    SafetensorsWriter *writer = safetensors_create(scratch_path("t.safetensors"), tensors, 5);
    assert_non_null(writer);
    static const int64_t order[] = {4, 2, 1, 0, 3};
    static const int64_t elements[] = {15, 7, 0, 1, 2};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(safetensors_write_order(writer, i), order[i]);
        // In two slices, to show that slices join.
        int64_t count = elements[order[i]], half = count / 2;
        assert_int_equal(safetensors_append_f32(writer, values, half), 0);
        assert_int_equal(safetensors_append_f32(writer, values + half, count - half), 0);
    }
    assert_int_equal(access(scratch_path("t.safetensors"), F_OK), -1);
    assert_int_equal(safetensors_commit(writer), 0);
    SafetensorsSet *set = safetensors_open(scratch_path("t.safetensors"));
    assert_non_null(set);
    assert_int_equal(safetensors_count(set), 5);
    int64_t index = safetensors_find(set, "model.layers.10.weight");
    const SafetensorsTensor *tensor = safetensors_tensor(set, index);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->shape[0], 3);
    assert_int_equal(tensor->shape[1], 5);
    assert_int_equal(tensor->elements, 15);
    float out[15];
    assert_int_equal(safetensors_read_f32(set, index, 4, 9, out), 0);
    assert_memory_equal(out, values + 4, 9 * sizeof *out);
    index = safetensors_find(set, "a \"quoted\" name");
    assert_int_equal(safetensors_read_f32(set, index, 0, 2, out), 0);
    assert_memory_equal(out, values, 2 * sizeof *out);
    assert_int_equal(safetensors_find(set, "model.layers.1.weight"), -1);
    assert_int_equal(safetensors_tensor(set, safetensors_find(set, "empty"))->elements, 0);
    assert_int_equal(safetensors_tensor(set, safetensors_find(set, "scalar"))->elements, 1);
    safetensors_close(set);
}

static void the_header_has_the_reference_writers_form(void **state)
{
    (void)state;
    const SafetensorsDeclaration tensors[] = {{"b", STORED_BF16, 1, {1}},
                                              {"a", STORED_F32, 2, {1, 1}}};
    SafetensorsWriter *writer = safetensors_create(scratch_path("h.safetensors"), tensors, 2);
    const float value = 1;
    assert_int_equal(safetensors_append_f32(writer, &value, 1), 0);
    assert_int_equal(safetensors_append_f32(writer, &value, 1), 0);
    assert_int_equal(safetensors_commit(writer), 0);
    size_t bytes;
    char *file = scratch_read("h.safetensors", &bytes);
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[4,6]}}";
    uint64_t length;
    memcpy(&length, file, sizeof length);
    assert_int_equal(length % 8, 0);
    assert_memory_equal(file + 8, header, strlen(header));
    for (size_t i = 8 + strlen(header); i < 8 + length; i++)
        assert_int_equal(file[i], ' ');
    assert_int_equal(bytes, 8 + length + 6);
    release(file);
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    (void)state;
    const SafetensorsDeclaration tensors[] = {{"a", STORED_F32, 1, {2}}};
    assert_int_equal(mkdir(scratch_path("abandoned"), 0777), 0);
    SafetensorsWriter *writer =
        safetensors_create(scratch_path("abandoned/x.safetensors"), tensors, 1);
    assert_int_equal(scratch_entries("abandoned"), 1);
    safetensors_abandon(writer);
    assert_int_equal(scratch_entries("abandoned"), 0);
    assert_null(safetensors_create(scratch_path("nowhere/x.safetensors"), tensors, 1));
}

static void a_file_larger_than_the_disk_is_refused_at_once(void **state)
{
    (void)state;
    const SafetensorsDeclaration tensors[] = {{"a", STORED_F32, 1, {INT64_C(1) << 58}}};
    assert_null(safetensors_create(scratch_path("huge.safetensors"), tensors, 1));
    assert_failed(EXIT_CANNOT_CREATE, "free");
}

static void files_too_short_for_a_header_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        uint64_t length;
        const char *part;
    } cases[] = {{0, 0, "only 0 bytes"},
                 {7, 0, "only 7 bytes"},
                 {8, 0, "does not begin with '{'"},
                 {8, 1, "cut short"},
                 {8, UINT64_C(1) << 63, "a header of"},
                 {8, 100000001, "a header of"},
                 {8, 100000000, "cut short"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scratch_write("short.safetensors", &cases[i].length, cases[i].bytes);
        assert_null(safetensors_open(scratch_path("short.safetensors")));
        assert_failed(EXIT_BAD_DATA, cases[i].part);
    }
}

#define ONE(type, shape, begin, end)                                                               \
    "{\"t\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}}"

static void bad_headers_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *part;
    } cases[] = {
        {"[1]", 0, "does not begin with '{'"},
        {" {}", 0, "does not begin with '{'"},
        {"{\"t\":", 0, "bad header"},
        {"{\"\xff\":1}", 0, "bad header"},
        {"{\"\\u0000\":1}", 0, "bad header"},
        {"{\"\\ud800\":1}", 0, "bad header"},
        {ONE("F32", "[1e999]", "0", "4"), 4, "bad header"},
        {ONE("F32", "[NaN]", "0", "4"), 4, "bad header"},
        {ONE("F32", "[1]", "0", "-0"), 4, "need 4 bytes"},
        {"{} x", 0, "bad header"},
        {"{\"t\":1}", 0, "not described by an object"},
        {"{\"t\":{}}", 0, "dtype, shape and data_offsets alone"},
        {"{\"t\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "has no dtype"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "has no shape"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two whole numbers"},
        {ONE("F32", "[1]", "0", "4.0"), 4, "two whole numbers"},
        {ONE("F32", "[1]", "-4", "0"), 4, "two whole numbers"},
        {ONE("F32", "[1]", "0", "36893488147419103232"), 4, "bad header"},
        {ONE("F32", "[1]", "4", "0"), 4, "end before they begin"},
        {ONE("F32", "[2]", "0", "8"), 4, "cut short"},
        {ONE("F32", "[2]", "0", "4"), 4, "need 8 bytes"},
        {ONE("F32", "[0]", "0", "4"), 4, "need 0 bytes"},
        {ONE("F32", "[-1]", "0", "4"), 4, "not of whole numbers"},
        {ONE("F32", "[1.5]", "0", "4"), 4, "not of whole numbers"},
        {ONE("F32", "[4294967296,4294967296]", "0", "0"), 0, "too large"},
        {ONE("F32", "[9223372036854775807]", "0", "0"), 0, "too large"},
        {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4"), 4, "9 dimensions"},
        {ONE("I64", "[1]", "0", "8"), 8, "type I64; only F32, F16 and BF16"},
        {ONE("F8_E4M3", "[4]", "0", "4"), 4, "quantised"},
        {ONE("F31", "[1]", "0", "4"), 4, "unknown type 'F31'"},
        {ONE("F32", "[1]", "0", "4"), 5, "1 bytes behind the last tensor"},
        {ONE("F32", "[1]", "1", "5"), 5, "hole"},
        {"{}", 3, "3 bytes behind"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ 'a' is not a string"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, "duplicate"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         12, "overlap"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         8, "overlap"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(cases[i].header, cases[i].data, cases[i].part);
}

static void deep_nesting_and_long_names_are_refused(void **state)
{
    (void)state;
    Bytes deep = {0}, name = {0};
    bytes_append_text(&deep, "{\"t\":");
    for (int i = 0; i < 200000; i++)
        bytes_append_text(&deep, "[");
    expect_refused(deep.data, 0, "bad header");
    bytes_append_text(&name, "{\"");
    for (int i = 0; i < 1025; i++)
        bytes_append_text(&name, "n");
    bytes_append_text(&name, "\":{}}");
    expect_refused(name.data, 0, "1025 bytes");
    bytes_free(&deep);
    bytes_free(&name);
}

static void a_hundred_thousand_tensors_on_one_region_are_refused(void **state)
{
    (void)state;
    Bytes header = {0};
    for (int i = 0; i < 100000; i++)
        bytes_print(&header, "%s\"t%d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}",
                    i ? "," : "{", i);
    bytes_append_text(&header, "}");
    expect_refused(header.data, 4, "overlap");
    bytes_free(&header);
}

static void empty_files_and_scalars_are_read(void **state)
{
    (void)state;
    write_file("e.safetensors", "{\"__metadata__\":{\"format\":\"pt\"}}   ", 0);
    SafetensorsSet *set = safetensors_open(scratch_path("e.safetensors"));
    assert_non_null(set);
    assert_int_equal(safetensors_count(set), 0);
    assert_int_equal(safetensors_find(set, "x"), -1);
    safetensors_close(set);
    write_file("s.safetensors", ONE("F32", "[]", "0", "4"), 4);
    set = safetensors_open(scratch_path("s.safetensors"));
    assert_non_null(set);
    assert_int_equal(safetensors_tensor(set, 0)->rank, 0);
    safetensors_close(set);
}

static void a_file_that_shrinks_is_a_message(void **state)
{
    (void)state;
    write_file("shrink.safetensors", ONE("F32", "[1000]", "0", "4000"), 4000);
    SafetensorsSet *set = safetensors_open(scratch_path("shrink.safetensors"));
    assert_non_null(set);
    assert_int_equal(truncate(scratch_path("shrink.safetensors"), 2000), 0);
    float out[1000];
    assert_int_equal(safetensors_read_f32(set, 0, 0, 1000, out), -1);
    assert_failed(EXIT_BAD_DATA, "shortened");
    safetensors_close(set);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    assert_null(safetensors_open(scratch_path("fifo")));
    assert_failed(EXIT_BAD_DATA, "not a regular file");
    assert_null(safetensors_open(scratch_path("absent")));
    assert_failed(EXIT_NO_INPUT, "No such file");
    assert_int_equal(mkdir(scratch_path("no-model"), 0777), 0);
    assert_null(safetensors_open(scratch_path("no-model")));
    assert_failed(EXIT_NO_INPUT, "converted to safetensors");
}

// Makes a directory with two shards "1" (a, b) and "2" (c) and this index.
static void make_shards(const char *index)
{
    mkdir(scratch_path("sharded"), 0777);
    write_file("sharded/1.safetensors",
               "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
               "\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[4,6]}}",
               6);
    write_file("sharded/2.safetensors",
               "{\"c\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2);
    unlink(scratch_path("sharded/model.safetensors.index.json"));
    if (index)
        scratch_write_text("sharded/model.safetensors.index.json", index);
}

static void shards_are_read_as_one_set(void **state)
{
    (void)state;
    make_shards("{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"1.safetensors\","
                "\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}");
    SafetensorsSet *set = safetensors_open(scratch_path("sharded"));
    assert_non_null(set);
    assert_int_equal(safetensors_count(set), 3);
    float out = 1;
    assert_int_equal(safetensors_read_f32(set, safetensors_find(set, "c"), 0, 1, &out), 0);
    assert_true(out == 0);
    safetensors_close(set);
}

static void bad_indices_are_refused_with_the_reason(void **state)
{
    (void)state;
#define MAP(a, b, c) "{\"weight_map\":{\"a\":" a ",\"b\":" b c "}}"
    static const struct {
        const char *index;
        ExitCode code;
        const char *part;
    } cases[] = {
        {"{", EXIT_BAD_DATA, "index.json:1"},
        {"{}", EXIT_BAD_DATA, "no weight_map"},
        {"{\"weight_map\":{}}", EXIT_BAD_DATA, "no weight_map"},
        {MAP("\"1.safetensors\"", "3", ""), EXIT_BAD_DATA, "not a string"},
        {MAP("\"../../etc/passwd\"", "\"1.safetensors\"", ""), EXIT_BAD_DATA,
         "not the name of a .safetensors file in the same directory"},
        {MAP("\"../1.safetensors\"", "\"1.safetensors\"", ""), EXIT_BAD_DATA, "same directory"},
        {MAP("\"/1.safetensors\"", "\"1.safetensors\"", ""), EXIT_BAD_DATA, "same directory"},
        {MAP("\"1.bin\"", "\"1.safetensors\"", ""), EXIT_BAD_DATA, "same directory"},
        {MAP("\"1.safetensors\"", "\"1.safetensors\"", ",\"c\":\"3.safetensors\""), EXIT_NO_INPUT,
         "3.safetensors"},
        {MAP("\"1.safetensors\"", "\"2.safetensors\"", ",\"c\":\"2.safetensors\""), EXIT_BAD_DATA,
         "tensor 'b' in 2.safetensors, which does not have it"},
        {MAP("\"1.safetensors\"", "\"1.safetensors\"", ",\"d\":\"2.safetensors\""), EXIT_BAD_DATA,
         "does not name tensor 'c'"},
        {MAP("\"1.safetensors\"", "\"1.safetensors\"",
             ",\"c\":\"2.safetensors\",\"d\":\"2.safetensors\""),
         EXIT_BAD_DATA, "tensor 'd'"},
        {"{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}}", EXIT_BAD_DATA,
         "duplicate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_shards(cases[i].index);
        assert_null(safetensors_open(scratch_path("sharded")));
        assert_failed(cases[i].code, cases[i].part);
    }
}

static void more_shards_than_the_limit_are_refused(void **state)
{
    (void)state;
    Bytes index = {0};
    enum { SHARDS = 513 };
    assert_int_equal(mkdir(scratch_path("many"), 0777), 0);
    for (int i = 0; i < SHARDS; i++) {
        char name[64], header[128];
        snprintf(name, sizeof name, "many/%d.safetensors", i);
        snprintf(header, sizeof header,
                 "{\"t%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", i);
        write_file(name, header, 0);
        bytes_print(&index, "%s\"t%d\":\"%s\"", i ? "," : "{\"weight_map\":{", i, name + 5);
    }
    bytes_append_text(&index, "}}");
    scratch_write_text("many/model.safetensors.index.json", index.data);
    assert_null(safetensors_open(scratch_path("many")));
    assert_failed(EXIT_BAD_DATA, "names more than 512 files");
    bytes_free(&index);
    assert_int_equal(truncate(scratch_path("many/model.safetensors.index.json"), 100000001), 0);
    assert_null(safetensors_open(scratch_path("many")));
    assert_failed(EXIT_BAD_DATA, "has 100000001 bytes; at most 100000000 are allowed");
}

// A hub's cache is a directory of symbolic links.
static void shards_may_be_links_but_only_to_files(void **state)
{
    (void)state;
    const char *index = "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
                        "\"c\":\"2.safetensors\"}}";
    make_shards(index);
    assert_int_equal(rename(scratch_path("sharded/2.safetensors"), scratch_path("blob")), 0);
    assert_int_equal(symlink("../blob", scratch_path("sharded/2.safetensors")), 0);
    SafetensorsSet *set = safetensors_open(scratch_path("sharded"));
    assert_non_null(set);
    safetensors_close(set);
    const char *const others[] = {"../absent", "/dev/zero", "..", "../pipe"};
    const ExitCode codes[] = {EXIT_NO_INPUT, EXIT_BAD_DATA, EXIT_BAD_DATA, EXIT_BAD_DATA};
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(unlink(scratch_path("sharded/2.safetensors")), 0);
        assert_int_equal(symlink(others[i], scratch_path("sharded/2.safetensors")), 0);
        assert_null(safetensors_open(scratch_path("sharded")));
        assert_failed(codes[i], "sharded/2.safetensors");
    }
    assert_int_equal(unlink(scratch_path("sharded/2.safetensors")), 0);
}

static void a_tensor_in_two_shards_is_refused(void **state)
{
    (void)state;
    make_shards("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\","
                "\"c\":\"2.safetensors\"}}");
    write_file("sharded/2.safetensors",
               "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
               "\"data_offsets\":[0,4]}}",
               4);
    assert_null(safetensors_open(scratch_path("sharded")));
    assert_failed(EXIT_BAD_DATA, "tensor 'a' is in");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_reads_back_exactly),
        cmocka_unit_test(the_header_has_the_reference_writers_form),
        cmocka_unit_test(an_abandoned_file_leaves_nothing),
        cmocka_unit_test(a_file_larger_than_the_disk_is_refused_at_once),
        cmocka_unit_test(files_too_short_for_a_header_are_refused),
        cmocka_unit_test(bad_headers_are_refused_with_the_reason),
        cmocka_unit_test(deep_nesting_and_long_names_are_refused),
        cmocka_unit_test(a_hundred_thousand_tensors_on_one_region_are_refused),
        cmocka_unit_test(empty_files_and_scalars_are_read),
        cmocka_unit_test(a_file_that_shrinks_is_a_message),
        cmocka_unit_test(what_is_no_regular_file_is_refused_without_waiting),
        cmocka_unit_test(shards_are_read_as_one_set),
        cmocka_unit_test(bad_indices_are_refused_with_the_reason),
        cmocka_unit_test(more_shards_than_the_limit_are_refused),
        cmocka_unit_test(shards_may_be_links_but_only_to_files),
        cmocka_unit_test(a_tensor_in_two_shards_is_refused),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
