// evaluate.c - a Hugging Face directory, a checkpoint or a run: roll out, grade, print the table.

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "files/atomic.h"
#include "input/jsonl.h"
#include "input/utf8.h"
#include "tasks/sizes.h"
#include "tasks/tasks.h"

static void append_line(const Evaluation *evaluation, const Job *job, const Branch *branch,
                        Bytes *text, Bytes *out)
{
    const Sample *sample = &evaluation->dataset.set.samples[branch->sample];
    Bytes repaired = {0};
    rollout_text(job->tokenizer, branch, text);
    bytes_append(&repaired, "", 0);
    utf8_append_repaired(&repaired, text->data, text->length);
    bytes_append_text(out, "{\"cid\": ");
    jsonl_append_string(out, sample->cid);
    bytes_print(out, ", \"repeat\": %d, \"decision_truth\": \"%s\", \"response\": ", branch->repeat,
                truth_name(sample->truth));
    jsonl_append_string(out, repaired.data);
    bytes_print(out, ", \"decision\": %g, \"content\": %g, \"format\": %g, \"graded\": %s}\n",
                (double)branch->decision, (double)branch->content, (double)branch->format,
                branch->graded ? "true" : "false");
    bytes_free(&repaired);
}

// One line a response, in the order of the file.
static int write_responses(const Evaluation *evaluation, const Job *job, const TreeList *trees)
{
    const char *path = job->settings->evaluate.output;
    if (!path[0] || job->world.all.rank != 0)
        return 0;
    Bytes out = {0}, text = {0};
    for (int64_t t = 0; t < trees->count; t++)
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++)
            append_line(evaluation, job, &trees->trees[t].branches[b], &text, &out);
    int status = atomic_write_file(path, out.data ? out.data : "", out.length);
    bytes_free(&out);
    bytes_free(&text);
    return status;
}

static int load_engine(Job *job)
{
    float *values = job->kernels->memory_make((size_t)job->parameters.local * sizeof *values);
    int status = job_load_weights(job, values);
    if (status == 0)
        exchange_weights(&job->world, job->collective, &job->parameters, values, job->staging,
                         job->weights);
    job->kernels->memory_free(values);
    return status;
}

static void print_head(const Evaluation *evaluation, const Job *job)
{
    const Settings *settings = job->settings;
    const Dataset *dataset = &evaluation->dataset;
    printf("model %s%s%s\nfile %s: %lld sessions, %lld contexts used, %lld too long\n"
           "sampling temperature %g, top_p %g, top_k %lld, repetition penalty %g, at most %lld "
           "tokens, %lld responses a context, seed %lld, rule judge\n",
           settings->model.path, job->checkpoint ? ", checkpoint " : "",
           job->checkpoint ? job->checkpoint : "", settings->evaluate.file,
           (long long)dataset->set.session_count, (long long)dataset->usable,
           (long long)dataset->too_long, settings->evaluate.temperature, settings->evaluate.top_p,
           (long long)settings->evaluate.top_k, settings->evaluate.repetition_penalty,
           (long long)settings->evaluate.max_response_tokens, (long long)settings->evaluate.samples,
           (long long)settings->run.seed);
}

static int run_evaluation(Job *job, Evaluation *evaluation)
{
    TreeList trees = {0};
    EvaluationResult result;
    if (load_engine(job) != 0)
        return -1;
    if (job->world.all.rank == 0)
        print_head(evaluation, job);
    evaluation_run(evaluation, job, 0, &result, &trees);
    int status = group_agree(&job->world.all, write_responses(evaluation, job, &trees));
    if (job->world.all.rank == 0) {
        const char *name = "model";
        Bytes text = {0};
        evaluation_print(evaluation, &name, &result, 1, &text);
        printf("%s%.1f s\n", text.data, result.seconds);
        bytes_free(&text);
    }
    tree_list_free(&trees);
    return status;
}

int task_evaluate(const Settings *settings)
{
    Job job;
    Evaluation evaluation = {0};
    int status = job_open(&job, settings, false);
    if (status == 0)
        status = group_agree(&job.world.all, evaluation_open(&evaluation, &job));
    if (status == 0)
        status = group_agree(
            &job.world.all,
            job_build(&job, sizes_of(settings, NULL, &evaluation, job.world.count[ROLE_ROLLOUT])));
    if (status == 0)
        status = run_evaluation(&job, &evaluation);
    evaluation_close(&evaluation);
    job_close(&job);
    return status != 0 ? (int)fail_code() : EXIT_DONE;
}
