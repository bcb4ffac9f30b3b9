#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "input/settings_table.h"

typedef struct {
    const Settings *settings;
    Faults faults, warnings;
    const char *sought; // section whose prompt `calibrate` seeks; NULL: none
} Checker;

static const SettingRow *row_of(const char *section, const char *key)
{
    const SettingRow *row = settings_find(section, key);
    CHECK(row, "%s.%s", section, key);
    return row;
}

// Whether the user named the value, in the file or by --set.
static bool is_given(const Checker *checker, const char *section, const char *key)
{
    return checker->settings->source->lines[row_of(section, key) - settings_table] !=
           SOURCE_DEFAULT;
}

// Each message begins with the setting's name, at the place where its value stands.
static void add(const Checker *checker, Faults *list, const char *section, const char *key,
                const char *format, va_list arguments)
{
    char place[FAULTS_PLACE_BYTES], message[1024];
    settings_place(checker->settings, row_of(section, key), place);
    vsnprintf(message, sizeof message, format, arguments);
    faults_add(list, place, "%s.%s: %s", section, key, message);
}

static void refuse(Checker *checker, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void refuse(Checker *checker, const char *section, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(checker, &checker->faults, section, key, format, arguments);
    va_end(arguments);
}

static void doubt(Checker *checker, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void doubt(Checker *checker, const char *section, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(checker, &checker->warnings, section, key, format, arguments);
    va_end(arguments);
}

static void require(Checker *checker, const char *task, const char *section, const char *key,
                    const char *value)
{
    if (*value == 0)
        refuse(checker, section, key, "must be given for %s", task);
}

// A value that was named and cannot have the effect that it was named for.
static void expect_effect(Checker *checker, bool has_effect, const char *section, const char *key,
                          const char *because)
{
    if (!has_effect && is_given(checker, section, key))
        doubt(checker, section, key, "has no effect with %s", because);
}

static void check_model(Checker *checker)
{
    const char *chat = checker->settings->model.chat;
    bool may_think = strcmp(chat, "auto") == 0 || strcmp(chat, "qwen3") == 0;
    if (checker->settings->model.thinking && !may_think)
        doubt(checker, "model", "thinking", "has no effect with chat = %s", chat);
}

// The settings of who is asked: `section` holds them, `chooser` (say "reward.judge") chose `kind`.
static void check_asked(Checker *checker, const char *section, const Asked *asked, AskedKind kind,
                        const char *chooser, const char *nobody)
{
    static const char *const common[] = {"prompt",     "temperature", "top_p", "repetition_penalty",
                                         "max_tokens", "attempts",    NULL};
    static const char *const ours[] = {
        "path", "chat", "thinking", "compute", "cache_tokens", "max_prompt_tokens", NULL};
    static const char *const theirs[] = {"url",     "name",    "key_variable", "in_flight",
                                         "timeout", "retries", "backoff",      NULL};
    static const char *const words[] = {[ASKED_MODEL] = "model", [ASKED_SERVED] = "served"};
    char because[64];
    snprintf(because, sizeof because, "%s = %s", chooser, kind ? words[kind] : nobody);
    for (int i = 0; common[i]; i++)
        expect_effect(checker, kind != ASKED_NOBODY, section, common[i], because);
    for (int i = 0; ours[i]; i++)
        expect_effect(checker, kind == ASKED_MODEL, section, ours[i], because);
    for (int i = 0; theirs[i]; i++)
        expect_effect(checker, kind == ASKED_SERVED, section, theirs[i], because);
    bool seeks = checker->sought && strcmp(section, checker->sought) == 0;
    if (kind != ASKED_NOBODY && !seeks)
        require(checker, because, section, "prompt", asked->prompt);
    if (kind == ASKED_MODEL)
        require(checker, because, section, "path", asked->path);
    if (kind == ASKED_SERVED) {
        require(checker, because, section, "url", asked->endpoint.url);
        require(checker, because, section, "name", asked->endpoint.name);
    }
    bool may_think = strcmp(asked->chat, "auto") == 0 || strcmp(asked->chat, "qwen3") == 0;
    if (asked->thinking && !may_think)
        doubt(checker, section, "thinking", "has no effect with chat = %s", asked->chat);
}

static void check_judge(Checker *checker)
{
    const Settings *settings = checker->settings;
    AskedKind judge = settings->reward.judge;
    check_asked(checker, "judge", &settings->judge, judge, "reward.judge", "rule");
    expect_effect(checker, judge != ASKED_NOBODY, "reward", "unusable_is_zero",
                  "reward.judge = rule");
    if (settings->parallel.placement == PLACEMENT_SPLIT && settings->parallel.grader_ranks > 0 &&
        judge != ASKED_MODEL)
        refuse(checker, "parallel", "grader_ranks",
               "grader ranks have nothing to do: reward.judge = %s",
               judge == ASKED_SERVED ? "served" : "rule");
}

static void check_parallel(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool split = settings->parallel.placement == PLACEMENT_SPLIT;
    if (split && settings->parallel.learner_ranks == 0)
        refuse(checker, "parallel", "learner_ranks", "placement = split needs at least 1");
    if (split && settings->parallel.rollout_ranks == 0)
        refuse(checker, "parallel", "rollout_ranks", "placement = split needs at least 1");
    static const char *const keys[] = {"learner_ranks", "rollout_ranks", "grader_ranks"};
    for (int i = 0; i < 3; i++)
        expect_effect(checker, split, "parallel", keys[i], "placement = shared");
}

static void check_workflow(Checker *checker)
{
    const Settings *settings = checker->settings;
    static const char *const keys[] = {"tools", "max_iterations", "max_observation_tokens",
                                       "summary_prompt"};
    bool react = settings->rollout.workflow == WORKFLOW_REACT;
    for (int i = 0; i < 4; i++)
        expect_effect(checker, react, "react", keys[i], "rollout.workflow = direct");
    bool tools = *settings->react.tools;
    for (int i = 1; i < 4 && react; i++)
        expect_effect(checker, tools, "react", keys[i], "no react.tools");
    if (react && tools)
        require(checker, "tools", "react", "summary_prompt", settings->react.summary_prompt);
}

static void check_untruncated(Checker *checker)
{
    const Settings *settings = checker->settings;
    static const char *const reason =
        "changes the distribution that the loss assumes: remove it, or set "
        "rollout.allow_truncated = yes";
    if (settings->rollout.allow_truncated)
        return;
    if (settings->rollout.top_p < 1)
        refuse(checker, "rollout", "top_p", "%s", reason);
    if (settings->rollout.top_k > 0)
        refuse(checker, "rollout", "top_k", "%s", reason);
    if (settings->rollout.repetition_penalty > 1 || settings->rollout.repetition_penalty < 1)
        refuse(checker, "rollout", "repetition_penalty", "%s", reason);
}

static void check_grpo(Checker *checker)
{
    const Settings *settings = checker->settings;
    check_untruncated(checker);
    if (settings->rollout.group_size == 1)
        doubt(checker, "rollout", "group_size",
              "a group of one has nothing to be compared with: its advantage is its reward");
    bool has_divergence = settings->algorithm.kl_coefficient > 0;
    if (has_divergence && settings->algorithm.kl_estimator == KL_K1)
        doubt(checker, "algorithm", "kl_estimator",
              "k1 has no mean gradient while the policy is its own sampler: use k2");
    if (has_divergence && settings->algorithm.kl_estimator == KL_NONE)
        expect_effect(checker, false, "algorithm", "kl_coefficient", "kl_estimator = none");
    expect_effect(checker, settings->reward.mode == MODE_RA_RS, "reward", "fusion",
                  "a mode other than Ra+Rs");
    if (settings->reward.permute)
        doubt(checker, "reward", "permute", "control experiment: nothing can be learned");
    if (settings->rollout.forced_length)
        doubt(checker, "rollout", "forced_length", "for benchmarks: no response ends by itself");
}

static void check_course(Checker *checker)
{
    const Settings *settings = checker->settings;
    expect_effect(checker, settings->train.steps == 0, "train", "epochs", "train.steps given");
    expect_effect(checker, settings->optimizer.schedule != SCHEDULE_CONSTANT, "optimizer",
                  "min_ratio", "schedule = constant");
    if (settings->train.steps > 0 && settings->optimizer.warmup_steps >= settings->train.steps)
        doubt(checker, "optimizer", "warmup_steps",
              "the learning rate is never reached in %lld steps", (long long)settings->train.steps);
    int64_t longest = settings->data.max_prompt_tokens + settings->rollout.max_response_tokens;
    if (longest > settings->parallel.micro_batch_tokens)
        doubt(checker, "parallel", "micro_batch_tokens",
              "a context and its response may hold %lld tokens: those over %lld cannot be computed",
              (long long)longest, (long long)settings->parallel.micro_batch_tokens);
}

static void check_warmup(Checker *checker)
{
    const Settings *settings = checker->settings;
    if (settings->warmup.steps > 0 && settings->warmup.epochs > 0)
        refuse(checker, "warmup", "epochs", "steps and epochs cannot both be given: remove one");
    bool on = settings->warmup.steps > 0 || settings->warmup.epochs > 0;
    static const char *const keys[] = {"batch_contexts", "learning_rate", "warmup_steps",
                                       "schedule"};
    for (int i = 0; i < 4; i++)
        expect_effect(checker, on, "warmup", keys[i], "neither warmup.steps nor warmup.epochs");
}

static void check_checkpoint(Checker *checker)
{
    const Settings *settings = checker->settings;
    int64_t every = settings->checkpoint.every, keep_every = settings->checkpoint.keep_every;
    const char *best = settings->checkpoint.keep_best;
    if (keep_every > 0 && (every == 0 || keep_every % every != 0))
        refuse(checker, "checkpoint", "keep_every", "must be a multiple of checkpoint.every, %lld",
               (long long)every);
    if (*best && strncmp(best, "val/", strlen("val/")) != 0)
        refuse(checker, "checkpoint", "keep_best",
               "%s is no metric of an evaluation: such are val/ave_total_reward, "
               "val/ave_total_decision, val/ave_continue_content",
               best);
    if (*best && (*settings->evaluate.file == 0 || settings->evaluate.every == 0))
        refuse(checker, "checkpoint", "keep_best",
               "needs evaluate.file, and evaluate.every greater than 0");
    if (settings->checkpoint.patience > 0 && *best == 0)
        refuse(checker, "checkpoint", "patience", "needs checkpoint.keep_best");
    if (settings->evaluate.every > 0 && *settings->evaluate.file == 0)
        refuse(checker, "evaluate", "every", "needs evaluate.file");
}

static void check_train(Checker *checker)
{
    const Settings *settings = checker->settings;
    require(checker, "train", "run", "directory", settings->run.directory);
    require(checker, "train", "model", "path", settings->model.path);
    require(checker, "train", "data", "train", settings->data.train);
    if (settings->algorithm.name == ALGORITHM_GRPO)
        check_grpo(checker);
    check_course(checker);
    check_warmup(checker);
    check_checkpoint(checker);
}

static void check_evaluate(Checker *checker)
{
    const Settings *settings = checker->settings;
    const Endpoint *policy = &settings->policy;
    if (*policy->url == 0)
        require(checker, "evaluate", "model", "path", settings->model.path);
    else
        require(checker, "policy.url", "policy", "name", policy->name);
    if (*policy->url && settings->rollout.workflow == WORKFLOW_REACT)
        refuse(checker, "rollout", "workflow", "a served policy answers in one completion: direct");
    require(checker, "evaluate", "evaluate", "file", settings->evaluate.file);
    if (*settings->evaluate.output &&
        strcmp(settings->evaluate.output, settings->evaluate.file) == 0)
        refuse(checker, "evaluate", "output", "would overwrite evaluate.file");
}

static void check_prepare(Checker *checker)
{
    const Settings *settings = checker->settings;
    const char *output = settings->prepare.output, *processed = settings->prepare.processed;
    require(checker, "prepare", "prepare", "input", settings->prepare.input);
    require(checker, "prepare", "prepare", "output", output);
    if (*output && strcmp(output, settings->prepare.input) == 0)
        refuse(checker, "prepare", "output", "would overwrite prepare.input");
    if (*processed &&
        (strcmp(processed, settings->prepare.input) == 0 || strcmp(processed, output) == 0))
        refuse(checker, "prepare", "processed", "would overwrite another file of [prepare]");
    check_asked(checker, "extractor", &settings->extractor, settings->prepare.extractor,
                "prepare.extractor", "none");
}

static void check_calibrate(Checker *checker)
{
    const Settings *settings = checker->settings;
    PromptTarget target = settings->calibrate.target;
    require(checker, "calibrate", "calibrate", "labels", settings->calibrate.labels);
    require(checker, "calibrate", "calibrate", "candidates", settings->calibrate.candidates);
    require(checker, "calibrate", "calibrate", "output", settings->calibrate.output);
    if (target == TARGET_POLICY)
        require(checker, "target = policy", "model", "path", settings->model.path);
    if (target == TARGET_JUDGE && settings->reward.judge == ASKED_NOBODY)
        refuse(checker, "reward", "judge", "the rule judge has no prompt: name model or served");
    if (target == TARGET_EXTRACTOR && settings->prepare.extractor == ASKED_NOBODY)
        refuse(checker, "prepare", "extractor", "nobody would be asked: name model or served");
    if (*settings->calibrate.output &&
        strcmp(settings->calibrate.output, settings->calibrate.labels) == 0)
        refuse(checker, "calibrate", "output", "would overwrite calibrate.labels");
    bool proposes = settings->calibrate.proposer != ASKED_NOBODY;
    if (settings->calibrate.proposals > 0 && !proposes)
        refuse(checker, "calibrate", "proposals", "needs a proposer");
    expect_effect(checker, settings->calibrate.proposals > 0, "calibrate", "proposer",
                  "calibrate.proposals = 0");
    check_asked(checker, "extractor", &settings->extractor, settings->prepare.extractor,
                "prepare.extractor", "none");
    check_asked(checker, "proposer", &settings->proposer, settings->calibrate.proposer,
                "calibrate.proposer", "none");
}

static void check_named(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool trains = *settings->data.train, evaluates = *settings->evaluate.file;
    bool prepares = *settings->prepare.input;
    if (trains)
        check_train(checker);
    if (evaluates)
        check_evaluate(checker);
    if (prepares)
        check_prepare(checker);
    if (!trains && !evaluates && !prepares)
        refuse(checker, "data", "train",
               "nothing to check: give data.train, evaluate.file or prepare.input");
}

int settings_check(const Settings *settings, Task task, Bytes *faults, Bytes *warnings)
{
    Checker checker = {.settings = settings,
                       .faults = faults_make("error", faults),
                       .warnings = faults_make("warning", warnings)};
    static void (*const checks[TASK_COUNT])(Checker *) = {[TASK_CHECK] = check_named,
                                                          [TASK_PREPARE] = check_prepare,
                                                          [TASK_TRAIN] = check_train,
                                                          [TASK_EVALUATE] = check_evaluate,
                                                          [TASK_CALIBRATE] = check_calibrate};
    check_model(&checker);
    check_parallel(&checker);
    static const char *const sought[] = {"judge", "extractor", NULL};
    if (task == TASK_CALIBRATE)
        checker.sought = sought[settings->calibrate.target];
    if (task != TASK_PREPARE) {
        check_workflow(&checker);
        check_judge(&checker);
    }
    checks[task](&checker);
    faults_finish(&checker.warnings, EXIT_BAD_SETTINGS);
    return faults_finish(&checker.faults, EXIT_BAD_SETTINGS);
}
