#include "tests/peers/probe.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "files/safetensors.h"
#include "tasks/peft_adapter.h"
#include "tasks/state.h"

void probe_must(int status)
{
    if (status != 0)
        die_failed();
}

// Tensors that lie at values[i].
static void write_tensors(const char *path, const SafetensorsDeclaration *list,
                          const float *const *values, int64_t count)
{
    SafetensorsWriter *writer = safetensors_create(path, list, count);
    probe_must(writer ? 0 : -1);
    for (int64_t p = 0; p < count; p++) {
        int64_t i = safetensors_write_order(writer, p), elements = 1;
        for (int d = 0; d < list[i].rank; d++)
            elements *= list[i].shape[d];
        probe_must(safetensors_append_f32(writer, values[i], elements));
    }
    probe_must(safetensors_commit(writer));
}

void probe_write_parameters(const char *path, const Parameters *parameters, const float *flat)
{
    size_t count = (size_t)parameters->tensor_count;
    SafetensorsDeclaration *list = allocate(count, sizeof *list);
    const float **values = allocate(count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const TensorPlace *tensor = &parameters->tensors[i];
        bool matrix = tensor->rows > 0;
        list[i] = (SafetensorsDeclaration){
            .name = tensor->name,
            .type = STORED_F32,
            .rank = matrix ? 2 : 1,
            .shape = {matrix ? tensor->rows : tensor->width, tensor->width}};
        values[i] = flat + parameters_piece(parameters, (int64_t)i).local;
    }
    write_tensors(path, list, values, (int64_t)count);
    release(list);
    release(values);
}

static void load_adapter(Loaded *loaded, const char *checkpoint)
{
    Group alone = group_world();
    StoredAdapter stored;
    bool peft = peft_adapter_is(checkpoint);
    probe_must(peft ? peft_adapter_read(&stored, checkpoint)
                    : stored_adapter_read(&stored, checkpoint));
    parameters_make_adapter(&loaded->adapter, &loaded->parameters.shape, &stored.shape, 0, 1);
    loaded->pair_values = allocate((size_t)loaded->adapter.local, sizeof(float));
    probe_must(peft
                   ? peft_adapter_load(checkpoint, &loaded->adapter, loaded->pair_values)
                   : state_load_weights(&alone, checkpoint, &loaded->adapter, loaded->pair_values));
    loaded->pairs = weights_make(&loaded->adapter, kernels_cpu(), TYPE_F32, true);
    weights_load(loaded->pairs, elements_f32(loaded->pair_values));
    loaded->weights = weights_make_adapted(loaded->base, loaded->pairs);
    stored_adapter_free(&stored);
    group_free(&alone);
}

void probe_load(Loaded *loaded, const char *directory, const char *adapter)
{
    ModelShape shape;
    *loaded = (Loaded){0};
    probe_must(shape_read(&shape, directory, NULL));
    parameters_make(&loaded->parameters, &shape, 0, 1);
    model_make(&loaded->model, &loaded->parameters, adapter ? &loaded->adapter : NULL,
               kernels_cpu(), TYPE_F32, shape.positions);
    loaded->values = allocate((size_t)loaded->parameters.local, sizeof *loaded->values);
    probe_must(parameters_load(&loaded->parameters, directory, loaded->values));
    loaded->base = weights_make(&loaded->parameters, kernels_cpu(), TYPE_F32, true);
    weights_load(loaded->base, elements_f32(loaded->values));
    loaded->weights = loaded->base;
    if (adapter)
        load_adapter(loaded, adapter);
}

void probe_unload(Loaded *loaded)
{
    if (loaded->weights != loaded->base)
        weights_free(loaded->weights);
    weights_free(loaded->pairs);
    weights_free(loaded->base);
    release(loaded->values);
    release(loaded->pair_values);
    model_free(&loaded->model);
    parameters_free(&loaded->adapter);
    parameters_free(&loaded->parameters);
}

// logits [count, vocabulary] of one sequence.
static void sequence_logits(Loaded *loaded, const int32_t *tokens, int64_t count, float *logits)
{
    Batch batch;
    Workspace workspace;
    int64_t vocabulary = loaded->model.shape->vocabulary;
    int32_t *rows = allocate((size_t)count, sizeof *rows);
    batch_make(&batch, count, slots_aligned(count));
    workspace_make(&workspace, &loaded->model, WORKSPACE_SCORE, count, slots_aligned(count));
    batch_add_rows(&batch, tokens, count, 0, (Span){0});
    model_forward(&loaded->model, loaded->weights, &batch, &workspace, NULL);
    for (int32_t i = 0; i < count; i++)
        rows[i] = i;
    for (int64_t first = 0; first < count; first += SCORED_CHUNK) {
        int64_t chunk = count - first < SCORED_CHUNK ? count - first : SCORED_CHUNK;
        Tensor z = model_logits(&loaded->model, loaded->weights, &workspace, rows + first, chunk);
        memcpy(logits + first * vocabulary, z.data, (size_t)(chunk * vocabulary) * sizeof *logits);
    }
    release(rows);
    workspace_free(&workspace, &loaded->model);
    batch_free(&batch);
}

int probe_write_logits(const char *directory, const char *adapter, const char *sequences,
                       const char *out)
{
    enum { NAME = 24, LONGEST = 8192 };
    Loaded loaded;
    probe_load(&loaded, directory, adapter);
    json_error_t error;
    json_t *list = json_load_file(sequences, 0, &error);
    if (!list)
        die(EXIT_BAD_DATA, "%s: %s", sequences, error.text);
    size_t count = json_array_size(list);
    SafetensorsDeclaration *declared = allocate(count, sizeof *declared);
    char(*names)[NAME] = allocate(count, sizeof *names);
    const float **values = allocate(count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const json_t *sequence = json_array_get(list, i);
        int32_t tokens[LONGEST];
        int64_t length = (int64_t)json_array_size(sequence);
        CHECK(length <= LONGEST, "a sequence of %lld tokens", (long long)length);
        for (int64_t t = 0; t < length; t++)
            tokens[t] = (int32_t)json_integer_value(json_array_get(sequence, (size_t)t));
        int64_t vocabulary = loaded.model.shape->vocabulary;
        float *logits = allocate((size_t)(length * vocabulary), sizeof *logits);
        sequence_logits(&loaded, tokens, length, logits);
        snprintf(names[i], NAME, "%zu", i);
        values[i] = logits;
        declared[i] = (SafetensorsDeclaration){
            .name = names[i], .type = STORED_F32, .rank = 2, .shape = {length, vocabulary}};
    }
    write_tensors(out, declared, values, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        release((float *)(uintptr_t)values[i]);
    release(declared);
    release(names);
    release(values);
    json_decref(list);
    probe_unload(&loaded);
    return 0;
}
