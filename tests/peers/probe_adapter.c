// probe_adapter.c - adapters for comparisons with PEFT, driven by adapter.py.
//
//     probe_adapter make MODEL RUN RANK ALPHA TARGETS   a run with a random adapter of the model
//     probe_adapter logits MODEL CHECKPOINT SEQUENCES OUT
//     probe_adapter step MODEL CHECKPOINT OUT           OUT: gradients of the adapter by the loss
//     of
//                                                       probe_model's trees, the base being the
//                                                       reference; prints the losses as JSON
//
// Files are as those of probe_model.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "exchange/exchange.h"
#include "tasks/state.h"
#include "tests/peers/probe.h"

static const double NOISE = 0.1;

static StoredAdapter adapter_of(Loaded *loaded, const char *directory, char **words)
{
    World world;
    Backend backend = {.kernels = kernels_cpu(), .collective = &collective_mpi};
    StoredAdapter stored = {.shape = {.rank = atoll(words[0]), .alpha = atof(words[1])},
                            .base = duplicate(directory)};
    probe_must(adapter_parse_targets(words[2], stored.shape.targets));
    probe_must(world_make(&world, (WorldPlan){0}));
    Publication *publication =
        collective_mpi.publication_make(&world, kernels_cpu(), 1, loaded->parameters.largest, 0);
    stored.checksum =
        exchange_tensor_checksum(&backend, publication, &loaded->parameters, loaded->values);
    collective_mpi.publication_free(publication);
    world_free(&world);
    return stored;
}

static int make_run(const char *directory, const char *run_directory, char **words)
{
    Loaded loaded;
    Parameters pairs;
    Optimizer optimizer;
    StateOwner owner;
    Group group = group_world();
    probe_load(&loaded, directory, NULL);
    StoredAdapter stored = adapter_of(&loaded, directory, words);
    parameters_make_adapter(&pairs, loaded.model.shape, &stored.shape, 0, 1);
    optimizer_make(&optimizer, &pairs, kernels_cpu(), (OptimizerForm){0});
    tiny_start_adapter(&pairs, NOISE, optimizer.master);
    probe_must(state_owner_make(&owner, directory));
    owner.group = &group;
    owner.kernels = kernels_cpu();
    owner.writes = true;
    owner.parameters = &pairs;
    owner.adapter = &stored;
    owner.optimizer = &optimizer;
    owner.settings = duplicate("");
    state_owner_make_snapshot(&owner);
    RunDirectory *run = run_directory_open(&group, run_directory);
    probe_must(run ? 0 : -1);
    RunState state = {.step = 1};
    probe_must(state_save(&owner, run, &state, false, (KeepPolicy){.keep_last = 1}));
    probe_must(run_directory_save_end(run, NULL));
    run_directory_close(run);
    state_owner_free(&owner);
    optimizer_free(&optimizer, kernels_cpu());
    parameters_free(&pairs);
    stored_adapter_free(&stored);
    probe_unload(&loaded);
    group_free(&group);
    return 0;
}

static int write_step(const char *directory, const char *checkpoint, const char *out)
{
    Loaded loaded;
    Learner learner;
    Metrics metrics = {0};
    Grove grove;
    Group group = group_world();
    StepSettings settings = tiny_step_settings();
    probe_load(&loaded, directory, checkpoint);
    grove_make(&grove, PROBE_TREES, loaded.model.shape->vocabulary, PROBE_TREE_SEED);
    learner_make(&learner, &loaded.model, &group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = PROBE_MICRO_BATCH, .base = loaded.base});
    memcpy(learner.optimizer.master, loaded.pair_values,
           (size_t)loaded.adapter.local * sizeof(float));
    learner_refer_to_base(&learner);
    probe_must(learner_step(&learner, &settings,
                            &(StepBatch){.trees = grove.trees, .count = grove.count}, &metrics));
    probe_write_parameters(out, &loaded.adapter, learner.gradient.shards);
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

static int run(int count, char **words)
{
    const char *verb = count > 1 ? words[1] : "";
    if (strcmp(verb, "make") == 0 && count == 7)
        return make_run(words[2], words[3], words + 4);
    if (strcmp(verb, "logits") == 0 && count == 6)
        return probe_write_logits(words[2], words[3], words[4], words[5]);
    if (strcmp(verb, "step") == 0 && count == 5)
        return write_step(words[2], words[3], words[4]);
    return EXIT_USAGE;
}

int main(int count, char **words)
{
    group_start(&count, &words);
    int status = run(count, words);
    group_stop();
    return status;
}
