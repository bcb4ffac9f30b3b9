// What no single value shows: needs of a task, contradictions, and what is seldom meant.

#include "tests/input/settings_testing.h"

#include <stdio.h>

// The faults and warnings of `text` for `task`, one after the other. To be freed.
static Bytes check(Task task, const char *text, int *status)
{
    Settings settings;
    expect_settings(&settings, text);
    Bytes said = {0}, warnings = {0};
    bytes_append_text(&said, "");
    *status = settings_check(&settings, task, &said, &warnings);
    if (warnings.length)
        bytes_append_text(&said, warnings.data);
    bytes_free(&warnings);
    settings_free(&settings);
    return said;
}

static void expect(Task task, const char *text, const char *line)
{
    int status;
    Bytes said = check(task, text, &status);
    assert_int_equal(status, strncmp(line, "error", 5) == 0 ? -1 : 0);
    if (status)
        assert_int_equal(fail_code(), EXIT_BAD_SETTINGS);
    if (!strstr(said.data, line))
        fail_msg("expected:\n%s\nfound:\n%s", line, said.data);
    bytes_free(&said);
}

static void expect_silence(Task task, const char *text)
{
    int status;
    Bytes said = check(task, text, &status);
    assert_int_equal(status, 0);
    assert_string_equal(said.data, "");
    bytes_free(&said);
}

#define TRAIN "[run]\ndirectory = r\n[model]\npath = m\n[data]\ntrain = t\n" // 6 lines

static void a_minimal_file_of_each_task_passes_in_silence(void **state)
{
    (void)state;
    expect_silence(TASK_TRAIN, TRAIN);
    expect_silence(TASK_CHECK, TRAIN);
    expect_silence(TASK_EVALUATE, "[model]\npath = m\n[evaluate]\nfile = f\n");
    expect_silence(TASK_PREPARE, "[prepare]\ninput = i\noutput = o\n");
}

static void a_task_names_the_files_that_it_misses(void **state)
{
    (void)state;
    expect(TASK_TRAIN, "", "error: run.ini: run.directory: must be given for train\n");
    expect(TASK_TRAIN, "", "error: run.ini: model.path: must be given for train\n");
    expect(TASK_TRAIN, "[data]\ntrain =\n", "error: run.ini:2: data.train: must be given for");
    expect(TASK_EVALUATE, "", "error: run.ini: evaluate.file: must be given for evaluate\n");
    expect(TASK_PREPARE, "", "error: run.ini: prepare.output: must be given for prepare\n");
    expect(TASK_CHECK, "", "error: run.ini: data.train: nothing to check: give data.train, ");
    expect(TASK_CHECK, "[data]\ntrain = t\n", "error: run.ini: model.path: must be given");
}

static void training_refuses_truncated_sampling_unless_allowed(void **state)
{
    (void)state;
    const char *reason = "changes the distribution that the loss assumes: remove it, or set "
                         "rollout.allow_truncated = yes";
    static const char *const lines[] = {"top_p = 0.9", "top_k = 40", "repetition_penalty = 1.1"};
    for (int i = 0; i < 3; i++) {
        char text[200], line[200];
        snprintf(text, sizeof text, TRAIN "[rollout]\n%s\n", lines[i]);
        snprintf(line, sizeof line, "error: run.ini:8: rollout.%.*s: %s\n",
                 (int)strcspn(lines[i], " "), lines[i], reason);
        expect(TASK_TRAIN, text, line);
        snprintf(text, sizeof text, TRAIN "[rollout]\n%s\nallow_truncated = yes\n", lines[i]);
        expect_silence(TASK_TRAIN, text);
        snprintf(text, sizeof text, TRAIN "[algorithm]\nname = sft\n[rollout]\n%s\n", lines[i]);
        expect_silence(TASK_TRAIN, text);
    }
}

static void split_placement_needs_ranks(void **state)
{
    (void)state;
    const char *text = TRAIN "[parallel]\nplacement = split\nlearner_ranks = 1\n";
    expect(TASK_TRAIN, text,
           "error: run.ini: parallel.rollout_ranks: placement = split needs at least 1\n");
    expect(TASK_EVALUATE, "[parallel]\nplacement = split\n",
           "error: run.ini: parallel.learner_ranks: placement = split needs at least 1\n");
    expect_silence(TASK_TRAIN, TRAIN "[parallel]\nplacement = split\nlearner_ranks = 1\n"
                                     "rollout_ranks = 1\n");
    expect(TASK_TRAIN, TRAIN "[parallel]\nlearner_ranks = 1\n",
           "warning: run.ini:8: parallel.learner_ranks: has no effect with placement = shared\n");
}

