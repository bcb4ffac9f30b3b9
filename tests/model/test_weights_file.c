// test_weights_file.c - weights from a Hugging Face directory, and what is refused.

#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "files/safetensors.h"
#include "tests/files/scratch.h"
#include "tests/model/tiny.h"

enum { MOST = 64 };

typedef struct {
    Parameters parameters;
    float *values; // owned
    SafetensorsDeclaration list[MOST];
    int64_t count;
} Scene;

static void scene_make(Scene *scene, TinyFamily family)
{
    *scene = (Scene){0};
    ModelShape shape = tiny_shape(family);
    parameters_make(&scene->parameters, &shape, 0, 1);
    scene->values = allocate((size_t)scene->parameters.local, sizeof *scene->values);
    tiny_randomise(&scene->parameters, 5, scene->values);
    scene->count = scene->parameters.tensor_count;
    for (int64_t i = 0; i < scene->count; i++) {
        const TensorPlace *tensor = &scene->parameters.tensors[i];
        bool matrix = tensor->rows > 0;
        scene->list[i] = (SafetensorsDeclaration){
            .name = tensor->name,
            .type = STORED_F32,
            .rank = matrix ? 2 : 1,
            .shape = {matrix ? tensor->rows : tensor->width, matrix ? tensor->width : 0}};
    }
}

static void scene_free(Scene *scene)
{
    release(scene->values);
    parameters_free(&scene->parameters);
}

// Tensors behind those of the model hold zeros.
static const char *write_file(const Scene *scene)
{
    const char *path = scratch_path("model.safetensors");
    int64_t most = scene->parameters.local;
    float *zeros = allocate((size_t)most, sizeof *zeros);
    SafetensorsWriter *writer = safetensors_create(path, scene->list, scene->count);
    assert_non_null(writer);
    for (int64_t p = 0; p < scene->count; p++) {
        int64_t i = safetensors_write_order(writer, p), elements = 1;
        for (int d = 0; d < scene->list[i].rank; d++)
            elements *= scene->list[i].shape[d];
        bool own = i < scene->parameters.tensor_count;
        const float *from =
            own ? scene->values + parameters_piece(&scene->parameters, i).local : zeros;
        assert_int_equal(safetensors_append_f32(writer, from, elements), 0);
    }
    assert_int_equal(safetensors_commit(writer), 0);
    release(zeros);
    return path;
}

static void weights_are_read_into_the_shards_of_any_rank(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TINY_QWEN2);
    const char *path = write_file(&scene);
    for (int size = 1; size <= 3; size++) {
        for (int rank = 0; rank < size; rank++) {
            Parameters mine;
            parameters_make(&mine, &scene.parameters.shape, rank, size);
            float *values = allocate((size_t)mine.local, sizeof *values);
            assert_int_equal(parameters_load(&mine, path, values), 0);
            for (int64_t i = 0; i < mine.tensor_count; i++) {
                Piece piece = parameters_piece(&mine, i);
                Piece from = parameters_piece(&scene.parameters, i);
                assert_memory_equal(values + piece.local, scene.values + from.local + piece.first,
                                    (size_t)piece.count * sizeof *values);
            }
            release(values);
            parameters_free(&mine);
        }
    }
    scene_free(&scene);
}

static void expect_refusal(const Scene *scene, const char *message)
{
    const char *path = write_file(scene);
    float *values = allocate((size_t)scene->parameters.local, sizeof *values);
    assert_int_equal(parameters_load(&scene->parameters, path, values), -1);
    assert_failed(EXIT_BAD_DATA, message);
    assert_failed(EXIT_BAD_DATA, path);
    release(values);
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TINY_QWEN2);
    scene.list[3].name = "model.layers.0.self_attn.q_proj.gain";
    expect_refusal(&scene, "tensor model.layers.0.self_attn.q_proj.bias is missing");
    scene_free(&scene);
}

static void a_tensor_of_another_shape_is_named(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TINY_LLAMA);
    int64_t rows = scene.list[0].shape[0];
    scene.list[0].shape[0] = scene.list[0].shape[1];
    scene.list[0].shape[1] = rows;
    expect_refusal(&scene, "model.embed_tokens.weight has not the shape [211, 48]");
    scene_free(&scene);
}

static void tensors_that_the_configuration_does_not_know_are_refused(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TINY_LLAMA);
    scene.list[scene.count++] = (SafetensorsDeclaration){
        .name = "visual.weight", .type = STORED_F32, .rank = 1, .shape = {7}};
    expect_refusal(&scene, "1 tensors more than its configuration describes");
    scene_free(&scene);
}

static void the_spare_output_matrix_of_a_tied_model_is_passed_over(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TINY_SMOLLM);
    scene.list[scene.count] = scene.list[0];
    scene.list[scene.count++].name = "lm_head.weight";
    const char *path = write_file(&scene);
    float *values = allocate((size_t)scene.parameters.local, sizeof *values);
    assert_int_equal(parameters_load(&scene.parameters, path, values), 0);
    assert_memory_equal(values, scene.values, (size_t)scene.parameters.local * sizeof *values);
    release(values);
    scene_free(&scene);
}

static void a_directory_without_weights_is_told_by_its_name(void **state)
{
    (void)state;
    Scene scene;
    scene_make(&scene, TINY_SMOLLM);
    float *values = allocate((size_t)scene.parameters.local, sizeof *values);
    assert_int_equal(parameters_load(&scene.parameters, "no/such/model", values), -1);
    assert_failed(EXIT_NO_INPUT, "no/such/model");
    release(values);
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_read_into_the_shards_of_any_rank),
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_tensor_of_another_shape_is_named),
        cmocka_unit_test(tensors_that_the_configuration_does_not_know_are_refused),
        cmocka_unit_test(the_spare_output_matrix_of_a_tied_model_is_passed_over),
        cmocka_unit_test(a_directory_without_weights_is_told_by_its_name),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
