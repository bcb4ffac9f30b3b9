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

#include "base/fail.h"
#include "files/atomic.h"
#include "tasks/stages.h"
#include "tests/peers/probe.h"

enum { VALUE_SEED = 5 };

static const double REFERENCE_DISTANCE = 0.02;

static void export_model(const char *directory, const char *config, const Parameters *parameters,
                         const float *values)
{
    Bytes path = {0};
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        die(EXIT_CANNOT_CREATE, "%s: %s", directory, strerror(errno));
    bytes_print(&path, "%s/config.json", directory);
    probe_must(atomic_write_file(path.data, config, strlen(config)));
    bytes_clear(&path);
    bytes_print(&path, "%s/model.safetensors", directory);
    probe_write_parameters(path.data, parameters, values);
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
    grove_make(&grove, PROBE_TREES, vocabulary, PROBE_TREE_SEED);
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

// An algorithm as `train` would run it, at the temperature of the tests.
static StepSettings read_step(const char *path)
{
    Settings settings;
    probe_must(settings_read(&settings, path, NULL, 0, NULL));
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
    probe_load(&loaded, directory, NULL);
    grove_make(&grove, PROBE_TREES, loaded.model.shape->vocabulary, PROBE_TREE_SEED);
    if (settings.algorithm->together == 2)
        make_pairs(&grove);
    learner_make(&learner, &loaded.model, &group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = PROBE_MICRO_BATCH});
    memcpy(learner.optimizer.master, loaded.values,
           (size_t)loaded.parameters.local * sizeof(float));
    float *frozen = allocate((size_t)loaded.parameters.local, sizeof *frozen);
    probe_must(parameters_load(&loaded.parameters, reference, frozen));
    learner_set_reference(&learner, frozen);
    release(frozen);
    probe_must(learner_step(&learner, &settings,
                            &(StepBatch){.trees = grove.trees, .count = grove.count}, &metrics));
    probe_write_parameters(out, &loaded.parameters, learner.gradient.shards);
    Bytes text = {0};
    metrics_print_json(&metrics, &text);
    puts(text.data);
    bytes_free(&text);
    metrics_free(&metrics);
    learner_free(&learner);
    grove_free(&grove);
    probe_unload(&loaded);
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
        return probe_write_logits(words[2], NULL, words[3], words[4]);
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
