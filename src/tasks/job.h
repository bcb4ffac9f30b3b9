// job.h - what every task that runs a model holds: ranks, kernels, text, weights, engine.

#ifndef L2A_TASKS_JOB_H
#define L2A_TASKS_JOB_H

#include "engine/engine.h"
#include "exchange/exchange.h"
#include "input/settings.h"
#include "learner/learner.h"
#include "learner/scorer.h"
#include "parallel/team.h"
#include "tasks/backend_choice.h"
#include "tasks/grading.h"
#include "tasks/peft_adapter.h"
#include "tasks/react.h"
#include "tasks/stored_adapter.h"
#include "text/chat.h"

typedef struct {
    const Settings *settings; // borrowed
    World world;
    Backend backend;
    char *directory;      // owned: where config.json and the tokenizer are
    char *checkpoint;     // owned: where the weights are, NULL: in `directory`
    bool trains;          // what [model] names is to be trained, with an adapter or without
    char *peft;           // owned: the PEFT directory that [model] names, or NULL
    StoredAdapter stored; // of its adapter; rank 0: there is none
    bool begins_adapter;  // that one begins with the run; else [model] names it
    char *base_directory, *base_checkpoint; // owned; with an adapter: the same of its base
    Tokenizer *tokenizer;                   // owned
    Chat *chat;                             // owned
    Grading *grading;                       // owned: who judges responses
    bool served;        // the policy is the served model of [policy]: none of our own
    Asked policy_asked; // what it is asked with
    Answerer policy;
    React *react; // owned: tools, where there are some
    ModelShape shape;
    Parameters parameters, adapter; // sharded over the learner ranks
    const Parameters *trained;      // borrowed: the adapter's where there is one
    Model model;
    Publication *publication; // owned: how what learners hold comes to all ranks
    // With an adapter, its frozen base: packed on ranks that roll out (their slice) and on a
    // learner rank that is alone; learner ranks that have not all of it packed keep their shards.
    Weights *base;     // owned
    void *base_shards; // owned, of the model's type
    // Ranks with the rollout role:
    Team team;   // the ranks of this rank's engine
    Team shards; // of a learner rank: those that share the parameters, and those that hold the same
    int shard_count; // ranks that share them, on every rank
    TensorSlice slice;
    Model part;         // the model as this rank computes it for its engine; borrows from `model`
    Weights *weights;   // owned, of the slice; what the engine reads; NULL on other ranks
    Weights *published; // owned; the part of them that training changes
    Engine engine;
    Scorer scorer;
} Job;

// Sizes that depend on the data.
typedef struct {
    int64_t positions; // longest context and response together
    int64_t slots;     // cached positions an engine
} JobSizes;

enum { ENGINE_ROWS = 512 }; // rows of a prefill or decode pass

// Tokenizer, chat, shape and the judge's text side: what `check` needs, without ranks.
// job->settings, job->served and job->trains are set.
int job_open_text(Job *job);

// Ranks and the text side. Collective; on failure every rank returns -1.
typedef struct {
    bool split;  // ranks have roles as [parallel] says; else all have all
    bool served; // the policy is served
    bool trains;
} JobOptions;

int job_open(Job *job, const Settings *settings, JobOptions options);

// Engines that sample, of `rollout_ranks` ranks.
int job_engines(const Job *job, int rollout_ranks);

// The engine's weights, and an adapter's base, where they are those of the whole model, for the
// learner to read; else NULL.
Weights *job_whole_weights(const Job *job);
Weights *job_whole_base(const Job *job);

// Parameters, model, the engine and scorer of rollout ranks, the judge. Collective; on failure
// every rank returns -1.
int job_build(Job *job, JobSizes sizes);

// The model's side of job_build, with the weights of an adapter's base, and of job_close.
int job_build_model(Job *job, JobSizes sizes);
void job_free_weights(Job *job);

// This rank's shards of what is trained, the model that [model] names or an adapter, into values
// [trained->local]. On learner ranks; collective over the learner group.
int job_load_weights(Job *job, float *values);

// Elements of what is trained; needs no job_build.
int64_t job_trained_elements(const Job *job);

// "rank 8, alpha 32, 0.12 M parameters (4.6 % of the model's): q_proj,v_proj; a new one", where
// there is one.
void job_describe_adapter(const Job *job, Bytes *out);

// What learner ranks hold of what is trained (their shards; fp32 or as model_trained_type says)
// into the engines of all rollout ranks. Collective over world->all.
void job_publish(Job *job, Elements shards);

// The weights of job_load_weights into the engines of all rollout ranks; `checksum` (may be NULL)
// is told which. Collective over world->all.
int job_load_engine(Job *job, uint64_t *checksum);

void job_close(Job *job);

// Threads of this rank: as [parallel] asks, else its share of the node's cores. Collective over
// all.
void job_set_threads(const Group *all, const Settings *settings);

ElementType job_element_type(const Settings *settings);
OptimizerForm job_optimizer_form(const Settings *settings);

#endif
