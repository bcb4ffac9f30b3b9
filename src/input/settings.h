// settings.h - what to do: read once, checked wholly, never changed.
//
// One table (settings_table.c) holds section, key, type, range, default and help of every setting;
// the struct below is filled from it, and README's chapter, `--explain` and the effective run.ini
// are printed from it. Strings are owned by the Settings; "" means not given.

#ifndef L2A_INPUT_SETTINGS_H
#define L2A_INPUT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

// What the program is asked to do; options.h has the names.
typedef enum {
    TASK_CHECK,
    TASK_JOB,
    TASK_PREPARE,
    TASK_TRAIN,
    TASK_EVALUATE,
    TASK_CALIBRATE,
    TASK_CHAT,
    TASK_COUNT
} Task;

typedef enum { READABLE_OWNER, READABLE_GROUP, READABLE_ALL } Readable;
typedef enum { PLACEMENT_SHARED, PLACEMENT_SPLIT } Placement;
typedef enum { COMPUTE_F32, COMPUTE_BF16 } Compute;
typedef enum {
    ALGORITHM_GRPO,
    ALGORITHM_DR_GRPO,
    ALGORITHM_DAPO,
    ALGORITHM_GSPO,
    ALGORITHM_CISPO,
    ALGORITHM_RLOO,
    ALGORITHM_REINFORCE,
    ALGORITHM_OPMD,
    ALGORITHM_SFT,
    ALGORITHM_DPO
} Algorithm;
typedef enum { KL_NONE, KL_K1, KL_K2, KL_K3, KL_LOW_VARIANCE_K3, KL_ABS } KlEstimator;
typedef enum {
    AGGREGATE_TOKEN_MEAN,
    AGGREGATE_SEQUENCE_MEAN_TOKEN_MEAN,
    AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM,
    AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM_NORM
} Aggregation;
typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } Schedule;
typedef enum { NOT_FINITE_STOP, NOT_FINITE_SKIP, NOT_FINITE_ROLL_BACK } NotFinite;
typedef enum { BACKEND_AUTO, BACKEND_CPU, BACKEND_CUDA } BackendKind;
typedef enum { OPTIMIZER_DEVICE, OPTIMIZER_HOST } OptimizerMemory;
typedef enum { PRODUCTS_EXACT, PRODUCTS_NATIVE } Products;
typedef enum { RECOMPUTE_NONE, RECOMPUTE_ELEMENTWISE, RECOMPUTE_LAYER } Recompute;
typedef enum { REJECTED_GIVEN, REJECTED_SAMPLED } Rejected;
typedef enum { MODE_RA_RS, MODE_RA, MODE_RS } RewardMode;
typedef enum { FUSION_PRODUCT, FUSION_SUM } RewardFusion;
typedef enum { WORKFLOW_DIRECT, WORKFLOW_REACT } Workflow;
typedef enum { TARGET_JUDGE, TARGET_EXTRACTOR, TARGET_POLICY } PromptTarget;
typedef enum { ASKED_NOBODY, ASKED_MODEL, ASKED_SERVED } AskedKind;

// A served model: an OpenAI-compatible endpoint.
typedef struct {
    char *url, *name;   // where, and what the request calls the model
    char *key_variable; // environment variable that holds the key; "": none
    int64_t in_flight;  // requests at once, of a rank
    double timeout;     // seconds of one try
    int64_t retries;    // of a request that failed
    double backoff;     // seconds before the first retry
} Endpoint;

// A language model that is asked something: of our own (path ...) or served (endpoint).
typedef struct {
    char *prompt; // text file with the instructions
    double temperature, top_p, repetition_penalty;
    int64_t max_tokens; // of an answer
    int64_t attempts;   // until an answer is usable
    char *path;         // Hugging Face directory
    char *chat;
    bool thinking;
    Compute compute;
    int64_t max_prompt_tokens, cache_tokens;
    int64_t tensor_parallel; // ranks of an engine
    Endpoint endpoint;
} Asked;

