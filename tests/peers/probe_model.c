// probe_model.c - the model and the learner for comparisons with PyTorch, driven by model.py.
//
//     probe_model export DIRECTORY FAMILY      a tiny model: config.json, weights, reference/
//     probe_model trees VOCABULARY             trees and settings of a step, as JSON
//     probe_model logits MODEL SEQUENCES OUT   OUT: tensor i has the logits of sequence i
//     probe_model step MODEL REFERENCE OUT     OUT: gradients of the loss of those trees;
//                                              prints the losses as JSON
//     probe_model step MODEL REFERENCE OUT SETTINGS     the same with the [algorithm] of an .ini;
//                                              rewards then become its advantages
//
// SEQUENCES is a JSON file: a list of lists of tokens. Models are Hugging Face directories, OUT a
// safetensors file.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/fail.h"
#include "files/atomic.h"
#include "files/safetensors.h"
#include "tasks/stages.h"
#include "tests/model/tiny.h"

enum { TREES = 4, TREE_SEED = 11, VALUE_SEED = 5, MICRO_BATCH = 256 };

static const double REFERENCE_DISTANCE = 0.02;

static void must(int status)
{
    if (status != 0)
        die_failed();
}

// Tensors that lie at values[i].
static void write_tensors(const char *path, const SafetensorsDeclaration *list,
                          const float *const *values, int64_t count)
{
    SafetensorsWriter *writer = safetensors_create(path, list, count);
    must(writer ? 0 : -1);
    for (int64_t p = 0; p < count; p++) {
        int64_t i = safetensors_write_order(writer, p), elements = 1;
        for (int d = 0; d < list[i].rank; d++)
            elements *= list[i].shape[d];
        must(safetensors_append_f32(writer, values[i], elements));
    }
    must(safetensors_commit(writer));
}

// Weights or gradients under their names.
static void write_parameters(const char *path, const Parameters *parameters, const float *flat)
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

static void export_model(const char *directory, const char *config, const Parameters *parameters,
                         const float *values)
{
    Bytes path = {0};
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        die(EXIT_CANNOT_CREATE, "%s: %s", directory, strerror(errno));
    bytes_print(&path, "%s/config.json", directory);
    must(atomic_write_file(path.data, config, strlen(config)));
    bytes_clear(&path);
    bytes_print(&path, "%s/model.safetensors", directory);
    write_parameters(path.data, parameters, values);
    bytes_free(&path);
}

static int export_tiny(const char *directory, TinyFamily family)
{
    Parameters parameters;
    ModelShape shape = tiny_shape(family);
    parameters_make(&parameters, &shape, 0, 1);
    float *values = allocate((size_t)parameters.local, sizeof *values);
    tiny_randomise(&parameters, VALUE_SEED, values);
    export_model(directory, tiny_configs[family], &parameters, values);
    tiny_perturb(&parameters, VALUE_SEED + 1, REFERENCE_DISTANCE, values);
    Bytes reference = {0};
    bytes_print(&reference, "%s/reference", directory);
    export_model(reference.data, tiny_configs[family], &parameters, values);
    bytes_free(&reference);
    release(values);
    parameters_free(&parameters);
    return 0;
}

static void print_integers(const char *name, const int32_t *list, int64_t count)
{
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < count; i++)
        printf("%s%d", i > 0 ? ", " : "", list[i]);
    printf("]");
}

static void print_branch(const Branch *branch)
{
    printf("{\"attach\": %d, \"forced\": %d, \"advantage\": %.9g, \"sample\": %d, \"graded\": %d, ",
           branch->attach, branch->forced, (double)branch->reward, branch->sample, branch->graded);
    print_integers("tokens", branch->tokens, branch->forced + branch->count);
    printf(", \"old\": [");
    for (int32_t i = 0; i < branch->count; i++)
        printf("%s%.9g", i > 0 ? ", " : "", (double)branch->logprobs[i]);
    printf("], \"scored\": [");
    for (int32_t i = 0; i < branch->count; i++)
        printf("%s%d", i > 0 ? ", " : "", branch->scored[i]);
    printf("]}");
}

static int print_trees(int64_t vocabulary)
{
    Grove grove;
    StepSettings settings = tiny_step_settings();
    grove_make(&grove, TREES, vocabulary, TREE_SEED);
    printf("{\"temperature\": %g, \"clip_low\": %g, \"clip_high\": %g, \"clip_dual\": %g, "
           "\"kl_coefficient\": %g, \"trees\": [",
           settings.temperature, settings.loss.clip_low, settings.loss.clip_high,
           settings.loss.clip_dual, settings.loss.kl_coefficient);
    for (int64_t t = 0; t < grove.count; t++) {
        const Tree *tree = &grove.trees[t];
        printf("%s{", t > 0 ? ", " : "");
        print_integers("trunk", tree->trunk, tree->trunk_length);
        printf(", \"branches\": [");
        for (int32_t b = 0; b < tree->branch_count; b++) {
            printf(b > 0 ? ", " : "");
            print_branch(&tree->branches[b]);
        }
        printf("]}");
    }
    printf("]}\n");
    grove_free(&grove);
    return 0;
}

