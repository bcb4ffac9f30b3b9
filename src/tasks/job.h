// job.h - what every task that runs a model holds: ranks, kernels, text, weights, engine.

#ifndef L2A_TASKS_JOB_H
#define L2A_TASKS_JOB_H

#include "engine/engine.h"
#include "exchange/exchange.h"
#include "input/settings.h"
#include "learner/scorer.h"
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
    ModelShape shape;
    Parameters parameters; // sharded over the learner ranks
    Model model;
    float *staging; // owned: one unit in fp32
    // Ranks with the rollout role:
    Weights *weights; // owned; NULL on other ranks
    Engine engine;
    Scorer scorer;
} Job;

// Sizes that depend on the data.
typedef struct {
    int64_t positions; // longest context and response together
    int64_t slots;     // cached positions a rollout rank
} JobSizes;

enum { ENGINE_ROWS = 512 }; // rows of a prefill or decode pass

// Tokenizer, chat and shape only: what `check` needs, without ranks. job->settings is set.
int job_open_text(Job *job);

// Ranks and the text side. Collective; on failure every rank returns -1.
int job_open(Job *job, const Settings *settings, bool split);

// Parameters, model, and the engine and scorer of rollout ranks. Collective; -1 where the model
// cannot hold the positions.
int job_build(Job *job, JobSizes sizes);

// This rank's shards of the model that [model] names, into values [parameters.local]. On learner
// ranks; collective over the learner group.
int job_load_weights(Job *job, float *values);

void job_close(Job *job);

ElementType job_element_type(const Settings *settings);

// Where `path` has its configuration and its weights; both to be released. `*checkpoint` NULL: the
// path is a Hugging Face directory.
int job_locate_model(const char *path, char **directory, char **checkpoint);

#endif