typedef struct {
    struct {
        char *directory; // of the run
        int64_t seed;
        double max_hours;      // of a start; 0: no limit
        Readable readable_by;  // what is written
        bool accept_changes;   // of settings and files since the checkpoint that it goes on from
        int64_t samples_every; // responses of every so many steps are kept; 0: of none
        bool tensorboard;      // events, too
    } run;
    struct {
        char *path;  // Hugging Face directory, a checkpoint, or a run directory
        bool random; // start from random weights: path needs config.json and tokenizer only
        Compute compute;
        Products products;
        char *chat; // auto, chatml, qwen3, llama3
        bool thinking;
    } model;
    struct {
        char *train;         // JSON lines of samples or sessions
        char *system_prompt; // text file; "": no system message
        bool skip_bad;
        bool keep_sessions;
        int64_t max_prompt_tokens;
    } data;
    struct {
        BackendKind backend;
        Placement placement;
        int64_t learner_ranks, rollout_ranks, grader_ranks; // of placement split
        int64_t threads;                                    // 0: cores of the node / its ranks
        double deadline; // seconds that others wait for a rank without a sign of life
        int64_t micro_batch_tokens;
        double memory;              // of a rank, in 10^9 bytes; 0: no bound
        char *shard_group;          // learner ranks that share parameters: all, node, or how many
        Recompute recompute;        // of activations, in the backward pass
        bool reshard_after_forward; // drop gathered units, and gather them again backwards
    } parallel;
    struct {
        int64_t group_size;
        double temperature, top_p, repetition_penalty;
        int64_t top_k;
        int64_t max_response_tokens;
        bool forced_length; // never end early: for benchmarks
        bool allow_truncated;
        int64_t cache_tokens; // key/value positions a rollout rank holds; 0: as needed up to memory
        int64_t tensor_parallel; // ranks of an engine
        Workflow workflow;
    } rollout;
    struct {                    // workflow react
        char *tools;            // JSON file that declares them; "": none
        int64_t max_iterations; // replies that may call tools
        int64_t max_observation_tokens;
        char *summary_prompt; // text file: asks for the reply when no iteration is left
    } react;
    struct {
        AskedKind judge; // nobody: by rule
        RewardMode mode;
        RewardFusion fusion;
        bool trim_stop;
        bool unusable_is_zero; // compat option
        bool permute;          // control: permute rewards inside each group
    } reward;
    struct {
        Algorithm name;
        double clip_low, clip_high, clip_dual;
        double kl_coefficient;
        KlEstimator kl_estimator;
        double entropy_coefficient;
        double importance_cap; // of truncated importance weights; 0: off
        Aggregation aggregation;
        bool drop_flat_groups;
        int64_t replacements; // rounds of further sampling in place of flat groups
        double opmd_tau, dpo_beta;
        Rejected rejected; // dpo: where rejected responses come from
    } algorithm;
    struct {
        double learning_rate, beta1, beta2, epsilon, max_gradient_norm;
        double weight_decay, vector_decay; // of matrices; of norms and biases
        Schedule schedule;
        int64_t warmup_steps; // of the learning rate
        double min_ratio;     // of the schedule's end
        Compute moments;      // type that they are kept in
        OptimizerMemory memory;
    } optimizer;
    struct {
        int64_t rank; // 0: all weights are trained
        double alpha;
        char *targets; // comma list of linear layers (input/adapter.h)
    } adapter;
    struct {
        int64_t batch_contexts;
        int64_t epochs;
        int64_t steps;                    // > 0: instead of epochs
        int64_t mini_batches, passes;     // optimiser steps of a step: every mini-batch, so often
        int64_t staleness, sync_interval; // k and I of the specification's "Versions"
        NotFinite not_finite;             // what to do about a gradient that is not finite
    } train;
    struct { // an sft stage before the algorithm; off where steps and epochs are 0
        int64_t steps, epochs, batch_contexts;
        double learning_rate;
        int64_t warmup_steps;
        Schedule schedule;
    } warmup;
    struct {
        char *file;       // samples to evaluate on; "": none
        int64_t every;    // steps between evaluations inside training; 0: only before and after
        int64_t contexts; // the first so many contexts (whole sessions); 0: all
        int64_t samples;  // rollouts a context
        double temperature, top_p, repetition_penalty;
        int64_t top_k;
        int64_t max_response_tokens;
        char *baseline;       // another model, evaluated beside [model]; "": none
        char *judge_training; // samples from which the rule judge's weights come; "": data.train
        char *output;         // JSON lines of rollouts and grades of `learn2ask evaluate`
    } evaluate;
    struct {
        int64_t every; // steps
        int64_t keep_last, keep_every;
        char *keep_best;  // metric name, e.g. val/ave_total_reward; "": off
        int64_t patience; // evaluations without a better keep_best; 0: off
    } checkpoint;
    struct {
        char *gpus; // GB of each, in a list with commas; "": GPUs are not asked about
    } check;
    struct {
        char *input, *output; // sessions in, samples out
        char *processed;      // the longer form; "": not written
        char *info_sets;      // JSON lines with cid and info_set; "": from the input's own fields
        AskedKind extractor;  // who is asked for the facts of the other rounds
        bool round_context, trailing_round; // compat options
    } prepare;
    struct {
        PromptTarget target; // whose prompt
        char *labels;        // JSON lines of what is right
        char *candidates;    // directory of prompts, NAME.txt
        int64_t proposals;   // further ones that the proposer writes
        AskedKind proposer;
        char *output; // the chosen prompt; "OUTPUT.scores.jsonl" has the table
    } calibrate;
    Asked extractor, judge, proposer;
    Endpoint policy;               // evaluated in place of [model] where it has a url
    struct SettingsSource *source; // owned; where each value came from, for messages
} Settings;

