// tiny.h - small random models and trees for the tests of model, engine, learner and exchange.
//
// Everything is a function of a seed, through the program's own draws: the same bits on every
// machine and for any number of ranks, so that numbers of others can be kept beside the tests.

#ifndef L2A_TESTS_MODEL_TINY_H
#define L2A_TESTS_MODEL_TINY_H

#include "learner/learner.h"

typedef enum {
    TINY_LLAMA,  // untied, three query heads to a key head
    TINY_SMOLLM, // tied
    TINY_LLAMA3, // frequency scaling
    TINY_QWEN2,  // biases, untied, a key head to each query head
    TINY_QWEN2_TIED,
    TINY_QWEN3, // query and key norm, heads wider than width / heads, tied
    TINY_COUNT
} TinyFamily;

extern const char *const tiny_names[TINY_COUNT];
extern const char *const tiny_configs[TINY_COUNT]; // config.json

enum { TINY_POSITIONS = 128, TINY_ADAPTER_ROWS = 300 };

typedef struct {
    Parameters parameters;
    Model model;
    Group group;      // this process alone
    float *values;    // owned [parameters.local]: masters
    Weights *weights; // owned: resident
} Tiny;

ModelShape tiny_shape(TinyFamily family);

// `tiny` must not move afterwards: the model points into it.
void tiny_make(Tiny *tiny, TinyFamily family, const Kernels *kernels, ElementType type,
               uint64_t seed);
void tiny_free(Tiny *tiny);

// Packs the values again after they were changed. One rank.
void tiny_publish(Tiny *tiny);

// A low-rank adapter of a tiny model, one rank.
typedef struct {
    Parameters parameters;
    Model model;      // the tiny one's, with the adapter
    float *values;    // owned [parameters.local]: masters
    Weights *pairs;   // owned: resident
    Weights *weights; // owned: the tiny model's with the pairs
    void *base;       // owned: the tiny model's values in its type
} TinyAdapter;

// Rank 4, scale 1.5, of all layers or of values, up and down only.
AdapterShape tiny_adapter_shape(bool all);

// A as parameters_start_adapter makes it, B `noise` times normal numbers. `adapter` must not move
// afterwards, and `tiny` stays.
void tiny_adapter_make(TinyAdapter *adapter, Tiny *tiny, const AdapterShape *shape, double noise);
void tiny_adapter_publish(TinyAdapter *adapter);
void tiny_adapter_free(TinyAdapter *adapter);
void tiny_start_adapter(const Parameters *parameters, double noise, float *values);

// The base's values with the adapter merged into them, in double and rounded once.
void tiny_merge(const Tiny *tiny, const TinyAdapter *adapter, float *values);

// Matrices as parameters_randomise makes them; biases and norms random too.
void tiny_randomise(const Parameters *parameters, uint64_t seed, float *values);

// Adds `scale` times normal numbers.
void tiny_perturb(const Parameters *parameters, uint64_t seed, double scale, float *values);

// Trees of several rounds with five responses each, of one to nine tokens: some with forced tokens,
// some unscored, some out of the loss. lp_old lies around that of a uniform distribution, so that a
// tiny model's ratios meet every clip.
typedef struct {
    Tree *trees; // owned
    int64_t count;
} Grove;

void grove_make(Grove *grove, int64_t count, int64_t vocabulary, uint64_t seed);
void grove_free(Grove *grove);
void grove_copy(Grove *to, const Grove *from);

// Every branch as a tree of its own, its context the trunk; `all_forced`: its context forced tokens
// of a tree without trunk.
void grove_separate(Grove *to, const Grove *from, bool all_forced);

// The same trees before the rollout: no response yet, room for `capacity` tokens, all in the loss.
void grove_sprout(Grove *to, const Grove *from, int32_t capacity);

// The loss of the tests: everything that a GRPO step can have, at temperature 0.7; a branch's
// reward is its advantage.
StepSettings tiny_step_settings(void);

// A learner on `group` whose masters are tiny_randomise(seed) and whose reference is those moved by
// tiny_perturb. `resident` as in LearnerLayout.
void tiny_learner_make(Learner *learner, const Model *model, const Group *group, uint64_t seed,
                       int64_t micro_batch_tokens, Weights *resident);

// The same of a learner on any device that learner_make has just made.
void tiny_learner_fill(Learner *learner, uint64_t seed);

// A learner of the adapter, alone, with micro-batches of TINY_ADAPTER_ROWS. `resident`: it reads
// the packed weights of an engine; else it gathers base and pairs.
void tiny_adapter_learner_make(Learner *learner, Tiny *tiny, TinyAdapter *adapter, bool resident);

// ||a - b|| / ||b|| of `count` numbers; 0 where both are zero.
double relative_distance(const float *a, const float *b, int64_t count);

// The largest relative distance of a tensor's gradient (one rank).
double gradient_distance(const Parameters *parameters, const float *a, const float *b);

#endif
