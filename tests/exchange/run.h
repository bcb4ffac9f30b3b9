// run.h - what a training run holds, small, on any ranks in any roles: for the tests of exchange.

#ifndef L2A_TESTS_EXCHANGE_RUN_H
#define L2A_TESTS_EXCHANGE_RUN_H

#include "engine/engine.h"
#include "exchange/exchange.h"
#include "tests/model/tiny.h"

// What is trained: a model, or an adapter beside a frozen one.
typedef struct {
    TinyFamily family;
    bool demo; // instead of a tiny family: the embedded default's shape and first weights
    ElementType type;
    bool adapted;
    const Backend *backend; // borrowed; NULL: the CPU's
} Kind;

typedef struct {
    const World *world;
    Backend backend;
    double temperature; // of sampling and of the loss
    Parameters parameters, adapter; // sharded
    const Parameters *trained;      // one of them
    Parameters whole;               // the same of one rank
    Model model;
    Weights *weights;   // on rollout ranks: what the engine reads
    Weights *base;      // of an adapter: on those and on a learner that is alone
    Weights *published; // what changes of the weights
    void *base_shards;  // device; of an adapter, in the type of `kind`
    Engine engine;
    Learner learner;
    Publication *publication;
} Run;

const char *kind_name(Kind kind);
ModelShape kind_shape(Kind kind);

// The trained tensors as a single rank holds them.
void run_whole(Parameters *whole, Kind kind);

// Collective over world->all, as is what follows. `run` must not move afterwards.
void run_open(Run *run, const World *world, Kind kind);
void run_close(Run *run);

void run_publish(Run *run);

// Trees of a step, of which every rollout rank samples every so many.
void run_roll_out(Run *run, int64_t trees, uint32_t step, TreeList *all);

// One step on the trees of a list, on learner ranks: its loss and norm, then gradient shards on the
// device. Collective over them.
typedef struct {
    double policy, divergence, norm, gap;
} StepNumbers;

StepNumbers run_learn(Run *run, const TreeList *trees); // the same on every rank of the world

// Sharded values of the learners (device), whole on every rank's host; to be released.
float *run_gather(Run *run, const float *shards);

#endif
