// probe.h - what the probes of the peers' tests share: models from files, results into files.

#ifndef L2A_TESTS_PEERS_PROBE_H
#define L2A_TESTS_PEERS_PROBE_H

#include "tests/model/tiny.h"

// The trees of a step that is compared.
enum { PROBE_TREES = 4, PROBE_TREE_SEED = 11, PROBE_MICRO_BATCH = 256 };

// A model from files, on this process alone.
typedef struct {
    Parameters parameters, adapter;
    Model model;
    float *values, *pair_values; // owned
    Weights *base, *pairs;       // owned
    Weights *weights;            // the base, or owned: with the pairs
} Loaded;

void probe_must(int status); // ends the program with the recorded message

// `adapter`: a checkpoint, or NULL. `loaded` must not move afterwards.
void probe_load(Loaded *loaded, const char *directory, const char *adapter);
void probe_unload(Loaded *loaded);

// Weights or gradients under their names, to a safetensors file.
void probe_write_parameters(const char *path, const Parameters *parameters, const float *flat);

// Logits of the sequences in a JSON file: tensor i of `out` has those of sequence i.
int probe_write_logits(const char *directory, const char *adapter, const char *sequences,
                       const char *out);

#endif
