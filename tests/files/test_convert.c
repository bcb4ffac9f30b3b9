// test_convert.c - the built l2a-convert on models and checkpoints made here.

#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "files/checkpoint_file.h"
#include "files/run_files.h"
#include "files/safetensors.h"
#include "tests/files/scratch.h"

static char said[4096]; // what the last run printed, both streams

// Runs l2a-convert with these arguments in the scratch directory; returns its exit status.
static int convert(const char *arguments)
{
    char command[2048];
    snprintf(command, sizeof command, "cd '%s' && '%s' %s 2>&1", scratch_path(""), CONVERT,
             arguments);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    size_t length = fread(said, 1, sizeof said - 1, output);
    said[length] = 0;
    int status = pclose(output);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_refused(int status, const char *arguments, const char *part)
{
    int found = convert(arguments);
    if (found != status || !strstr(said, part))
        fail_msg("'%s': status %d, '%s'; expected %d, '%s'", arguments, found, said, status, part);
}

static const SafetensorsDeclaration tensors[] = {
    {"model.embed_tokens.weight", STORED_BF16, 2, {100, 64}},
    {"model.layers.0.mlp.up_proj.weight", STORED_BF16, 2, {128, 64}},
    {"model.layers.10.mlp.up_proj.weight", STORED_BF16, 2, {64, 64}},
    {"model.norm.weight", STORED_BF16, 1, {64}},
};

enum { TENSORS = sizeof tensors / sizeof *tensors };

static const char config[] = "{\n  \"model_type\": \"llama\",\n  \"torch_dtype\": \"bfloat16\",\n"
                             "  \"tie_word_embeddings\": true\n}\n";

// A model in bf16 with every kind of number but NaN, which fp32 arithmetic would not keep.
static void make_model(const char *directory)
{
    char name[256];
    mkdir(scratch_path(directory), 0777);
    snprintf(name, sizeof name, "%s/model.safetensors", directory);
    SafetensorsWriter *writer = safetensors_create(scratch_path(name), tensors, TENSORS);
    uint32_t draw = 5;
    for (int i = 0; i < TENSORS; i++) {
        const SafetensorsDeclaration *tensor = &tensors[safetensors_write_order(writer, i)];
        int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
        uint16_t *values = allocate((size_t)elements, sizeof *values);
        for (int64_t k = 0; k < elements; k++) {
            draw = draw * 1664525 + 1013904223;
            values[k] = (uint16_t)(draw >> 16);
            if ((values[k] & 0x7fff) > 0x7f80)
                values[k] &= 0x80ff;
        }
        assert_int_equal(safetensors_append(writer, values, elements), 0);
        release(values);
    }
    assert_int_equal(safetensors_commit(writer), 0);
    snprintf(name, sizeof name, "%s/config.json", directory);
    scratch_write_text(name, config);
    snprintf(name, sizeof name, "%s/tokenizer.json", directory);
    scratch_write_text(name, "{\"version\": \"1.0\"}");
}

static void expect_same_file(const char *a, const char *b)
{
    size_t a_bytes, b_bytes;
    char *left = scratch_read(a, &a_bytes), *right = scratch_read(b, &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(left, right, a_bytes);
    release(left);
    release(right);
}

static void a_model_survives_the_way_there_and_back_bit_by_bit(void **state)
{
    (void)state;
    make_model("model");
    assert_int_equal(convert("--import model model.h5"), 0);
    assert_non_null(strstr(said, "4 tensors, 18752 parameters in F32"));
    assert_int_equal(convert("model.h5 back"), 0);
    assert_non_null(strstr(said, "4 tensors, 18752 parameters in BF16, 1 file\n"));
    expect_same_file("model/model.safetensors", "back/model.safetensors");
    expect_same_file("model/config.json", "back/config.json");
    expect_same_file("model/tokenizer.json", "back/tokenizer.json");
    assert_int_equal(scratch_entries("back"), 3);
}

static void fp32_is_written_on_request_and_told_in_the_config(void **state)
{
    (void)state;
    make_model("model");
    unlink(scratch_path("f.h5"));
    assert_int_equal(convert("--import model f.h5"), 0);
    assert_int_equal(convert("--dtype f32 f.h5 wide"), 0);
    size_t bytes;
    char *text = scratch_read("wide/config.json", &bytes);
    assert_non_null(strstr(text, "\"torch_dtype\": \"float32\",\n"));
    release(text);
    SafetensorsSet *wide = safetensors_open(scratch_path("wide"));
    SafetensorsSet *model = safetensors_open(scratch_path("model"));
    float *a = allocate(128 * 64, sizeof *a), *b = allocate(128 * 64, sizeof *b);
    for (int i = 0; i < TENSORS; i++) {
        int64_t elements = safetensors_tensor(model, i)->elements;
        assert_int_equal(safetensors_tensor(wide, i)->type, STORED_F32);
        assert_int_equal(safetensors_read_f32(wide, i, 0, elements, a), 0);
        assert_int_equal(safetensors_read_f32(model, i, 0, elements, b), 0);
        assert_memory_equal(a, b, (size_t)elements * sizeof *a);
    }
    release(a);
    release(b);
    safetensors_close(wide);
    safetensors_close(model);
    assert_int_equal(convert("--import wide again.h5"), 0);
    expect_same_file("wide/tokenizer.json", "model/tokenizer.json");
}

static void large_models_are_split_and_read_back(void **state)
{
    (void)state;
    make_model("model");
    unlink(scratch_path("s.h5"));
    assert_int_equal(convert("--import model s.h5"), 0);
    assert_int_equal(convert("--shard-size 20KB s.h5 split"), 0);
    assert_non_null(strstr(said, "3 files"));
    assert_int_equal(access(scratch_path("split/model-00003-of-00003.safetensors"), F_OK), 0);
    size_t bytes;
    char *index = scratch_read("split/model.safetensors.index.json", &bytes);
    assert_non_null(strstr(index, "\"total_size\": 37504"));
    assert_non_null(strstr(index, "\"model.norm.weight\": \"model-00003-of-00003.safetensors\""));
    release(index);
    assert_int_equal(convert("--import split joined.h5"), 0);
    expect_same_file("s.h5", "joined.h5");
    // Tensors that are all too large have a file each, and no file is empty.
    assert_int_equal(convert("--shard-size 100 s.h5 single"), 0);
    assert_non_null(strstr(said, "4 files"));
}

static void a_run_gives_its_latest_or_best(void **state)
{
    (void)state;
    make_model("model");
    mkdir(scratch_path("run"), 0777);
    assert_int_equal(convert("--import model run/step-000001.h5"), 0);
    make_model("model2");
    scratch_write_text("model2/config.json", "{\"second\": true}");
    assert_int_equal(convert("--import model2 run/step-000002.h5"), 0);
    expect_refused(66, "--best run out-best", "no BEST");
    assert_int_equal(run_files_point(scratch_path("run"), "LATEST", 2), 0);
    assert_int_equal(run_files_point(scratch_path("run"), "BEST", 1), 0);
    assert_int_equal(convert("run out-latest"), 0);
    assert_int_equal(convert("--best run out-best"), 0);
    expect_same_file("out-latest/config.json", "model2/config.json");
    expect_same_file("out-best/config.json", "model/config.json");
}

static void wrong_command_lines_are_refused(void **state)
{
    (void)state;
    expect_refused(64, "", "expected two names");
    expect_refused(64, "a b c", "expected two names");
    expect_refused(64, "--dtype f16 a b", "--dtype is bf16 or f32, not 'f16'");
    expect_refused(64, "--dtype", "no value for option '--dtype'");
    expect_refused(64, "--frobnicate a b", "no such option '--frobnicate'");
    expect_refused(64, "--shard-size 0 a b", "--shard-size");
    expect_refused(64, "--shard-size 5XB a b", "not '5XB'");
    expect_refused(64, "--shard-size -5GB a b", "not '-5GB'");
    expect_refused(64, "--shard-size 999999999999999GB a b", "--shard-size");
    expect_refused(64, "--import --best a b", "--import takes no other option");
    assert_int_equal(convert("--help"), 0);
    assert_non_null(strstr(said, "--import HF_DIRECTORY OUT.h5"));
    assert_int_equal(convert("--version"), 0);
    assert_int_equal(strncmp(said, "l2a-convert 0.", 14), 0);
}

static void unusable_input_leaves_nothing_behind(void **state)
{
    (void)state;
    make_model("model");
    unlink(scratch_path("x.h5"));
    assert_int_equal(convert("--import model x.h5"), 0);
    int before = scratch_entries("");
    expect_refused(66, "absent out", "absent");
    expect_refused(66, "--import absent y.h5", "absent");
    expect_refused(73, "x.h5 model", "is there already");
    expect_refused(73, "--import model x.h5", "is there already");
    expect_refused(65, "model/config.json out", "no checksum trailer");
    expect_refused(66, "model out", "no checkpoint");
    expect_refused(73, "x.h5 model/config.json/out", "cannot make directory");
    size_t bytes;
    char *file = scratch_read("x.h5", &bytes);
    file[bytes / 2] ^= 1;
    scratch_write("x.h5", file, bytes);
    release(file);
    expect_refused(65, "x.h5 out", "x.h5 is damaged in block");
    unlink(scratch_path("model/config.json"));
    expect_refused(66, "--import model y.h5", "config.json");
    assert_int_equal(scratch_entries(""), before);
}

// A checkpoint with one U8 tensor of this name besides a weight.
static void make_checkpoint(const char *path, const char *text_name)
{
    CheckpointTensor made[] = {{.name = "/weights/w", .type = STORED_F32, .rank = 1, .shape = {4}},
                               {.name = text_name, .type = STORED_U8, .rank = 1, .shape = {4}}};
    int64_t payload_bytes;
    unlink(path);
    assert_int_equal(checkpoint_file_create(path, made, 2, NULL, 0, &payload_bytes), 0);
    assert_int_equal(checkpoint_file_seal(path, payload_bytes, made, 2), 0);
}

static void texts_cannot_leave_the_directory(void **state)
{
    (void)state;
    make_checkpoint(scratch_path("evil.h5"), "/files/deep/er");
    int before = scratch_entries("");
    expect_refused(65, "evil.h5 out", "'/files/deep/er' is not the text of a file");
    make_checkpoint(scratch_path("evil.h5"), "/files/..x");
    expect_refused(65, "evil.h5 out", "is not the text of a file");
    make_checkpoint(scratch_path("evil.h5"), "/weights/bytes");
    expect_refused(65, "evil.h5 out", "of type U8: that is no weight");
    assert_int_equal(scratch_entries(""), before);
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    make_model("model");
    unlink(scratch_path("z.h5"));
    assert_int_equal(convert("--import model z.h5"), 0);
    int before = scratch_entries("");
    char command[2048];
    // SIGXFSZ is ignored, so that a write over the limit fails as on a full disk.
    snprintf(command, sizeof command,
             "cd '%s' && trap '' XFSZ && ulimit -f 8 && '%s' z.h5 out 2>/dev/null",
             scratch_path(""), CONVERT);
    int status = system(command);
    assert_int_equal(WEXITSTATUS(status), 74);
    snprintf(command, sizeof command,
             "cd '%s' && trap '' XFSZ && ulimit -f 8 && '%s' --import model out.h5 2>/dev/null",
             scratch_path(""), CONVERT);
    status = system(command);
    assert_in_range(WEXITSTATUS(status), 73, 74);
    assert_int_equal(scratch_entries(""), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_survives_the_way_there_and_back_bit_by_bit),
        cmocka_unit_test(fp32_is_written_on_request_and_told_in_the_config),
        cmocka_unit_test(large_models_are_split_and_read_back),
        cmocka_unit_test(a_run_gives_its_latest_or_best),
        cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(unusable_input_leaves_nothing_behind),
        cmocka_unit_test(texts_cannot_leave_the_directory),
        cmocka_unit_test(a_full_disk_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
