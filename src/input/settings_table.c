#include "input/settings_table.h"

#include <stddef.h>

#include "input/adapter.h"

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

// The rows of a struct Endpoint and of a struct Asked; defaults are those of the specification.
#define ENDPOINT(section, field)                                                                   \
    {#section,                                                                                     \
     "url",                                                                                        \
     SETTING_TEXT,                                                                                 \
     "",                                                                                           \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     OFFSET(section, field url),                                                                   \
     "Address of a served model, such as http://host:8000/v1."},                                   \
        {#section,                                                                                 \
         "name",                                                                                   \
         SETTING_TEXT,                                                                             \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         OFFSET(section, field name),                                                              \
         "Name by which the server knows the model."},                                             \
        {#section,                                                                                 \
         "key_variable",                                                                           \
         SETTING_TEXT,                                                                             \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         OFFSET(section, field key_variable),                                                      \
         "Environment variable that holds the key of the served model; without it none is sent."}, \
        {#section,                                                                                 \
         "in_flight",                                                                              \
         SETTING_INTEGER,                                                                          \
         "64",                                                                                     \
         1,                                                                                        \
         4096,                                                                                     \
         NULL,                                                                                     \
         OFFSET(section, field in_flight),                                                         \
         "Requests of a rank that wait for answers at once."},                                     \
        {#section,                                                                                 \
         "timeout",                                                                                \
         SETTING_REAL,                                                                             \
         "120",                                                                                    \
         0.1,                                                                                      \
         86400,                                                                                    \
         NULL,                                                                                     \
         OFFSET(section, field timeout),                                                           \
         "Seconds until a request is given up and tried again."},                                  \
        {#section,                                                                                 \
         "retries",                                                                                \
         SETTING_INTEGER,                                                                          \
         "5",                                                                                      \
         0,                                                                                        \
         1000,                                                                                     \
         NULL,                                                                                     \
         OFFSET(section, field retries),                                                           \
         "Tries after the first of a request that found no answer."},                              \
    {                                                                                              \
#section, "backoff", SETTING_REAL, "1", 0.001, 3600, NULL, OFFSET(section, field backoff), \
            "Seconds before the first retry; doubled for each later one, with jitter."             \
    }
#define ASKED(section, initial_penalty, initial_tokens, initial_p)                                 \
    PATH(section, prompt, "Text file with the instructions."),                                     \
        REAL(section, temperature, "0.7", 0, 100, "Divides the logits; 0: the likeliest token."),  \
        REAL(section, top_p, initial_p, 1e-6, 1, "As in [rollout]."),                              \
        REAL(section, repetition_penalty, initial_penalty, 0.01, 100, "As in [rollout]."),         \
        INTEGER(section, max_tokens, initial_tokens, 1, MANY, "Longest answer in tokens."),        \
        INTEGER(section, attempts, "3", 1, 16,                                                     \
                "Times that a question is asked, with fresh draws, until its answer is usable."),  \
        PATH(section, path, "Hugging Face directory of a model of our own."),                      \
        WORD(section, chat, "auto", chats, "As in [model]."),                                      \
        FLAG(section, thinking, "no", "As in [model]."),                                           \
        CHOICE(section, compute, "f32", computes, "As in [model]."),                               \
        INTEGER(section, max_prompt_tokens, "4096", 1, MANY,                                       \
                "Longest question in tokens to a model of our own; a longer one is not asked."),   \
        INTEGER(section, cache_tokens, "0", 0, EXACT,                                              \
                "Cached positions of a model of our own; 0: 32768."),                              \
        INTEGER(section, tensor_parallel, "1", 1, 1024,                                            \
                "As in [rollout], of a model of our own."),                                        \
        ENDPOINT(section, endpoint.)

static const double MANY = 1e9; // steps, ranks, tokens: more is a slip of the pen
static const double RANKS = 1e6;
static const double EXACT = 9007199254740992; // 2^53, the last integer before doubles have gaps

