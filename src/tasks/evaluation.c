#include "tasks/evaluation.h"

#include <stdio.h>
#include <string.h>

#include "base/activity.h"
#include "base/clock.h"
#include "base/fail.h"
#include "tasks/served_policy.h"

enum { RESAMPLES = 1000 };

static int open_judge(Evaluation *evaluation, const Job *job)
{
    const Settings *settings = job->settings;
    const char *path = settings->evaluate.judge_training[0] ? settings->evaluate.judge_training
                                                            : settings->data.train;
    SampleSet training;
    if (!path[0])
        path = settings->evaluate.file;
    if (samples_read(&training, path, (SampleOptions){.skip_bad = settings->data.skip_bad}) != 0)
        return fail_context("the rule judge's weights");
    evaluation->judge = rule_judge_make(&training);
    evaluation->constant = best_constant_find(evaluation->judge, &training);
    evaluation->constant_content =
        best_constant_score(evaluation->judge, &evaluation->constant, &evaluation->dataset.set);
    samples_free(&training);
    return 0;
}

int evaluation_open(Evaluation *evaluation, const Job *job)
{
    const Settings *settings = job->settings;
    *evaluation = (Evaluation){0};
    DatasetOptions options = {.path = settings->evaluate.file,
                              .system_prompt = settings->data.system_prompt,
                              .tools = react_declarations(job->react),
                              .skip_bad = settings->data.skip_bad,
                              .max_prompt_tokens = settings->data.max_prompt_tokens};
    if (dataset_open(&evaluation->dataset, job->chat, options) != 0)
        return -1;
    if (open_judge(evaluation, job) != 0)
        return -1;
    schedule_make(
        &evaluation->schedule, &evaluation->dataset,
        (ScheduleOptions){.keep_sessions = true, .batch_contexts = evaluation->dataset.usable});
    schedule_all(&evaluation->schedule, settings->evaluate.contexts);
    return 0;
}

void evaluation_close(Evaluation *evaluation)
{
    schedule_free(&evaluation->schedule);
    rule_judge_free(evaluation->judge);
    dataset_close(&evaluation->dataset);
    *evaluation = (Evaluation){0};
}

static int64_t capacity_of(const Job *job)
{
    return react_capacity(job->react, job->settings->evaluate.max_response_tokens);
}

int64_t evaluation_positions(const Evaluation *evaluation, const Job *job)
{
    return evaluation->dataset.longest + capacity_of(job);
}

int64_t evaluation_slots(const Evaluation *evaluation, const Job *job)
{
    return rollout_slots(&evaluation->dataset, evaluation->schedule.parts,
                         evaluation->schedule.part_count, (int32_t)job->settings->evaluate.samples,
                         (int32_t)capacity_of(job));
}

static RolloutPlan plan_of(const Evaluation *evaluation, const Job *job, uint32_t step)
{
    const Settings *settings = job->settings;
    const Tokens none = {0}, *ends = job->served ? &none : chat_end_tokens(job->chat);
    return (RolloutPlan){
        .dataset = &evaluation->dataset,
        .rules = evaluation->judge,
        .reward = {.mode = MODE_RA_RS,
                   .fusion = FUSION_PRODUCT,
                   .trim_stop = settings->reward.trim_stop},
        .repeats = (int32_t)settings->evaluate.samples,
        .generation = {.temperature = settings->evaluate.temperature,
                       .top_p = settings->evaluate.top_p,
                       .top_k = (int32_t)settings->evaluate.top_k,
                       .repetition_penalty = settings->evaluate.repetition_penalty,
                       .max_response_tokens = (int32_t)settings->evaluate.max_response_tokens,
                       .end_tokens = ends->ids,
                       .end_token_count = ends->count,
                       .seed = (uint64_t)settings->run.seed,
                       .purpose = PURPOSE_EVALUATION,
                       .step = step},
        .judging = PURPOSE_EVALUATION_JUDGE,
    };
}

// What the expert said, scored on the rollout ranks; the others are told.
static void score_expert(Evaluation *evaluation, Job *job, EvaluationResult *result)
{
    TreeList expert = {0};
    double sums[2] = {0};
    activity_begin("scoring the experts");
    if (job->world.has[ROLE_ROLLOUT]) {
        for (int64_t p = 0; p < evaluation->schedule.part_count; p++) {
            Tree tree = session_tree_of_expert(
                &evaluation->dataset, job->chat, evaluation->schedule.parts[p],
                (int32_t)job->settings->evaluate.max_response_tokens);
            tree_list_add(&expert, &tree, p);
        }
        scorer_run(&job->scorer, expert.trees, expert.count, 1, &sums[0], &sums[1]);
    }
    group_broadcast(&job->world.all, sums, sizeof sums, job->world.first[ROLE_ROLLOUT]);
    result->expert_tokens = sums[1];
    result->expert_loss = sums[1] > 0 ? sums[0] / sums[1] : 0;
    tree_list_free(&expert);
}

static void append_whole(Bytes *out, const char *text)
{
    bytes_append(out, text, strlen(text) + 1);
}

void evaluation_identify(const Evaluation *evaluation, const Job *job, Bytes *out)
{
    const SampleSet *set = &evaluation->dataset.set;
    const char *system = evaluation->dataset.system_prompt;
    append_whole(out, system ? system : "");
    react_identify(job->react, out);
    grading_identify(job->grading, out);
    for (int64_t i = 0; i < set->count; i++) {
        const Sample *sample = &set->samples[i];
        append_whole(out, sample->cid);
        append_whole(out, sample->info_truth);
        bytes_append(out, &sample->truth, sizeof sample->truth);
        for (int64_t m = 0; m < sample->message_count; m++) {
            append_whole(out, sample->messages[m].role);
            append_whole(out, sample->messages[m].content);
        }
    }
    const StemWeights *weights = rule_judge_weights(evaluation->judge);
    StemFrequency *sorted = stem_weights_sorted(weights);
    bytes_append(out, sorted, weights->count * sizeof *sorted);
    bytes_append(out, &weights->documents, sizeof weights->documents);
    release(sorted);
}