// A model from files, on this process alone.
typedef struct {
    Parameters parameters;
    Model model;
    float *values;
    Weights *weights;
} Loaded;

static void load(Loaded *loaded, const char *directory)
{
    ModelShape shape;
    must(shape_read(&shape, directory, NULL));
    parameters_make(&loaded->parameters, &shape, 0, 1);
    model_make(&loaded->model, &loaded->parameters, NULL, kernels_cpu(), TYPE_F32, shape.positions);
    loaded->values = allocate((size_t)loaded->parameters.local, sizeof *loaded->values);
    must(parameters_load(&loaded->parameters, directory, loaded->values));
    loaded->weights = weights_make(&loaded->parameters, kernels_cpu(), TYPE_F32, true);
    for (int64_t u = 0; u < loaded->parameters.unit_count; u++)
        weights_load_unit(loaded->weights, u,
                          loaded->values + loaded->parameters.units[u].local_offset);
}

static void unload(Loaded *loaded)
{
    weights_free(loaded->weights);
    release(loaded->values);
    model_free(&loaded->model);
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

static int write_logits(const char *directory, const char *sequences, const char *out)
{
    enum { NAME = 24, LONGEST = 8192 };
    Loaded loaded;
    load(&loaded, directory);
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
    unload(&loaded);
    return 0;
}

// An algorithm as `train` would run it, at the temperature of the tests.
static StepSettings read_step(const char *path)
{
    Settings settings;
    must(settings_read(&settings, path, NULL, 0, NULL));
    StepSettings step = stages_step_settings(&settings, STAGE_MAIN);
    step.temperature = tiny_step_settings().temperature;
    settings_free(&settings);
    return step;
}

// Pairs need an even number of branches and both of them.
static void make_pairs(Grove *grove)
{
    for (int64_t t = 0; t < grove->count; t++) {
        grove->trees[t].branch_count -= grove->trees[t].branch_count % 2;
        for (int32_t b = 0; b < grove->trees[t].branch_count; b++)
            grove->trees[t].branches[b].graded = grove->trees[t].branches[b].scored[0] = 1;
    }
}

static int write_step(const char *directory, const char *reference, const char *out,
                      const char *path)
{
    Loaded loaded;
    Learner learner;
    Metrics metrics = {0};
    Grove grove;
    Group group = group_world();
    StepSettings settings = path ? read_step(path) : tiny_step_settings();
    load(&loaded, directory);
    grove_make(&grove, TREES, loaded.model.shape->vocabulary, TREE_SEED);
    if (settings.algorithm->together == 2)
        make_pairs(&grove);
    learner_make(&learner, &loaded.model, &group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = MICRO_BATCH});
    memcpy(learner.optimizer.master, loaded.values,
           (size_t)loaded.parameters.local * sizeof(float));
    learner_reserve_reference(&learner);
    must(parameters_load(&loaded.parameters, reference, learner.reference_shards));
    must(learner_step(&learner, &settings, &(StepBatch){.trees = grove.trees, .count = grove.count},
                      &metrics));
    write_parameters(out, &loaded.parameters, learner.gradient.shards);
    Bytes text = {0};
    metrics_print_json(&metrics, &text);
    puts(text.data);
    bytes_free(&text);
    metrics_free(&metrics);
    learner_free(&learner);
    grove_free(&grove);
    unload(&loaded);
    group_free(&group);
    return 0;
}

static TinyFamily family_of(const char *name)
{
    for (int f = 0; f < TINY_COUNT; f++)
        if (strcmp(name, tiny_names[f]) == 0)
            return (TinyFamily)f;
    die(EXIT_USAGE, "no tiny model is called %s", name);
}

static int run(int count, char **words)
{
    const char *verb = count > 1 ? words[1] : "";
    if (strcmp(verb, "export") == 0 && count == 4)
        return export_tiny(words[2], family_of(words[3]));
    if (strcmp(verb, "trees") == 0 && count == 3)
        return print_trees(atoll(words[2]));
    if (strcmp(verb, "logits") == 0 && count == 5)
        return write_logits(words[2], words[3], words[4]);
    if (strcmp(verb, "step") == 0 && count == 5)
        return write_step(words[2], words[3], words[4], NULL);
    if (strcmp(verb, "step") == 0 && count == 6)
        return write_step(words[2], words[3], words[4], words[5]);
    return EXIT_USAGE;
}

int main(int count, char **words)
{
    group_start(&count, &words);
    int status = run(count, words);
    group_stop();
    return status;
}
