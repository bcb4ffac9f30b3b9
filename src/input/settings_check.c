#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "input/settings_checker.h"
#include "input/settings_table.h"

static const SettingRow *row_of(const char *section, const char *key)
{
    const SettingRow *row = settings_find(section, key);
    CHECK(row, "%s.%s", section, key);
    return row;
}

bool checker_is_given(const Checker *checker, const char *section, const char *key)
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

void checker_refuse(Checker *checker, const char *section, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(checker, &checker->faults, section, key, format, arguments);
    va_end(arguments);
}

void checker_doubt(Checker *checker, const char *section, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(checker, &checker->warnings, section, key, format, arguments);
    va_end(arguments);
}

void checker_require(Checker *checker, const char *task, const char *section, const char *key,
                     const char *value)
{
    if (*value == 0)
        checker_refuse(checker, section, key, "must be given for %s", task);
}

// What the row would hold if nobody had given it.
static const char *default_text(const Settings *settings, const SettingRow *row)
{
    for (const OwnDefault *own = settings_own_defaults; own->key; own++)
        if (own->algorithm == settings->algorithm.name && strcmp(row->section, "algorithm") == 0 &&
            strcmp(row->key, own->key) == 0)
            return own->value;
    return row->initial;
}

// Nobody is told of a default without effect: a run.ini gives them all.
static bool is_default(const Settings *settings, const SettingRow *row)
{
    Settings other = {0};
    Bytes given = {0}, initial = {0};
    CHECK(setting_parse(row, default_text(settings, row), &other) == 0, "%s", fail_message());
    setting_print_quoted(row, settings, &given);
    setting_print_quoted(row, &other, &initial);
    bool same = strcmp(given.data, initial.data) == 0;
    bytes_free(&given);
    bytes_free(&initial);
    settings_free(&other);
    return same;
}

void checker_expect_effect(Checker *checker, bool has_effect, const char *section, const char *key,
                           const char *because)
{
    if (!has_effect && checker_is_given(checker, section, key) &&
        !is_default(checker->settings, row_of(section, key)))
        checker_doubt(checker, section, key, "has no effect with %s", because);
}

static void check_model(Checker *checker)
{
    const char *chat = checker->settings->model.chat;
    bool may_think = strcmp(chat, "auto") == 0 || strcmp(chat, "qwen3") == 0;
    if (checker->settings->model.thinking && !may_think)
        checker_doubt(checker, "model", "thinking", "has no effect with chat = %s", chat);
    if (checker->settings->model.products == PRODUCTS_NATIVE &&
        checker->settings->model.compute != COMPUTE_BF16)
        checker_refuse(checker, "model", "products", "native needs model.compute = bf16");
}

// The settings of who is asked: `section` holds them, `chooser` (say "reward.judge") chose `kind`.
static void check_asked(Checker *checker, const char *section, const Asked *asked, AskedKind kind,
                        const char *chooser, const char *nobody)
{
    static const char *const common[] = {"prompt",     "temperature", "top_p", "repetition_penalty",
                                         "max_tokens", "attempts",    NULL};
    static const char *const ours[] = {"path",
                                       "chat",
                                       "thinking",
                                       "compute",
                                       "cache_tokens",
                                       "max_prompt_tokens",
                                       "tensor_parallel",
                                       NULL};
    static const char *const theirs[] = {"url",     "name",    "key_variable", "in_flight",
                                         "timeout", "retries", "backoff",      NULL};
    static const char *const words[] = {[ASKED_MODEL] = "model", [ASKED_SERVED] = "served"};
    char because[64];
    snprintf(because, sizeof because, "%s = %s", chooser, kind ? words[kind] : nobody);
    for (int i = 0; common[i]; i++)
        checker_expect_effect(checker, kind != ASKED_NOBODY, section, common[i], because);
    for (int i = 0; ours[i]; i++)
        checker_expect_effect(checker, kind == ASKED_MODEL, section, ours[i], because);
    for (int i = 0; theirs[i]; i++)
        checker_expect_effect(checker, kind == ASKED_SERVED, section, theirs[i], because);
    bool seeks = checker->sought && strcmp(section, checker->sought) == 0;
    if (kind != ASKED_NOBODY && !seeks)
        checker_require(checker, because, section, "prompt", asked->prompt);
    if (kind == ASKED_MODEL)
        checker_require(checker, because, section, "path", asked->path);
    if (kind == ASKED_SERVED) {
        checker_require(checker, because, section, "url", asked->endpoint.url);
        checker_require(checker, because, section, "name", asked->endpoint.name);
    }
    bool may_think = strcmp(asked->chat, "auto") == 0 || strcmp(asked->chat, "qwen3") == 0;
    if (asked->thinking && !may_think)
        checker_doubt(checker, section, "thinking", "has no effect with chat = %s", asked->chat);
}