// Which contexts have all their responses already.
static bool *find_known(const Evaluation *evaluation, const ResponseList *known, int32_t repeats)
{
    int64_t samples = evaluation->dataset.set.count;
    int32_t *counts = allocate((size_t)samples, sizeof *counts);
    bool *done = allocate((size_t)samples, sizeof *done);
    for (int64_t i = 0; i < known->count; i++)
        done[known->list[i].sample] = ++counts[known->list[i].sample] >= repeats;
    release(counts);
    return done;
}

static bool part_is_known(const SessionPart *part, const bool *known)
{
    for (int64_t i = 0; i < part->count; i++)
        if (!known[part->samples[i]])
            return false;
    return true;
}

// The parts from `*first` on that are still to be done, as many as make a window of contexts.
static SessionPart *next_window(const Evaluation *evaluation, const bool *known, int64_t *first,
                                bool whole, int64_t *count)
{
    enum { WINDOW = 128 }; // contexts between two looks at the journal
    const SessionSchedule *schedule = &evaluation->schedule;
    SessionPart *window = allocate((size_t)schedule->part_count, sizeof *window);
    int64_t contexts = 0;
    *count = 0;
    for (; *first < schedule->part_count && (whole || contexts < WINDOW); ++*first) {
        const SessionPart *part = &schedule->parts[*first];
        if (known && part_is_known(part, known))
            continue;
        window[(*count)++] = *part;
        contexts += part->count;
    }
    return window;
}

static int run_windows(Evaluation *evaluation, Job *job, const RolloutPlan *plan,
                       EvaluationJournal *journal, ResponseList *responses)
{
    const bool *known = journal ? find_known(evaluation, &journal->known, plan->repeats) : NULL;
    int status = 0;
    for (int64_t next = 0; status == 0 && next < evaluation->schedule.part_count;) {
        TreeList trees = {0};
        RolloutTimes times;
        int64_t count, before = responses->count;
        SessionPart *window = next_window(evaluation, known, &next, !journal, &count);
        if (count > 0)
            status = job->served ? served_policy_run(job, plan, window, count, &trees, &times)
                                 : rollout_run(job, plan, window, count, &trees, &times);
        if (status == 0)
            responses_add_trees(responses, &evaluation->dataset.set, &trees);
        if (status == 0 && journal)
            evaluation_journal_add(journal, responses, before);
        tree_list_free(&trees);
        release(window);
    }
    release((void *)known);
    return status;
}

int evaluation_sample(const Evaluation *evaluation, Job *job, uint32_t step,
                      const SessionPart *parts, int64_t count, ResponseList *responses)
{
    TreeList trees = {0};
    RolloutTimes times;
    RolloutPlan plan = plan_of(evaluation, job, step);
    int status = rollout_run(job, &plan, parts, count, &trees, &times);
    if (status == 0)
        responses_add_trees(responses, &evaluation->dataset.set, &trees);
    tree_list_free(&trees);
    return status;
}

static void measure(const Evaluation *evaluation, const Job *job, const ResponseList *responses,
                    EvaluationResult *result)
{
    double tokens = 0;
    for (int64_t i = 0; i < responses->count; i++) {
        result->failures += responses->list[i].failed;
        tokens += responses->list[i].tokens;
    }
    int64_t given = responses->count - result->failures;
    result->response_tokens = given > 0 ? tokens / (double)given : 0;
    result->scores = responses_score(responses, &evaluation->dataset.set, RESAMPLES,
                                     (uint64_t)job->settings->run.seed);
    result->scores.ungraded -= result->failures;
}

int evaluation_run(Evaluation *evaluation, Job *job, uint32_t step, EvaluationJournal *journal,
                   EvaluationResult *result, ResponseList *responses)
{
    ResponseList own = {0}, *all = responses ? responses : &own;
    double since = clock_now();
    RolloutPlan plan = plan_of(evaluation, job, step);
    *result = (EvaluationResult){0};
    if (journal)
        responses_copy(all, &journal->known);
    int status = run_windows(evaluation, job, &plan, journal, all);
    if (status == 0) {
        responses_sort(all);
        measure(evaluation, job, all, result);
        if (!job->served)
            score_expert(evaluation, job, result);
        result->seconds = clock_now() - since;
    }
    responses_free(&own);
    return status;
}

void evaluation_report(const EvaluationResult *result, Metrics *metrics)
{
    char name[64];
    for (int s = 0; s < SCORE_COUNT; s++) {
        snprintf(name, sizeof name, "val/%s", score_names[s]);
        if (result->scores.values[s].n > 0)
            metrics_set(metrics, name, result->scores.values[s].value);
    }
    metrics_set(metrics, "val/expert_loss", result->expert_loss);
    metrics_set(metrics, "val/response_length", result->response_tokens);
    metrics_set(metrics, "timing_s/evaluate", result->seconds);
}

void evaluation_print(const Evaluation *evaluation, const char *const *names,
                      const EvaluationResult *results, int count, Bytes *text)
{
    evaluation_result_print(names, results, count, text);
    bytes_append_text(text, "best constant question: \"");
    best_constant_text(&evaluation->constant, text);
    bytes_print(text, "\" scores content %.3f (%.3f on the training file)\n",
                evaluation->constant_content, evaluation->constant.score);
}
