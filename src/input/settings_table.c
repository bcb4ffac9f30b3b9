#include "input/settings_table.h"

#include <stddef.h>

// One row a setting, in the order in which they are printed. The choices stand in the order of
// their enum in settings.h; a default is written as settings_print would write it.

#define PLACE(section, key) #section, #key
#define OFFSET(section, key) offsetof(Settings, section.key)
#define TEXT(section, key, initial, help)                                                          \
    {                                                                                              \
        PLACE(section, key), SETTING_TEXT, initial, 0, 0, NULL, OFFSET(section, key), help         \
    }
#define PATH(section, key, help)                                                                   \
    {                                                                                              \
        PLACE(section, key), SETTING_PATH, "", 0, 0, NULL, OFFSET(section, key), help              \
    }
#define WORD(section, key, initial, words, help)                                                   \
    {                                                                                              \
        PLACE(section, key), SETTING_TEXT, initial, 0, 0, words, OFFSET(section, key), help        \
    }
#define INTEGER(section, key, initial, least, most, help)                                          \
    {                                                                                              \
        PLACE(section, key), SETTING_INTEGER, initial, least, most, NULL, OFFSET(section, key),    \
            help                                                                                   \
    }
#define REAL(section, key, initial, least, most, help)                                             \
    {                                                                                              \
        PLACE(section, key), SETTING_REAL, initial, least, most, NULL, OFFSET(section, key), help  \
    }
#define FLAG(section, key, initial, help)                                                          \
    {                                                                                              \
        PLACE(section, key), SETTING_FLAG, initial, 0, 0, NULL, OFFSET(section, key), help         \
    }
#define CHOICE(section, key, initial, words, help)                                                 \
    {                                                                                              \
        PLACE(section, key), SETTING_CHOICE, initial, 0, 0, words, OFFSET(section, key), help      \
    }

static const double MANY = 1e9; // steps, ranks, tokens: more is a slip of the pen
static const double RANKS = 1e6;
static const double EXACT = 9007199254740992; // 2^53, the last integer before doubles have gaps

#define WORDS(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}
WORDS(placements, "shared", "split");
WORDS(computes, "f32", "bf16");
WORDS(chats, "auto", "chatml", "qwen3", "llama3");
WORDS(modes, "Ra+Rs", "Ra", "Rs");
WORDS(fusions, "product", "sum");
WORDS(algorithms, "grpo", "sft");
WORDS(estimators, "none", "k1", "k2", "k3", "low-variance-k3", "abs");
WORDS(aggregations, "token-mean", "sequence-mean-token-mean", "sequence-mean-token-sum");
WORDS(schedules, "constant", "linear", "cosine");

const SettingSection settings_sections[] = {
    {"run", "Where a run lives."},
    {"model", "What is trained or asked."},
    {"data", "What is learned from."},
    {"parallel", "Who does what."},
    {"rollout", "How training samples responses."},
    {"reward", "What a response earns."},
    {"algorithm", "How rewards become a loss."},
    {"optimizer", "How a gradient becomes a step (AdamW)."},
    {"train", "How long training goes on."},
    {"warmup", "A stage of `sft` before the algorithm; off while `steps` and `epochs` are 0."},
    {"evaluate", "How a model is measured, after and during training."},
    {"checkpoint", "What is kept for a restart."},
    {"prepare", "From sessions to samples."},
    {NULL, NULL},
};

