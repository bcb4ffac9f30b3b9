// settings_check_train.c - settings of `train` that no single value shows to be wrong.

#include <stdio.h>
#include <string.h>

#include "input/adapter.h"
#include "input/settings_checker.h"

static void check_untruncated(Checker *checker)
{
    const Settings *settings = checker->settings;
    static const char *const reason =
        "changes the distribution that the loss assumes: remove it, or set "
        "rollout.allow_truncated = yes";
    if (settings->rollout.allow_truncated)
        return;
    if (settings->rollout.top_p < 1)
        checker_refuse(checker, "rollout", "top_p", "%s", reason);
    if (settings->rollout.top_k > 0)
        checker_refuse(checker, "rollout", "top_k", "%s", reason);
    if (settings->rollout.repetition_penalty > 1 || settings->rollout.repetition_penalty < 1)
        checker_refuse(checker, "rollout", "repetition_penalty", "%s", reason);
}

// What each algorithm reads of [algorithm].
enum { READS_CLIPS = 1, READS_UPPER_CLIP = 2, READS_DIVERGENCE = 4, READS_REWARDS = 8 };

static int reads_of(Algorithm algorithm)
{
    switch (algorithm) {
    case ALGORITHM_GRPO:
    case ALGORITHM_DR_GRPO:
    case ALGORITHM_DAPO:
    case ALGORITHM_GSPO:
    case ALGORITHM_RLOO:
    case ALGORITHM_REINFORCE:
        return READS_CLIPS | READS_UPPER_CLIP | READS_DIVERGENCE | READS_REWARDS;
    case ALGORITHM_CISPO:
        return READS_UPPER_CLIP | READS_DIVERGENCE | READS_REWARDS;
    case ALGORITHM_OPMD:
        return READS_DIVERGENCE | READS_REWARDS;
    case ALGORITHM_SFT:
    case ALGORITHM_DPO:
        break;
    }
    return 0;
}

static void expect_read(Checker *checker, bool has_effect, const char *key)
{
    char because[64];
    snprintf(because, sizeof because, "name = %s",
             settings_algorithm_name(checker->settings->algorithm.name));
    checker_expect_effect(checker, has_effect, "algorithm", key, because);
}