static void check_judge(Checker *checker)
{
    const Settings *settings = checker->settings;
    AskedKind judge = settings->reward.judge;
    check_asked(checker, "judge", &settings->judge, judge, "reward.judge", "rule");
    checker_expect_effect(checker, judge != ASKED_NOBODY, "reward", "unusable_is_zero",
                          "reward.judge = rule");
    if (settings->parallel.placement == PLACEMENT_SPLIT && settings->parallel.grader_ranks > 0 &&
        judge != ASKED_MODEL)
        checker_refuse(checker, "parallel", "grader_ranks",
                       "grader ranks have nothing to do: reward.judge = %s",
                       judge == ASKED_SERVED ? "served" : "rule");
}

static void check_parallel(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool split = settings->parallel.placement == PLACEMENT_SPLIT;
    if (split && settings->parallel.learner_ranks == 0)
        checker_refuse(checker, "parallel", "learner_ranks", "placement = split needs at least 1");
    if (split && settings->parallel.rollout_ranks == 0)
        checker_refuse(checker, "parallel", "rollout_ranks", "placement = split needs at least 1");
    int64_t together = settings_shard_group(settings);
    if (together == SHARD_GROUP_BAD)
        checker_refuse(checker, "parallel", "shard_group",
                       "expected all, node, or a number of ranks");
    else if (split && together > 0 && settings->parallel.learner_ranks % together != 0)
        checker_refuse(checker, "parallel", "shard_group", "must divide learner_ranks, %lld",
                       (long long)settings->parallel.learner_ranks);
    static const char *const keys[] = {"learner_ranks", "rollout_ranks", "grader_ranks"};
    for (int i = 0; i < 3; i++)
        checker_expect_effect(checker, split, "parallel", keys[i], "placement = shared");
}

// Engines are whole: of shared ranks a start finds out.
static void check_engines(Checker *checker)
{
    const Settings *settings = checker->settings;
    int64_t rollouts = settings->parallel.rollout_ranks, own = settings->parallel.grader_ranks;
    int64_t graders = own > 0 ? own : rollouts;
    if (settings->parallel.placement != PLACEMENT_SPLIT)
        return;
    if (rollouts % settings->rollout.tensor_parallel != 0)
        checker_refuse(checker, "rollout", "tensor_parallel",
                       "must divide parallel.rollout_ranks, %lld", (long long)rollouts);
    if (settings->reward.judge == ASKED_MODEL && graders % settings->judge.tensor_parallel != 0)
        checker_refuse(checker, "judge", "tensor_parallel", "must divide parallel.%s, %lld",
                       own > 0 ? "grader_ranks" : "rollout_ranks", (long long)graders);
}

static void check_workflow(Checker *checker)
{
    const Settings *settings = checker->settings;
    static const char *const keys[] = {"tools", "max_iterations", "max_observation_tokens",
                                       "summary_prompt"};
    bool react = settings->rollout.workflow == WORKFLOW_REACT;
    for (int i = 0; i < 4; i++)
        checker_expect_effect(checker, react, "react", keys[i], "rollout.workflow = direct");
    bool tools = *settings->react.tools;
    for (int i = 1; i < 4 && react; i++)
        checker_expect_effect(checker, tools, "react", keys[i], "no react.tools");
    if (react && tools)
        checker_require(checker, "tools", "react", "summary_prompt",
                        settings->react.summary_prompt);
}

static void check_evaluate(Checker *checker)
{
    const Settings *settings = checker->settings;
    const Endpoint *policy = &settings->policy;
    if (*policy->url == 0)
        checker_require(checker, "evaluate", "model", "path", settings->model.path);
    else
        checker_require(checker, "policy.url", "policy", "name", policy->name);
    if (*policy->url && settings->rollout.workflow == WORKFLOW_REACT)
        checker_refuse(checker, "rollout", "workflow",
                       "a served policy answers in one completion: direct");
    checker_require(checker, "evaluate", "evaluate", "file", settings->evaluate.file);
    if (*settings->evaluate.output &&
        strcmp(settings->evaluate.output, settings->evaluate.file) == 0)
        checker_refuse(checker, "evaluate", "output", "would overwrite evaluate.file");
}

