// state.h - a training run as a list of tensors and attributes, to the store and back.
//
// Weights under /weights, the moments under /optimizer/m and /optimizer/v, all with Hugging Face
// names and global shapes; the model's side files under /files; the rest as attributes.

#ifndef L2A_TASKS_STATE_H
#define L2A_TASKS_STATE_H

#include "learner/optimizer.h"
#include "store/run_directory.h"

typedef struct {
    int64_t step;    // updates done, all stages
    int64_t updates; // of the stage's optimiser
    int64_t journal_bytes, samples_bytes;
    double best;                   // of keep_best; -infinity: none yet
    int64_t best_step, since_best; // evaluations since
} RunState;

// One file of the model directory, kept in every checkpoint for the converter.
typedef struct {
    const char *name;
    Bytes bytes; // owned
} SideFile;

typedef struct {
    const Group *group;           // borrowed: the learner ranks
    const Parameters *parameters; // borrowed
    Optimizer *optimizer;         // borrowed
    SideFile *files;              // owned, the same on every rank
    int64_t file_count;
    char *settings; // owned: the effective .ini
} StateOwner;

// Reads the side files of a model directory (those that are there).
int state_owner_make(StateOwner *owner, const char *directory);
void state_owner_free(StateOwner *owner);

// Copies the side files to `directory` (made if missing); rank 0 writes. Collective.
int state_copy_files(const StateOwner *owner, const char *directory);

// Writes a checkpoint and points the run to it. Collective over the group.
int state_save(const StateOwner *owner, RunDirectory *run, const RunState *state, bool is_best,
               KeepPolicy policy);

// Weights only, to `path`: the frozen reference.
int state_save_weights(const StateOwner *owner, const char *path, float *values);

// Takes an open checkpoint back: weights, moments, attributes. Collective.
int state_load(const StateOwner *owner, Checkpoint *checkpoint, RunState *state);

// The weights of a checkpoint file into values [parameters->local]. Collective.
int state_load_weights(const Group *group, const char *path, const Parameters *parameters,
                       float *values);

// Bytes of a checkpoint on disk.
int64_t state_bytes(const StateOwner *owner);

#endif