#define WORDS(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}
WORDS(backends, "auto", "cpu", "cuda");
WORDS(readables, "owner", "group", "all");
WORDS(placements, "shared", "split");
WORDS(computes, "f32", "bf16");
WORDS(products, "exact", "native");
WORDS(chats, "auto", "chatml", "qwen3", "llama3");
WORDS(workflows, "direct", "react");
WORDS(targets, "judge", "extractor", "policy");
WORDS(judges, "rule", "model", "served");
WORDS(extractors, "none", "model", "served");
WORDS(modes, "Ra+Rs", "Ra", "Rs");
WORDS(fusions, "product", "sum");
WORDS(algorithms, "grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce++", "opmd", "sft",
      "dpo");
WORDS(rejections, "given", "sampled");
WORDS(recomputes, "none", "elementwise", "layer");
WORDS(not_finites, "stop", "skip", "roll_back");
WORDS(estimators, "none", "k1", "k2", "k3", "low-variance-k3", "abs");
WORDS(aggregations, "token-mean", "sequence-mean-token-mean", "sequence-mean-token-sum",
      "sequence-mean-token-sum-norm");
WORDS(places, "device", "host");
WORDS(schedules, "constant", "linear", "cosine");

const SettingSection settings_sections[] = {
    {"run", "Where a run lives."},
    {"model", "What is trained or asked."},
    {"data", "What is learned from."},
    {"parallel", "Who does what."},
    {"rollout", "How training samples responses."},
    {"react", "How a policy with tools is sampled (rollout.workflow = react)."},
    {"reward", "What a response earns."},
    {"algorithm", "How rewards become a loss."},
    {"optimizer", "How a gradient becomes a step (AdamW)."},
    {"adapter", "A low-rank adapter (LoRA), trained in the place of the weights: a new one unless "
                "`rank` is 0."},
    {"train", "How long training goes on."},
    {"warmup", "A stage of `sft` before the algorithm; off while `steps` and `epochs` are 0."},
    {"evaluate", "How a model is measured, after and during training."},
    {"checkpoint", "What is kept for a restart."},
    {"check", "What `check` looks at besides."},
    {"prepare", "From sessions to samples."},
    {"calibrate", "Which of several prompts agrees best with labelled examples."},
    {"extractor", "The language model that `prepare` asks for the facts the expert collected."},
    {"policy", "A served model that `evaluate` measures in place of [model]."},
    {"judge", "The language model that grades responses where `reward.judge` is not `rule`."},
    {"proposer", "The language model that writes further prompts for `calibrate`."},
    {NULL, NULL},
};