// Settings that the algorithm does not read, or reads with another value of its own.
static void check_algorithm(Checker *checker)
{
    const Settings *settings = checker->settings;
    Algorithm name = settings->algorithm.name;
    int reads = reads_of(name);
    static const struct {
        const char *key;
        int read;
    } keys[] = {
        {"clip_low", READS_CLIPS},           {"clip_high", READS_UPPER_CLIP},
        {"clip_dual", READS_CLIPS},          {"kl_coefficient", READS_DIVERGENCE},
        {"kl_estimator", READS_DIVERGENCE},  {"importance_cap", READS_REWARDS},
        {"drop_flat_groups", READS_REWARDS}, {"replacements", READS_REWARDS},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        expect_read(checker, reads & keys[i].read, keys[i].key);
    expect_read(checker, name == ALGORITHM_OPMD, "opmd_tau");
    expect_read(checker, name == ALGORITHM_DPO, "dpo_beta");
    expect_read(checker, name == ALGORITHM_DPO, "rejected");
    if (name == ALGORITHM_DPO &&
        settings->algorithm.aggregation != AGGREGATE_SEQUENCE_MEAN_TOKEN_SUM)
        checker_refuse(checker, "algorithm", "aggregation",
                       "dpo adds up whole responses: sequence-mean-token-sum");
    if (settings->algorithm.replacements > 0 && !settings->algorithm.drop_flat_groups)
        checker_expect_effect(checker, false, "algorithm", "replacements", "drop_flat_groups = no");
    for (const OwnDefault *own = settings_own_defaults; own->key; own++) {
        Bytes value = {0};
        setting_print(settings_find("algorithm", own->key), settings, &value);
        if (own->algorithm == name && name != ALGORITHM_DPO && strcmp(value.data, own->value) != 0)
            checker_doubt(checker, "algorithm", own->key, "%s is usually run with %s",
                          settings_algorithm_name(name), own->value);
        bytes_free(&value);
    }
}

static void check_divergence(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool has_divergence = settings->algorithm.kl_coefficient > 0;
    if (has_divergence && settings->algorithm.kl_estimator == KL_K1 &&
        settings->algorithm.name != ALGORITHM_REINFORCE)
        checker_doubt(checker, "algorithm", "kl_estimator",
                      "k1 has no mean gradient while the policy is its own sampler: use k2");
    if (has_divergence && settings->algorithm.kl_estimator == KL_NONE)
        checker_expect_effect(checker, false, "algorithm", "kl_coefficient", "kl_estimator = none");
}

static void check_sampling(Checker *checker)
{
    const Settings *settings = checker->settings;
    check_untruncated(checker);
    if (settings->rollout.tensor_parallel > 1)
        checker_doubt(
            checker, "rollout", "tensor_parallel",
            "sampler and learner then add in different orders: mismatch/logprob_gap_* are "
            "small, but no longer 0");
    if (settings->rollout.group_size == 1)
        checker_doubt(
            checker, "rollout", "group_size",
            "a group of one has nothing to be compared with: its advantage is its reward");
    checker_expect_effect(checker, settings->reward.mode == MODE_RA_RS, "reward", "fusion",
                          "a mode other than Ra+Rs");
    if (settings->reward.permute)
        checker_doubt(checker, "reward", "permute", "control experiment: nothing can be learned");
    if (settings->rollout.forced_length)
        checker_doubt(checker, "rollout", "forced_length",
                      "for benchmarks: no response ends by itself");
}

static void check_versions(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool samples = settings_sample_responses(settings);
    checker_expect_effect(checker, samples, "train", "staleness",
                          "an algorithm that samples nothing");
    checker_expect_effect(checker, samples, "train", "sync_interval",
                          "an algorithm that samples nothing");
    if (samples && settings->train.staleness > 0 &&
        settings->parallel.placement == PLACEMENT_SHARED)
        checker_doubt(checker, "train", "staleness",
                      "nothing is gained with placement = shared: no two ranks work at different "
                      "things");
    if (settings->train.not_finite == NOT_FINITE_ROLL_BACK && settings->checkpoint.every == 0)
        checker_refuse(checker, "train", "not_finite", "roll_back needs checkpoint.every > 0");
}

static void check_course(Checker *checker)
{
    const Settings *settings = checker->settings;
    checker_expect_effect(checker, settings->train.steps == 0, "train", "epochs",
                          "train.steps given");
    checker_expect_effect(checker, settings->optimizer.schedule != SCHEDULE_CONSTANT, "optimizer",
                          "min_ratio", "schedule = constant");
    checker_expect_effect(checker, settings->parallel.backend != BACKEND_CPU, "optimizer", "memory",
                          "parallel.backend = cpu");
    if (settings->train.steps > 0 && settings->optimizer.warmup_steps >= settings->train.steps)
        checker_doubt(checker, "optimizer", "warmup_steps",
                      "the learning rate is never reached in %lld steps",
                      (long long)settings->train.steps);
    int64_t longest = settings->data.max_prompt_tokens + settings->rollout.max_response_tokens;
    if (longest > settings->parallel.micro_batch_tokens)
        checker_doubt(
            checker, "parallel", "micro_batch_tokens",
            "a context and its response may hold %lld tokens: those over %lld cannot be computed",
            (long long)longest, (long long)settings->parallel.micro_batch_tokens);
}

static void check_warmup(Checker *checker)
{
    const Settings *settings = checker->settings;
    if (settings->warmup.steps > 0 && settings->warmup.epochs > 0)
        checker_refuse(checker, "warmup", "epochs",
                       "steps and epochs cannot both be given: remove one");
    bool on = settings->warmup.steps > 0 || settings->warmup.epochs > 0;
    static const char *const keys[] = {"batch_contexts", "learning_rate", "warmup_steps",
                                       "schedule"};
    for (int i = 0; i < 4; i++)
        checker_expect_effect(checker, on, "warmup", keys[i],
                              "neither warmup.steps nor warmup.epochs");
}

static void check_checkpoint(Checker *checker)
{
    const Settings *settings = checker->settings;
    int64_t every = settings->checkpoint.every, keep_every = settings->checkpoint.keep_every;
    const char *best = settings->checkpoint.keep_best;
    if (keep_every > 0 && (every == 0 || keep_every % every != 0))
        checker_refuse(checker, "checkpoint", "keep_every",
                       "must be a multiple of checkpoint.every, %lld", (long long)every);
    if (*best && strncmp(best, "val/", strlen("val/")) != 0)
        checker_refuse(checker, "checkpoint", "keep_best",
                       "%s is no metric of an evaluation: such are val/ave_total_reward, "
                       "val/ave_total_decision, val/ave_continue_content",
                       best);
    if (*best && (*settings->evaluate.file == 0 || settings->evaluate.every == 0))
        checker_refuse(checker, "checkpoint", "keep_best",
                       "needs evaluate.file, and evaluate.every greater than 0");
    if (settings->checkpoint.patience > 0 && *best == 0)
        checker_refuse(checker, "checkpoint", "patience", "needs checkpoint.keep_best");
    if (settings->evaluate.every > 0 && *settings->evaluate.file == 0)
        checker_refuse(checker, "evaluate", "every", "needs evaluate.file");
}

static void check_adapter(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool targets[LINEAR_COUNT], on = settings->adapter.rank > 0;
    checker_expect_effect(checker, on, "adapter", "alpha", "adapter.rank = 0");
    checker_expect_effect(checker, on, "adapter", "targets", "adapter.rank = 0");
    if (on && settings->model.random)
        checker_refuse(checker, "adapter", "rank",
                       "an adapter beside frozen random weights has nothing to build on: remove "
                       "model.random, or set adapter.rank = 0");
    if (adapter_parse_targets(settings->adapter.targets, targets) != 0)
        checker_refuse(checker, "adapter", "targets", "%s", fail_message());
}

void checker_train(Checker *checker)
{
    const Settings *settings = checker->settings;
    checker_require(checker, "train", "run", "directory", settings->run.directory);
    checker_require(checker, "train", "model", "path", settings->model.path);
    checker_require(checker, "train", "data", "train", settings->data.train);
    check_algorithm(checker);
    check_divergence(checker);
    if (settings_sample_responses(settings))
        check_sampling(checker);
    check_versions(checker);
    check_adapter(checker);
    check_course(checker);
    check_warmup(checker);
    check_checkpoint(checker);
}
