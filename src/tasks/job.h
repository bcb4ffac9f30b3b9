// job.h - what every task that runs a model holds: ranks, kernels, text, weights, engine.

#ifndef L2A_TASKS_JOB_H
#define L2A_TASKS_JOB_H

#include "engine/engine.h"
#include "exchange/exchange.h"
#include "input/settings.h"
#include "learner/scorer.h"
#include "parallel/team.h"
#include "tasks/grading.h"
#include "tasks/react.h"
#include "text/chat.h"

typedef struct {
    const Settings *settings; // borrowed
    World world;
    const Kernels *kernels;
    const Collective *collective;
    char *directory;      // owned: where config.json and the tokenizer are
    char *checkpoint;     // owned: where the weights are, NULL: in `directory`
    Tokenizer *tokenizer; // owned
    Chat *chat;           // owned
    Grading *grading;     // owned: who judges responses
    bool served;          // the policy is the served model of [policy]: none of our own
    Asked policy_asked;   // what it is asked with
    Answerer policy;
    React *react; // owned: tools, where there are some
    ModelShape shape;
    Parameters parameters; // sharded over the learner ranks
    Model model;
    float *staging; // owned: one unit in fp32
    // Ranks with the rollout role:
    Team team; // the ranks of this rank's engine
    TensorSlice slice;
    Model part;       // the model as this rank computes it for its engine; borrows from `model`
    Weights *weights; // owned, of the slice; NULL on other ranks
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
// job->settings and job->served are set.
int job_open_text(Job *job);

// Ranks and the text side. Collective; on failure every rank returns -1.
typedef struct {
    bool split;  // ranks have roles as [parallel] says; else all have all
    bool served; // the policy is served
} JobOptions;

int job_open(Job *job, const Settings *settings, JobOptions options);

// Engines that sample, of `rollout_ranks` ranks.
int job_engines(const Job *job, int rollout_ranks);

// The engine's weights where they are those of the whole model, for the learner to read; else NULL.
Weights *job_whole_weights(const Job *job);

// Parameters, model, the engine and scorer of rollout ranks, the judge. Collective; on failure
// every rank returns -1.
int job_build(Job *job, JobSizes sizes);

// This rank's shards of the model that [model] names, into values [parameters.local]. On learner
// ranks; collective over the learner group.
int job_load_weights(Job *job, float *values);

// The same weights into the engines of all rollout ranks; `checksum` (may be NULL) is told which.
// Collective over world->all.
int job_load_engine(Job *job, uint64_t *checksum);

void job_close(Job *job);

// Threads of this rank: as [parallel] asks, else its share of the node's cores. Collective over
// all.
void job_set_threads(const Group *all, const Settings *settings);

ElementType job_element_type(const Settings *settings);

// Where `path` has its configuration and its weights; both to be released. `*checkpoint` NULL: the
// path is a Hugging Face directory.
int job_locate_model(const char *path, char **directory, char **checkpoint);

#endif