const SettingRow settings_table[] = {
    PATH(run, directory, "Directory of the run; {seed} in it is replaced by the seed."),
    INTEGER(run, seed, "1", 0, EXACT, "Seed of all random draws."),
    REAL(run, max_hours, "0", 0, 1e6,
         "Hours after which a start of `train` has saved its state and ended, to be started again; "
         "0: "
         "no limit but that of the batch job."),
    CHOICE(run, readable_by, "owner", readables,
           "Who may read the files that are written, which hold what patients said; the umask may "
           "narrow it."),
    FLAG(run, accept_changes, "no",
         "Go on with a run although settings, or files it reads, were changed since its checkpoint "
         "(those that may be, on request)."),
    INTEGER(run, samples_every, "1", 0, EXACT,
            "Keep the responses of every so many steps in samples.jsonl; 0: of none."),
    FLAG(run, tensorboard, "no",
         "Write the metrics as TensorBoard events, too (RUN/tensorboard; 2 KB a step)."),

    PATH(model, path,
         "Hugging Face or PEFT directory, checkpoint or run that the model is read from."),
    FLAG(model, random, "no",
         "Start from random weights; the directory then needs config.json and tokenizer only."),
    CHOICE(model, compute, "f32", computes,
           "Type of published weights and of cached keys and values."),
    CHOICE(
        model, products, "exact", products,
        "How bf16 weights are multiplied: with the same bits on every machine, or with this one's "
        "own dot products of bf16: faster where it has fast ones, the bits its own."),
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

    CHOICE(parallel, backend, "auto", backends,
           "On what ranks compute: the CPU, a GPU for each rank (cuda), or auto: GPUs where every "
           "rank has some in sight."),
    CHOICE(parallel, placement, "shared", placements,
           "Whether every rank has all roles in turn, or each rank has one role."),
    INTEGER(parallel, learner_ranks, "0", 0, RANKS, "Learner ranks of placement = split."),
    INTEGER(parallel, rollout_ranks, "0", 0, RANKS, "Rollout ranks of placement = split."),
    INTEGER(parallel, grader_ranks, "0", 0, RANKS,
            "Grader ranks of placement = split, for a judge of our own; 0: the rollout ranks."),
    INTEGER(parallel, threads, "0", 0, 4096,
            "Threads of a rank; 0: as many as there are cores where it may run, shared among the "
            "ranks that may run there."),
    REAL(parallel, deadline, "600", 1, 1e9,
         "Seconds that a rank which others wait for may give no sign of life; then the job ends "
         "with its name."),
    INTEGER(parallel, micro_batch_tokens, "4096", 1, MANY,
            "Tokens that a learner rank computes at once; bounds its memory."),
    REAL(parallel, memory, "0", 0, 1e6,
         "GB (10^9 bytes) that a rank may hold in training, of its GPU's memory where it computes "
         "on one, beside some MB for the work of each thread; a job that needs more is refused "
         "before it begins, and told what would fit. 0: no bound."),
    TEXT(parallel, shard_group, "all",
         "Learner ranks that share the parameters, gradients and moments: all, those of a node, or "
         "so "
         "many consecutive ones; groups hold the same and add up their gradients."),
    CHOICE(parallel, recompute, "elementwise", recomputes,
           "Activations that the backward pass computes again instead of keeping them: none, norms "
           "and "
           "SwiGLU, or whole layers; less memory for more time, the same bits."),
    FLAG(parallel, reshard_after_forward, "yes",
         "Drop gathered parameters behind each layer and gather them again for the backward pass; "
         "no "
         "keeps them: faster, and larger by the model."),

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
    INTEGER(rollout, tensor_parallel, "1", 1, 1024,
            "Consecutive rollout ranks among which the heads and the feed-forward columns of every "
            "layer are divided."),
    CHOICE(rollout, workflow, "direct", workflows,
           "One completion, or a loop in which the policy may call tools ([react])."),

    PATH(react, tools, "JSON file that declares the tools; without it there are none."),
    INTEGER(react, max_iterations, "1", 1, 32,
            "Replies that may call tools; one that does so in the last is summed up once more."),
    INTEGER(react, max_observation_tokens, "512", 16, MANY,
            "Longest observation in tokens: what the tools of one reply returned."),
    PATH(react, summary_prompt,
         "Text file with the request for a summary after the last iteration."),

    CHOICE(reward, judge, "rule", judges,
           "Who grades questions: the rule judge, a model of our own, or a served one ([judge])."),
    CHOICE(reward, mode, "Ra+Rs", modes,
           "Parts of the reward: content and decision, content only, decision only."),
    CHOICE(reward, fusion, "product", fusions, "A (1 + 2 C) + F, or A + C + F, of mode = Ra+Rs."),
    FLAG(reward, trim_stop, "no", "Pass over white space around `<stop />` when it is scored."),
    FLAG(reward, unusable_is_zero, "no",
         "Compatibility: an unusable verdict scores 0, and any finite number passes for a score."),
    FLAG(reward, permute, "no",
         "Control experiment: permute the rewards of each group, so that nothing can be learned."),

    CHOICE(algorithm, name, "grpo", algorithms,
           "Training algorithm. Some have defaults of their own for the settings below."),
    REAL(algorithm, clip_low, "0.2", 0, 1, "Ratios below 1 minus this are clipped."),
    REAL(algorithm, clip_high, "0.2", 0, 1000, "Ratios above 1 plus this are clipped."),
    REAL(algorithm, clip_dual, "3", 1, 1e6, "Bound of the ratio where the advantage is negative."),
    REAL(algorithm, kl_coefficient, "0.001", 0, 1000,
         "Weight of the divergence from the first policy; 0 needs no copy of it."),
    CHOICE(algorithm, kl_estimator, "k2", estimators, "How that divergence is estimated."),
    REAL(algorithm, entropy_coefficient, "0", 0, 1000,
         "Weight of the entropy of the distributions that tokens are drawn from, which is raised."),
    REAL(
        algorithm, importance_cap, "0", 0, 1e6,
        "Largest importance weight between the sampler and the learner, such as 2; 0: no weights."),
    CHOICE(algorithm, aggregation, "token-mean", aggregations,
           "How the losses of tokens become one; -norm divides by rollout.max_response_tokens."),
    FLAG(algorithm, drop_flat_groups, "no",
         "Leave out groups whose responses all earned the same."),
    INTEGER(algorithm, replacements, "0", 0, 1000,
            "Rounds of sampling other contexts in place of those dropped groups; 0: none."),
    REAL(algorithm, opmd_tau, "1", 0, 1e6, "Temperature of opmd."),
    REAL(algorithm, dpo_beta, "0.1", 1e-6, 1000, "Scale of dpo's margins."),
    CHOICE(algorithm, rejected, "given", rejections,
           "Rejected responses of dpo: the samples' own field `rejected`, or the worst of those "
           "sampled."),

    REAL(optimizer, learning_rate, "5e-7", 0, 10, "Learning rate."),
    REAL(optimizer, beta1, "0.9", 0, 0.9999999, "Decay of the mean of gradients."),
    REAL(optimizer, beta2, "0.999", 0, 0.9999999, "Decay of the mean of squared gradients."),
    REAL(optimizer, epsilon, "1e-8", 1e-30, 1, "Added to the root of the mean of squares."),
    REAL(optimizer, weight_decay, "0.01", 0, 10, "Weight decay of matrices."),
    REAL(optimizer, vector_decay, "0", 0, 10, "Weight decay of norms and biases."),
    REAL(optimizer, max_gradient_norm, "1", 0, 1e30,
         "A longer gradient is scaled down to this norm; 0: never."),
    CHOICE(optimizer, schedule, "constant", schedules,
           "Course of the learning rate after its warm-up."),
    INTEGER(optimizer, warmup_steps, "0", 0, MANY,
            "Steps over which the learning rate rises from 0."),
    REAL(optimizer, min_ratio, "0", 0, 1,
         "Share of the learning rate that a linear or cosine schedule ends at."),
    CHOICE(optimizer, moments, "f32", computes,
           "Type that the two moments of every weight are kept in; bf16 halves them and rounds at "
           "random, the same on any number of ranks."),
    CHOICE(
        optimizer, memory, "device", places,
        "Where fp32 weights and moments lie: in the memory of the device, or in the host's, which "
        "a GPU reads and writes over its bus: room for larger models, slower updates."),

    INTEGER(adapter, rank, "0", 0, ADAPTER_RANK_MAXIMUM,
            "Rank of a new adapter; 0: that of model.path is trained on, or else all weights."),
    REAL(adapter, alpha, "32", 1e-6, 1e6, "What an adapter adds is multiplied by alpha / rank."),
    TEXT(adapter, targets, "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
         "Linear layers that have one, in a list with commas."),

    INTEGER(train, batch_contexts, "64", 1, MANY, "Contexts of a step."),
    INTEGER(train, epochs, "4", 1, MANY, "Passes over the training data."),
    INTEGER(train, steps, "0", 0, MANY, "Steps, instead of epochs; 0: epochs."),
    INTEGER(train, mini_batches, "1", 1, MANY,
            "Parts of a step's batch, each with an optimiser step of its own."),
    INTEGER(train, passes, "1", 1, 1000, "Times that a step goes over its batch."),
    INTEGER(
        train, staleness, "0", 0, 64,
        "Steps by which the weights that sample may lag; rollout and learner ranks of placement "
        "= split then work at the same time."),
    INTEGER(train, sync_interval, "1", 1, MANY, "Steps between publications of new weights."),
    CHOICE(train, not_finite, "stop", not_finites,
           "When a gradient is not finite: stop and keep the batch, skip the optimiser step, or go "
           "back to the weights of the last checkpoint."),

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
    PATH(evaluate, baseline,
         "Another model, measured in the same way by `evaluate` and printed beside the first."),
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

    TEXT(check, gpus, "",
         "Memory in GB of GPUs, in a list with commas such as 24,80: `check` then says on how many "
         "of "
         "them the job fits, and with which settings."),

    PATH(prepare, input, "JSON lines of sessions."),
    PATH(prepare, output, "JSON lines of samples, to be written."),
    PATH(prepare, processed,
         "Their longer form with the rest of each session, which sft needs; not written without "
         "it."),
    PATH(prepare, info_sets,
         "JSON lines with cid and info_set; without it the input's own fields are taken."),
    CHOICE(prepare, extractor, "none", extractors,
           "Who is asked for facts that are not given: nobody, a model of our own, or a served one "
           "([extractor])."),
    FLAG(prepare, round_context, "no",
         "Compatibility: a context holds the messages of its own round only."),
    FLAG(prepare, trailing_round, "no",
         "Compatibility: a sample for the assistant's last words, too."),

    CHOICE(calibrate, target, "judge", targets, "Whose prompt is sought."),
    PATH(calibrate, labels,
         "JSON lines of examples: for a judge messages, info_truth, response, content, format; for "
         "an extractor remaining_chat, info_set; for a policy samples."),
    PATH(calibrate, candidates, "Directory of the prompts to choose from, NAME.txt."),
    INTEGER(calibrate, proposals, "0", 0, 1000,
            "Further prompts, which a model writes after those ([proposer])."),
    CHOICE(calibrate, proposer, "none", extractors,
           "Who writes them: nobody, a model of our own, or a served one."),
    PATH(calibrate, output,
         "The chosen prompt, to be written; the scores stand beside it in OUTPUT.scores.jsonl."),

    ASKED(extractor, "1.1", "512", "0.9"),
    ENDPOINT(policy, ),
    ASKED(judge, "1", "1024", "1"),
    ASKED(proposer, "1", "1024", "1"),
};

const OwnDefault settings_own_defaults[] = {
    {ALGORITHM_DR_GRPO, "aggregation", "sequence-mean-token-sum-norm"},
    {ALGORITHM_DAPO, "clip_high", "0.28"},
    {ALGORITHM_DAPO, "kl_coefficient", "0"},
    {ALGORITHM_DAPO, "drop_flat_groups", "yes"},
    {ALGORITHM_DAPO, "replacements", "10"},
    {ALGORITHM_GSPO, "clip_low", "0.0003"},
    {ALGORITHM_GSPO, "clip_high", "0.0004"},
    {ALGORITHM_GSPO, "aggregation", "sequence-mean-token-mean"},
    {ALGORITHM_CISPO, "clip_high", "0.28"},
    {ALGORITHM_REINFORCE, "kl_estimator", "k1"},
    {ALGORITHM_DPO, "aggregation", "sequence-mean-token-sum"},
    {ALGORITHM_GRPO, NULL, NULL},
};

const char *settings_algorithm_name(Algorithm algorithm)
{
    return algorithms[algorithm];
}

const int64_t settings_count = sizeof settings_table / sizeof settings_table[0];