static void engines_divide_their_ranks(void **state)
{
    (void)state;
#define SPLIT "[parallel]\nplacement = split\nlearner_ranks = 1\nrollout_ranks = 3\n"
    expect(TASK_TRAIN, TRAIN SPLIT "[rollout]\ntensor_parallel = 2\n",
           "error: run.ini:12: rollout.tensor_parallel: must divide parallel.rollout_ranks, 3\n");
    expect(
        TASK_TRAIN, TRAIN SPLIT "[rollout]\ntensor_parallel = 3\n",
        "warning: run.ini:12: rollout.tensor_parallel: sampler and learner then add in different "
        "orders: ");
    expect(TASK_TRAIN,
           TRAIN SPLIT "[reward]\njudge = model\n[judge]\nprompt = p\npath = q\n"
                       "tensor_parallel = 2\n",
           "error: run.ini:16: judge.tensor_parallel: must divide parallel.rollout_ranks, 3\n");
    expect(TASK_TRAIN,
           TRAIN SPLIT "grader_ranks = 4\n[reward]\njudge = model\n[judge]\nprompt = p\n"
                       "path = q\ntensor_parallel = 3\n",
           "error: run.ini:17: judge.tensor_parallel: must divide parallel.grader_ranks, 4\n");
    expect(TASK_TRAIN, TRAIN "[judge]\ntensor_parallel = 2\n",
           "warning: run.ini:8: judge.tensor_parallel: has no effect with reward.judge = rule\n");
    expect_silence(TASK_TRAIN, TRAIN "[algorithm]\nname = sft\n[rollout]\ntensor_parallel = 2\n");
#undef SPLIT
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    expect(TASK_TRAIN, TRAIN "[warmup]\nsteps = 1\nepochs = 1\n",
           "error: run.ini:9: warmup.epochs: steps and epochs cannot both be given");
    expect(TASK_TRAIN, TRAIN "[checkpoint]\nkeep_every = 75\n",
           "error: run.ini:8: checkpoint.keep_every: must be a multiple of checkpoint.every, 50");
    expect(TASK_TRAIN, TRAIN "[checkpoint]\nevery = 0\nkeep_every = 75\n",
           "error: run.ini:9: checkpoint.keep_every: must be a multiple");
    expect(TASK_TRAIN, TRAIN "[checkpoint]\nkeep_best = reward\n",
           "error: run.ini:8: checkpoint.keep_best: reward is no metric of an evaluation");
    expect(TASK_TRAIN, TRAIN "[checkpoint]\nkeep_best = val/ave_total_reward\n",
           "error: run.ini:8: checkpoint.keep_best: needs evaluate.file, and evaluate.every");
    expect(TASK_TRAIN, TRAIN "[checkpoint]\npatience = 3\n",
           "error: run.ini:8: checkpoint.patience: needs checkpoint.keep_best");
    expect(TASK_TRAIN, TRAIN "[evaluate]\nevery = 3\n",
           "error: run.ini:8: evaluate.every: needs evaluate.file");
    expect(TASK_TRAIN, TRAIN "[check]\ngpus = 24,x\n",
           "error: run.ini:8: check.gpus: expected up to 4 numbers of GB in a list with commas");
    expect_silence(TASK_TRAIN, TRAIN "[evaluate]\nevery = 3\nfile = f\n[checkpoint]\n"
                                     "keep_best = val/ave_total_reward\npatience = 3\n"
                                     "keep_every = 100\n");
}

static void adapters_name_layers_that_there_are(void **state)
{
    (void)state;
    expect_silence(TASK_TRAIN, TRAIN "[adapter]\nrank = 8\nalpha = 16\n"
                                     "targets = v_proj , q_proj,down_proj\n");
    expect(TASK_TRAIN, TRAIN "[adapter]\nrank = 8\ntargets = q_proj,k\n",
           "error: run.ini:9: adapter.targets: 'k' is no linear layer: q_proj, k_proj, ");
    expect(TASK_TRAIN, TRAIN "[adapter]\nrank = 8\ntargets = q_proj,\n",
           "error: run.ini:9: adapter.targets: '' is no linear layer");
    expect(TASK_TRAIN, TRAIN "[adapter]\nrank = 8\ntargets = q_proj,v_proj,q_proj\n",
           "error: run.ini:9: adapter.targets: q_proj is named twice\n");
    expect(TASK_TRAIN, TRAIN "[adapter]\nrank = 8\ntargets = q_proj v_proj\n",
           "error: run.ini:9: adapter.targets: a comma is missing before 'v_proj'\n");
    expect(TASK_TRAIN, TRAIN "[adapter]\nalpha = 8\n",
           "warning: run.ini:8: adapter.alpha: has no effect with adapter.rank = 0\n");
    expect(TASK_TRAIN,
           "[run]\ndirectory = r\n[data]\ntrain = t\n[model]\npath = m\nrandom = yes\n"
           "[adapter]\nrank = 8\n",
           "error: run.ini:9: adapter.rank: an adapter beside frozen random weights");
}

