#include "tasks/evaluation.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/fail.h"

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

int64_t evaluation_positions(const Evaluation *evaluation, const Settings *settings)
{
    return evaluation->dataset.longest + settings->evaluate.max_response_tokens;
}

int64_t evaluation_slots(const Evaluation *evaluation, const Settings *settings)
{
    return rollout_slots(&evaluation->dataset, evaluation->schedule.parts,
                         evaluation->schedule.part_count, (int32_t)settings->evaluate.samples,
                         (int32_t)settings->evaluate.max_response_tokens);
}

static RolloutPlan plan_of(const Evaluation *evaluation, const Job *job, uint32_t step)
{
    const Settings *settings = job->settings;
    const Tokens *ends = chat_end_tokens(job->chat);
    return (RolloutPlan){
        .dataset = &evaluation->dataset,
        .judge = evaluation->judge,
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
    };
}

static void score_trees(const Evaluation *evaluation, const Job *job, const TreeList *trees,
                        EvaluationResult *result)
{
    int64_t count = 0, tokens = 0;
    for (int64_t t = 0; t < trees->count; t++)
        count += trees->trees[t].branch_count;
    ScoreRow *rows = allocate((size_t)count, sizeof *rows);
    Bytes text = {0};
    count = 0;
    for (int64_t t = 0; t < trees->count; t++) {
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++) {
            const Branch *branch = &trees->trees[t].branches[b];
            rollout_text(job->tokenizer, branch, &text);
            rows[count++] = (ScoreRow){
                .session = trees->trees[t].session,
                .truth = evaluation->dataset.set.samples[branch->sample].truth,
                .stops = reward_stops(text.data, text.length),
                .grade = {(double)branch->decision, (double)branch->content, (double)branch->format,
                          (double)branch->reward, branch->graded != 0}};
            tokens += branch->count;
        }
    }
    result->scores = score_rows(rows, count, RESAMPLES, (uint64_t)job->settings->run.seed);
    result->response_tokens = count > 0 ? (double)tokens / (double)count : 0;
    bytes_free(&text);
    release(rows);
}

// What the expert said, scored on the rollout ranks; the others are told.
static void score_expert(Evaluation *evaluation, Job *job, EvaluationResult *result)
{
    TreeList expert = {0};
    double sums[2] = {0};
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

void evaluation_run(Evaluation *evaluation, Job *job, uint32_t step, EvaluationResult *result,
                    TreeList *trees)
{
    TreeList own = {0}, *all = trees ? trees : &own;
    RolloutTimes times;
    double since = clock_now();
    *result = (EvaluationResult){0};
    RolloutPlan plan = plan_of(evaluation, job, step);
    rollout_run(job, &plan, evaluation->schedule.parts, evaluation->schedule.part_count, all,
                &times);
    score_trees(evaluation, job, all, result);
    score_expert(evaluation, job, result);
    result->seconds = clock_now() - since;
    tree_list_free(&own);
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

static void print_value(Bytes *text, ScoreValue value)
{
    if (value.n == 0)
        bytes_print(text, "  %-21s", "n/a");
    else
        bytes_print(text, "  %5.3f [%5.3f, %5.3f]", value.value, value.low, value.high);
}

void evaluation_print(const Evaluation *evaluation, const char *const *names,
                      const EvaluationResult *results, int count, Bytes *text)
{
    bytes_print(text, "%-33s", "metric [95 % interval]");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %-21s", names[r]);
    bytes_append_text(text, "\n");
    for (int s = 0; s < SCORE_COUNT; s++) {
        bytes_print(text, "%-33s", score_names[s]);
        for (int r = 0; r < count; r++)
            print_value(text, results[r].scores.values[s]);
        bytes_append_text(text, "\n");
    }
    bytes_print(text, "%-33s", "expert_loss");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %-21.4f", results[r].expert_loss);
    bytes_print(text, "\n%-33s", "response tokens (mean)");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %-21.1f", results[r].response_tokens);
    bytes_print(text, "\n%-33s", "responses (ungraded)");
    for (int r = 0; r < count; r++)
        bytes_print(text, "  %lld (%lld)%*s", (long long)results[r].scores.rows,
                    (long long)results[r].scores.ungraded, 12, "");
    bytes_append_text(text, "\nbest constant question: \"");
    best_constant_text(&evaluation->constant, text);
    bytes_print(text, "\" scores content %.3f (%.3f on the training file)\n",
                evaluation->constant_content, evaluation->constant.score);
}