static void check_prepare(Checker *checker)
{
    const Settings *settings = checker->settings;
    const char *output = settings->prepare.output, *processed = settings->prepare.processed;
    checker_require(checker, "prepare", "prepare", "input", settings->prepare.input);
    checker_require(checker, "prepare", "prepare", "output", output);
    if (*output && strcmp(output, settings->prepare.input) == 0)
        checker_refuse(checker, "prepare", "output", "would overwrite prepare.input");
    if (*processed &&
        (strcmp(processed, settings->prepare.input) == 0 || strcmp(processed, output) == 0))
        checker_refuse(checker, "prepare", "processed",
                       "would overwrite another file of [prepare]");
    check_asked(checker, "extractor", &settings->extractor, settings->prepare.extractor,
                "prepare.extractor", "none");
}

static void check_calibrate(Checker *checker)
{
    const Settings *settings = checker->settings;
    PromptTarget target = settings->calibrate.target;
    checker_require(checker, "calibrate", "calibrate", "labels", settings->calibrate.labels);
    checker_require(checker, "calibrate", "calibrate", "candidates",
                    settings->calibrate.candidates);
    checker_require(checker, "calibrate", "calibrate", "output", settings->calibrate.output);
    if (target == TARGET_POLICY)
        checker_require(checker, "target = policy", "model", "path", settings->model.path);
    if (target == TARGET_JUDGE && settings->reward.judge == ASKED_NOBODY)
        checker_refuse(checker, "reward", "judge",
                       "the rule judge has no prompt: name model or served");
    if (target == TARGET_EXTRACTOR && settings->prepare.extractor == ASKED_NOBODY)
        checker_refuse(checker, "prepare", "extractor",
                       "nobody would be asked: name model or served");
    if (*settings->calibrate.output &&
        strcmp(settings->calibrate.output, settings->calibrate.labels) == 0)
        checker_refuse(checker, "calibrate", "output", "would overwrite calibrate.labels");
    bool proposes = settings->calibrate.proposer != ASKED_NOBODY;
    if (settings->calibrate.proposals > 0 && !proposes)
        checker_refuse(checker, "calibrate", "proposals", "needs a proposer");
    checker_expect_effect(checker, settings->calibrate.proposals > 0, "calibrate", "proposer",
                          "calibrate.proposals = 0");
    check_asked(checker, "extractor", &settings->extractor, settings->prepare.extractor,
                "prepare.extractor", "none");
    check_asked(checker, "proposer", &settings->proposer, settings->calibrate.proposer,
                "calibrate.proposer", "none");
}

static void check_chat(Checker *checker)
{
    checker_require(checker, "chat", "model", "path", checker->settings->model.path);
}

static void check_named(Checker *checker)
{
    const Settings *settings = checker->settings;
    bool trains = *settings->data.train, evaluates = *settings->evaluate.file;
    bool prepares = *settings->prepare.input;
    if (trains)
        checker_train(checker);
    if (evaluates)
        check_evaluate(checker);
    if (prepares)
        check_prepare(checker);
    if (!trains && !evaluates && !prepares)
        checker_refuse(checker, "data", "train",
                       "nothing to check: give data.train, evaluate.file or prepare.input");
}

static void check_gpus(Checker *checker)
{
    double sizes[CHECK_GPUS];
    if (settings_gpus(checker->settings, sizes) < 0)
        checker_refuse(checker, "check", "gpus",
                       "expected up to %d numbers of GB in a list with commas, such as 24,80",
                       CHECK_GPUS);
}

int settings_check(const Settings *settings, Task task, Bytes *faults, Bytes *warnings)
{
    Checker checker = {.settings = settings,
                       .faults = faults_make("error", faults),
                       .warnings = faults_make("warning", warnings)};
    static void (*const checks[TASK_COUNT])(Checker *) = {
        [TASK_CHECK] = check_named,       [TASK_JOB] = checker_train,
        [TASK_PREPARE] = check_prepare,   [TASK_TRAIN] = checker_train,
        [TASK_EVALUATE] = check_evaluate, [TASK_CALIBRATE] = check_calibrate,
        [TASK_CHAT] = check_chat};
    check_model(&checker);
    check_gpus(&checker);
    check_parallel(&checker);
    check_engines(&checker);
    static const char *const sought[] = {"judge", "extractor", NULL};
    if (task == TASK_CALIBRATE)
        checker.sought = sought[settings->calibrate.target];
    if (task != TASK_PREPARE && task != TASK_CHAT) {
        check_workflow(&checker);
        check_judge(&checker);
    }
    checks[task](&checker);
    faults_finish(&checker.warnings, EXIT_BAD_SETTINGS);
    return faults_finish(&checker.faults, EXIT_BAD_SETTINGS);
}