const SettingRow settings_table[] = {
    PATH(run, directory, "Directory of the run; {seed} in it is replaced by the seed."),
    INTEGER(run, seed, "1", 0, EXACT, "Seed of all random draws."),

    PATH(model, path,
         "Hugging Face directory, checkpoint or directory of a run that the model is read from."),
    FLAG(model, random, "no",
         "Start from random weights; the directory then needs config.json and tokenizer only."),
    CHOICE(model, compute, "f32", computes,
           "Type of published weights and of cached keys and values."),
    WORD(model, chat, "auto", chats,
         "Chat rendering; auto recognises the model's own template by its text."),
    FLAG(model, thinking, "no", "Let a qwen3 model think before it answers."),

    PATH(data, train, "JSON lines of the training samples or sessions."),
    PATH(data, system_prompt, "Text file with the system message; without it there is none."),
    FLAG(data, skip_bad, "no", "Go on without unusable lines, and say how many there were."),
    FLAG(data, keep_sessions, "yes",
         "Shuffle whole sessions, whose contexts share their computation; no shuffles contexts."),
    INTEGER(data, max_prompt_tokens, "2048", 1, MANY,
            "Longest context in tokens; a longer one is skipped and counted."),

    CHOICE(parallel, placement, "shared", placements,
           "Whether every rank has all roles in turn, or each rank has one role."),
    INTEGER(parallel, learner_ranks, "0", 0, RANKS, "Learner ranks of placement = split."),
    INTEGER(parallel, rollout_ranks, "0", 0, RANKS, "Rollout ranks of placement = split."),
    INTEGER(parallel, threads, "0", 0, 4096,
            "Threads of a rank; 0 shares the cores of a node among its ranks."),
    INTEGER(parallel, micro_batch_tokens, "4096", 1, MANY,
            "Tokens that a learner rank computes at once; bounds its memory."),

    INTEGER(rollout, group_size, "5", 1, 4095,
            "Responses to one context, compared with each other."),
    REAL(rollout, temperature, "1", 0.01, 100, "Divides the logits."),
    REAL(rollout, top_p, "1", 1e-6, 1,
         "Sample from the likeliest tokens of this probability; 1: all."),
    REAL(rollout, repetition_penalty, "1", 0.01, 100,
         "Divides the positive and multiplies the negative logits of tokens seen before; 1: none."),
    INTEGER(rollout, top_k, "0", 0, MANY, "Sample from so many likeliest tokens; 0: all."),
    INTEGER(rollout, max_response_tokens, "1024", 1, MANY, "Longest response in tokens."),
    FLAG(rollout, forced_length, "no",
         "Never end a response early: for benchmarks, whose work is then known."),
    FLAG(rollout, allow_truncated, "no",
         "Let training use top_p, top_k and a repetition penalty, which its loss does not model."),
    INTEGER(rollout, cache_tokens, "0", 0, EXACT,
            "Cached positions of a rollout rank; 0: as many as are needed and fit."),

    CHOICE(reward, mode, "Ra+Rs", modes,
           "Parts of the reward: content and decision, content only, decision only."),
    CHOICE(reward, fusion, "product", fusions, "A (1 + 2 C) + F, or A + C + F, of mode = Ra+Rs."),
    FLAG(reward, trim_stop, "no", "Pass over white space around `<stop />` when it is scored."),
    FLAG(reward, permute, "no",
         "Control experiment: permute the rewards of each group, so that nothing can be learned."),

    CHOICE(algorithm, name, "grpo", algorithms, "Training algorithm."),
    REAL(algorithm, clip_low, "0.2", 0, 1, "Ratios below 1 minus this are clipped."),
    REAL(algorithm, clip_high, "0.2", 0, 1000, "Ratios above 1 plus this are clipped."),
    REAL(algorithm, clip_dual, "3", 1, 1e6, "Bound of the ratio where the advantage is negative."),
    REAL(algorithm, kl_coefficient, "0.001", 0, 1000,
         "Weight of the divergence from the first policy; 0 needs no copy of it."),
    CHOICE(algorithm, kl_estimator, "k2", estimators, "How that divergence is estimated."),
    CHOICE(algorithm, aggregation, "token-mean", aggregations,
           "How the losses of tokens become one."),
    FLAG(algorithm, drop_flat_groups, "no",
         "Leave out groups whose responses all earned the same."),

    REAL(optimizer, learning_rate, "5e-7", 0, 10, "Learning rate."),
    REAL(optimizer, beta1, "0.9", 0, 0.9999999, "Decay of the mean of gradients."),
    REAL(optimizer, beta2, "0.999", 0, 0.9999999, "Decay of the mean of squared gradients."),
    REAL(optimizer, epsilon, "1e-8", 1e-30, 1, "Added to the root of the mean of squares."),
    REAL(optimizer, weight_decay, "0.01", 0, 10, "Weight decay, of matrices only."),
    REAL(optimizer, max_gradient_norm, "1", 0, 1e30,
         "A longer gradient is scaled down to this norm; 0: never."),
    CHOICE(optimizer, schedule, "constant", schedules,
           "Course of the learning rate after its warm-up."),
    INTEGER(optimizer, warmup_steps, "0", 0, MANY,
            "Steps over which the learning rate rises from 0."),
    REAL(optimizer, min_ratio, "0", 0, 1,
         "Share of the learning rate that a linear or cosine schedule ends at."),

    INTEGER(train, batch_contexts, "64", 1, MANY, "Contexts of a step."),
    INTEGER(train, epochs, "4", 1, MANY, "Passes over the training data."),
    INTEGER(train, steps, "0", 0, MANY, "Steps, instead of epochs; 0: epochs."),

    INTEGER(warmup, steps, "0", 0, MANY, "Steps of the stage."),
    INTEGER(warmup, epochs, "0", 0, MANY, "Passes over the training data, instead of steps."),
    INTEGER(warmup, batch_contexts, "64", 1, MANY, "Contexts of a step."),
    REAL(warmup, learning_rate, "1e-5", 0, 10, "Learning rate."),
    INTEGER(warmup, warmup_steps, "0", 0, MANY, "Steps over which the learning rate rises from 0."),
    CHOICE(warmup, schedule, "constant", schedules,
           "Course of the learning rate after its warm-up."),

    PATH(evaluate, file,
         "JSON lines of the samples to evaluate on; without it there is no evaluation."),
    INTEGER(evaluate, every, "0", 0, MANY,
            "Steps between evaluations during training; 0: before and after it only."),
    INTEGER(evaluate, contexts, "0", 0, MANY,
            "The first so many contexts (whole sessions) are taken; 0: all."),
    INTEGER(evaluate, samples, "3", 1, 4095, "Responses to a context."),
    REAL(evaluate, temperature, "1", 0.01, 100, "As in [rollout]."),
    REAL(evaluate, top_p, "0.95", 1e-6, 1, "As in [rollout]."),
    REAL(evaluate, repetition_penalty, "1.2", 0.01, 100, "As in [rollout]."),
    INTEGER(evaluate, top_k, "0", 0, MANY, "As in [rollout]."),
    INTEGER(evaluate, max_response_tokens, "512", 1, MANY, "As in [rollout]."),
    PATH(evaluate, judge_training,
         "Samples from which the rule judge weighs its words; without it data.train."),
    PATH(evaluate, output, "JSON lines of the responses and their grades."),

    INTEGER(checkpoint, every, "50", 0, MANY, "Steps between checkpoints; 0: at the end only."),
    INTEGER(checkpoint, keep_last, "2", 1, MANY, "Newest checkpoints that are kept."),
    INTEGER(checkpoint, keep_every, "0", 0, MANY,
            "Checkpoints of multiples of so many steps are kept as well; 0: none."),
    TEXT(checkpoint, keep_best, "",
         "Metric whose best checkpoint is kept as well, such as val/ave_total_reward."),
    INTEGER(checkpoint, patience, "0", 0, MANY,
            "Stop after so many evaluations without a better keep_best; 0: never."),

    PATH(prepare, input, "JSON lines of sessions."),
    PATH(prepare, output, "JSON lines of samples, to be written."),
    PATH(prepare, processed,
         "Their longer form with the rest of each session, which sft needs; not written without "
         "it."),
    PATH(prepare, info_sets,
         "JSON lines with cid and info_set; without it the input's own fields are taken."),
    FLAG(prepare, round_context, "no",
         "Compatibility: a context holds the messages of its own round only."),
    FLAG(prepare, trailing_round, "no",
         "Compatibility: a sample for the assistant's last words, too."),
};

const int64_t settings_count = sizeof settings_table / sizeof settings_table[0];