static void no_task_overwrites_what_it_reads(void **state)
{
    (void)state;
    expect(TASK_PREPARE, "[prepare]\ninput = a\noutput = a\n",
           "error: run.ini:3: prepare.output: would overwrite prepare.input\n");
    expect(TASK_PREPARE, "[prepare]\ninput = a\noutput = b\nprocessed = b\n",
           "error: run.ini:4: prepare.processed: would overwrite another file of [prepare]\n");
    expect(TASK_EVALUATE, "[model]\npath = m\n[evaluate]\nfile = f\noutput = f\n",
           "error: run.ini:5: evaluate.output: would overwrite evaluate.file\n");
}

static void who_is_asked_must_be_named(void **state)
{
    (void)state;
    const char *served = TRAIN "[reward]\njudge = served\n";
    expect(TASK_TRAIN, served,
           "error: run.ini: judge.url: must be given for reward.judge = served\n");
    expect(TASK_TRAIN, served,
           "error: run.ini: judge.name: must be given for reward.judge = served\n");
    expect(TASK_TRAIN, served,
           "error: run.ini: judge.prompt: must be given for reward.judge = served\n");
    expect_silence(TASK_TRAIN, TRAIN "[reward]\njudge = served\n[judge]\nurl = http://h/v1\n"
                                     "name = n\nprompt = p\n");
    expect(TASK_TRAIN, TRAIN "[reward]\njudge = model\n[judge]\nprompt = p\nurl = http://h\n",
           "error: run.ini: judge.path: must be given for reward.judge = model\n");
    expect(TASK_TRAIN,
           TRAIN "[reward]\njudge = model\n[judge]\nprompt = p\npath = q\n"
                 "url = http://h\n",
           "warning: run.ini:12: judge.url: has no effect with reward.judge = model\n");
    expect(TASK_TRAIN, TRAIN "[judge]\npath = m\n",
           "warning: run.ini:8: judge.path: has no effect with reward.judge = rule\n");
    expect(TASK_TRAIN,
           TRAIN "[parallel]\nplacement = split\nlearner_ranks = 1\n"
                 "rollout_ranks = 1\ngrader_ranks = 1\n",
           "error: run.ini:11: parallel.grader_ranks: grader ranks have nothing to do: "
           "reward.judge = rule\n");
    expect(TASK_PREPARE, "[prepare]\ninput = i\noutput = o\nextractor = model\n",
           "error: run.ini: extractor.path: must be given for prepare.extractor = model\n");
    expect(TASK_EVALUATE, "[evaluate]\nfile = f\n[policy]\nurl = http://h/v1\n",
           "error: run.ini: policy.name: must be given for policy.url\n");
    expect_silence(TASK_EVALUATE, "[evaluate]\nfile = f\n[policy]\nurl = http://h/v1\nname = n\n");
}

static void tools_need_their_loop(void **state)
{
    (void)state;
    expect(TASK_TRAIN, TRAIN "[react]\ntools = t\n",
           "warning: run.ini:8: react.tools: has no effect with rollout.workflow = direct\n");
    expect(TASK_TRAIN, TRAIN "[rollout]\nworkflow = react\n[react]\ntools = t\n",
           "error: run.ini: react.summary_prompt: must be given for tools\n");
    expect(TASK_EVALUATE,
           "[evaluate]\nfile = f\n[policy]\nurl = http://h/v1\nname = n\n"
           "[rollout]\nworkflow = react\n",
           "error: run.ini:7: rollout.workflow: a served policy answers in one completion");
}