// One row of the table, for whoever prints it (help, README, schema).
typedef enum {
    SETTING_TEXT, // with choices: one of them
    SETTING_PATH, // of a file, relative to the working directory
    SETTING_INTEGER,
    SETTING_REAL,
    SETTING_FLAG,
    SETTING_CHOICE
} SettingType;

typedef struct {
    const char *section, *key;
    SettingType type;
    const char *initial;        // default as text; "" of a text: not given (settings_check asks)
    double minimum, maximum;    // of numbers, inclusive
    const char *const *choices; // of SETTING_CHOICE, NULL-terminated, in the order of the enum
    size_t offset;              // in Settings
    const char *help;           // one sentence, with the unit
} SettingRow;

extern const SettingRow settings_table[];
extern const int64_t settings_count;

// The row of `section`.`key`; NULL where there is none.
const SettingRow *settings_find(const char *section, const char *key);

// Reads `path`, applies `overrides` ("section.key=value", in order), fills defaults; `{seed}` in
// run.directory becomes the seed. Every fault found is recorded, one a line as
// "error: file:line: message", in `faults`; returns 0 when there is none, else -1 with the first in
// fail_message and EXIT_BAD_SETTINGS (EXIT_NO_INPUT: no such file; EXIT_BAD_DATA: no regular file;
// EXIT_USAGE: only overrides are at fault). After a failure there is nothing to free.
int settings_read(Settings *settings, const char *path, const char *const *overrides,
                  int64_t override_count, Bytes *faults);

// The same for a text in memory, called `name` in messages: the run.ini of a checkpoint, or a file
// that one rank read for all.
int settings_read_text(Settings *settings, const char *text, size_t length, const char *name,
                       const char *const *overrides, int64_t override_count, Bytes *faults);

// What no single value shows: files that `task` needs, settings that contradict each other, values
// that are allowed and seldom meant. Faults and warnings are added as lines ("error: ...",
// "warning: ..."), each with the place of the value; returns as settings_read does. TASK_CHECK asks
// for what every task asks whose files are named.
int settings_check(const Settings *settings, Task task, Bytes *faults, Bytes *warnings);

// The number that [parallel] shard_group names, or one of these.
enum { SHARD_GROUP_ALL = 0, SHARD_GROUP_NODE = -1, SHARD_GROUP_BAD = -2 };
int64_t settings_shard_group(const Settings *settings);

// The numbers that [check] gpus lists, into sizes [CHECK_GPUS]; -1: they are none.
enum { CHECK_GPUS = 4 };
int settings_gpus(const Settings *settings, double sizes[CHECK_GPUS]);

// Whether the algorithm rolls out (or else learns from what it is given).
bool settings_sample_responses(const Settings *settings);

// The effective settings as an .ini text, every default explicit. settings_read takes it back.
void settings_print(const Settings *settings, Bytes *out);

// Appends the value of one setting, as the right side of a line of such a text.
void setting_print_quoted(const SettingRow *row, const Settings *settings, Bytes *out);

// Appends a text as a shell takes it for one word and nothing else.
void settings_print_word(const char *text, Bytes *out);

// The words of a shell's command line that gives these settings: the file, and every --set.
void settings_print_words(const Settings *settings, Bytes *out);

// The defaults as an .ini text with a comment above each: a file to start from.
void settings_print_defaults(Bytes *out);

// README's chapter: how an input file is written, and a table a section.
void settings_print_markdown(Bytes *out);

// A JSON Schema (draft 2020-12) of the input file, for editors and whatever makes such files.
void settings_print_schema(Bytes *out);

// What is known of the setting (or all of a section) called `name`; -1 and EXIT_USAGE, with the
// nearest name, where there is none.
int settings_explain(const char *name, Bytes *out);

void settings_free(Settings *settings);

#endif
