// state.h - a training run as a list of tensors and attributes, to the store and back.
//
// A save first copies the rank's arrays to host memory, the snapshot; what follows goes on beside
// the run (store/run_directory.h).
//
// Weights under /weights or, of an adapter, /adapter; the moments under /optimizer/m and
// /optimizer/v, all with Hugging Face names and global shapes; the model's side files under /files;
// the rest as attributes.

#ifndef L2A_TASKS_STATE_H
#define L2A_TASKS_STATE_H

#include "learner/optimizer.h"
#include "store/run_directory.h"
#include "tasks/stored_adapter.h"

typedef struct {
    int64_t step;    // updates done, all stages
    int64_t updates; // of the stage's optimiser
    int64_t journal_bytes, samples_bytes;
    double best;                   // of keep_best; -infinity: none yet
    int64_t best_step, since_best; // evaluations since
    int64_t evaluated;             // step of the newest evaluation; -1: none yet
} RunState;

// One file of the model directory, kept in every checkpoint for the converter.
typedef struct {
    const char *name;
    Bytes bytes; // owned
} SideFile;

typedef struct {
    const Group *group; // borrowed: the learner ranks
    const Kernels *kernels;
    const Parameters *parameters; // borrowed: what is trained
    const StoredAdapter *adapter; // borrowed; rank 0: there is none
    Optimizer *optimizer;         // borrowed
    SideFile *files;              // owned, the same on every rank
    int64_t file_count;
    char *settings;              // owned: the effective .ini
    uint64_t data_checksum;      // of the training data (tasks/dataset.h)
    uint64_t reference_checksum; // of a reference that [model] names; 0: none
    // Of an asynchronous run: the trees of the steps to come, as bytes, and the weights that
    // rollout ranks hold, where they are not those of the optimiser.
    Bytes *sampled; // owned
    int64_t sampled_count;
    void *published; // borrowed, device [parameters->local]; NULL: always those of the optimiser
    ElementType published_type;
    bool holds_published;
    bool writes;    // this rank's shards; another group of ranks may hold the same
    void *snapshot; // owned, host: the state as it was at the last save
} StateOwner;

// Reads the side files of a model directory (those that are there).
int state_owner_make(StateOwner *owner, const char *directory);
void state_owner_free(StateOwner *owner);

// Makes the snapshot, once the other fields are set; its bytes, with `published_element` of an
// element of published weights (0: none are kept).
void state_owner_make_snapshot(StateOwner *owner);
size_t state_snapshot_bytes(const Parameters *parameters, ElementType moments,
                            size_t published_element);

void state_owner_drop_sampled(StateOwner *owner);

// Copies the side files to `directory` (made if missing); rank 0 writes. Collective.
int state_copy_files(const StateOwner *owner, const char *directory);

// Copies the state and begins to write its checkpoint, as run_directory_save does: the steps that
// were sampled ahead stay as they are until that ends, all else may change. No save may be under
// way. Collective over the group.
int state_save(const StateOwner *owner, RunDirectory *run, const RunState *state, bool is_best,
               KeepPolicy policy);

// Weights only [parameters->local], device memory, to `path`: the frozen reference. Uses the
// snapshot: no save may be under way. Collective.
int state_save_weights(const StateOwner *owner, const char *path, Elements values);

// Takes an open checkpoint back: weights, moments, attributes, and published weights where it has
// some (holds_published says so); moments of another type are converted. One of another adapter, or
// of another base, is EXIT_BAD_DATA.
// May use the snapshot: no save may be under way. Collective.
int state_load(StateOwner *owner, Checkpoint *checkpoint, RunState *state);

// A U8 tensor, on every rank. Collective.
int state_load_bytes(Checkpoint *checkpoint, const char *name, Bytes *bytes);

// The checksum of weights [parameters->local], device memory: the same for any number of ranks.
// May use the snapshot: no save may be under way. Collective over the group.
uint64_t state_checksum(const StateOwner *owner, const float *values);

enum { STATE_CHECKSUM_BYTES = 17 };
void state_print_checksum(uint64_t checksum, char text[STATE_CHECKSUM_BYTES]);

// How many steps were sampled ahead, and the bytes of one of them (from 0), on every rank.
// Collective.
int state_sampled_count(const Checkpoint *checkpoint, int64_t *count);
int state_load_sampled(Checkpoint *checkpoint, int64_t index, Bytes *bytes);

// The weights of a checkpoint file into values [parameters->local], host memory. Collective.
int state_load_weights(const Group *group, const char *path, const Parameters *parameters,
                       float *values);

#endif