static void a_calibration_needs_somebody_whose_prompt_it_seeks(void **state)
{
    (void)state;
    const char *files = "[calibrate]\nlabels = l\ncandidates = c\noutput = o\n";
    expect(TASK_CALIBRATE, "", "error: run.ini: calibrate.labels: must be given for calibrate\n");
    expect(TASK_CALIBRATE, files, "error: run.ini: reward.judge: the rule judge has no prompt");
    expect_silence(TASK_CALIBRATE, "[calibrate]\nlabels = l\ncandidates = c\noutput = o\n[reward]\n"
                                   "judge = model\n[judge]\npath = m\n");
    expect(TASK_CALIBRATE, "[calibrate]\nlabels = l\ncandidates = c\noutput = l\n",
           "error: run.ini:4: calibrate.output: would overwrite calibrate.labels\n");
    expect(TASK_CALIBRATE,
           "[calibrate]\nlabels = l\ncandidates = c\noutput = o\ntarget = policy\n"
           "proposals = 2\n[model]\npath = m\n",
           "error: run.ini:6: calibrate.proposals: needs a proposer\n");
}

static void what_is_seldom_meant_is_said(void **state)
{
    (void)state;
    expect(TASK_TRAIN, TRAIN "[algorithm]\nkl_estimator = k1\n",
           "warning: run.ini:8: algorithm.kl_estimator: k1 has no mean gradient");
    expect_silence(TASK_TRAIN, TRAIN "[algorithm]\nkl_estimator = k1\nkl_coefficient = 0\n");
    expect(TASK_TRAIN, TRAIN "[algorithm]\nkl_estimator = none\nkl_coefficient = 1\n",
           "warning: run.ini:9: algorithm.kl_coefficient: has no effect with kl_estimator = none");
    expect(TASK_TRAIN, TRAIN "[rollout]\ngroup_size = 1\n", "rollout.group_size: a group of one");
    expect(TASK_TRAIN, TRAIN "[rollout]\nforced_length = yes\n", "forced_length: for benchmarks");
    expect(TASK_TRAIN, TRAIN "[reward]\npermute = yes\n", "permute: control experiment");
    expect(TASK_TRAIN, TRAIN "[reward]\nmode = Ra\nfusion = sum\n",
           "reward.fusion: has no effect with a mode other than Ra+Rs");
    expect(TASK_TRAIN, TRAIN "[train]\nsteps = 9\nepochs = 2\n",
           "train.epochs: has no effect with train.steps given");
    expect(TASK_TRAIN, TRAIN "[optimizer]\nmin_ratio = 0.1\n",
           "optimizer.min_ratio: has no effect with schedule = constant");
    expect(TASK_TRAIN, TRAIN "[train]\nsteps = 9\n[optimizer]\nwarmup_steps = 9\n",
           "optimizer.warmup_steps: the learning rate is never reached in 9 steps");
    expect(TASK_TRAIN, TRAIN "[warmup]\nlearning_rate = 1\n",
           "warmup.learning_rate: has no effect with neither warmup.steps nor warmup.epochs");
    expect(TASK_TRAIN, TRAIN "[parallel]\nbackend = cpu\n[optimizer]\nmemory = host\n",
           "optimizer.memory: has no effect with parallel.backend = cpu");
    expect(TASK_TRAIN, TRAIN "[parallel]\nmicro_batch_tokens = 3000\n",
           "parallel.micro_batch_tokens: a context and its response may hold 3072 tokens");
    expect(TASK_EVALUATE,
           "[model]\npath = m\nthinking = yes\nchat = chatml\n[evaluate]\nfile = f\n",
           "warning: run.ini:3: model.thinking: has no effect with chat = chatml");
}

static void the_place_of_an_override_is_its_name(void **state)
{
    (void)state;
    Settings settings;
    const char *override = "warmup.epochs=1", *text = TRAIN "[warmup]\nsteps = 1\n";
    Bytes faults = {0};
    int status = settings_read_text(&settings, text, strlen(text), "run.ini", &override, 1, NULL);
    assert_int_equal(status, 0);
    assert_int_equal(settings_check(&settings, TASK_TRAIN, &faults, NULL), -1);
    assert_non_null(strstr(faults.data, "error: --set warmup.epochs: warmup.epochs: steps and"));
    bytes_free(&faults);
    settings_free(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_file_of_each_task_passes_in_silence),
        cmocka_unit_test(a_task_names_the_files_that_it_misses),
        cmocka_unit_test(training_refuses_truncated_sampling_unless_allowed),
        cmocka_unit_test(split_placement_needs_ranks),
        cmocka_unit_test(engines_divide_their_ranks),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(adapters_name_layers_that_there_are),
        cmocka_unit_test(no_task_overwrites_what_it_reads),
        cmocka_unit_test(who_is_asked_must_be_named),
        cmocka_unit_test(tools_need_their_loop),
        cmocka_unit_test(a_calibration_needs_somebody_whose_prompt_it_seeks),
        cmocka_unit_test(what_is_seldom_meant_is_said),
        cmocka_unit_test(the_place_of_an_override_is_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
