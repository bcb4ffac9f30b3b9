// evaluate.c - a Hugging Face directory, a checkpoint, a run or a served model: roll out, grade,
// print the table; beside it that of a baseline.

#include <stdio.h>

#include "base/fail.h"
#include "files/atomic.h"
#include "input/jsonl.h"
#include "parallel/watchdog.h"
#include "tasks/sizes.h"
#include "tasks/tasks.h"

enum { MODELS = 2 };

// What was measured of one model.
typedef struct {
    const char *name;
    EvaluationResult result;
    ResponseList responses;
} Measured;

static void print_head(const Evaluation *evaluation, const Job *job, int64_t known)
{
    const Settings *settings = job->settings;
    const Dataset *dataset = &evaluation->dataset;
    Bytes judge = {0};
    grading_describe(job->grading, &judge);
    if (job->served)
        printf("model %s at %s\n", settings->policy.name, settings->policy.url);
    else
        printf("model %s%s%s\n", settings->model.path, job->checkpoint ? ", checkpoint " : "",
               job->checkpoint ? job->checkpoint : "");
    printf("file %s: %lld sessions, %lld contexts used, %lld too long\n"
           "sampling temperature %g, top_p %g, top_k %lld, repetition penalty %g, at most %lld "
           "tokens, %lld responses a context, seed %lld, judge: %s\n",
           settings->evaluate.file, (long long)dataset->set.session_count,
           (long long)dataset->usable, (long long)dataset->too_long, settings->evaluate.temperature,
           settings->evaluate.top_p, (long long)settings->evaluate.top_k,
           settings->evaluate.repetition_penalty, (long long)settings->evaluate.max_response_tokens,
           (long long)settings->evaluate.samples, (long long)settings->run.seed, judge.data);
    if (known > 0)
        printf("going on behind %lld responses of an earlier start\n", (long long)known);
    fflush(stdout);
    bytes_free(&judge);
}

static int run_model(Job *job, Evaluation *evaluation, int number, Measured *measured)
{
    EvaluationJournal journal = {0};
    bool keeps = job->settings->evaluate.output[0] != 0;
    uint64_t checksum = 0;
    int status = job->served ? 0 : job_load_engine(job, &checksum);
    if (status == 0 && keeps) {
        Bytes identity = {0};
        evaluation_identify(evaluation, job, &identity);
        status = evaluation_journal_open(&journal, job, &evaluation->dataset.set, &identity, number,
                                         checksum);
        bytes_free(&identity);
    }
    if (status == 0) {
        if (job->world.all.rank == 0)
            print_head(evaluation, job, journal.known.count);
        status = evaluation_run(evaluation, job, 0, keeps ? &journal : NULL, &measured->result,
                                &measured->responses);
    }
    if (status == 0 && job->world.all.rank == 0) {
        Bytes text = {0};
        evaluation_print(evaluation, &measured->name, &measured->result, 1, &text);
        printf("%s%.1f s\n", text.data, measured->result.seconds);
        fflush(stdout);
        bytes_free(&text);
    }
    evaluation_journal_close(&journal);
    return status;
}

static int evaluate_model(const Settings *settings, bool served, int number, Measured *measured)
{
    Job job;
    Evaluation evaluation = {0};
    int status = job_open(&job, settings, (JobOptions){.served = served});
    if (status == 0)
        status = group_agree(&job.world.all, evaluation_open(&evaluation, &job));
    if (status == 0)
        status = job_build(&job, sizes_of(&job, NULL, &evaluation,
                                          job_engines(&job, job.world.count[ROLE_ROLLOUT])));
    if (status == 0)
        status = run_model(&job, &evaluation, number, measured);
    evaluation_close(&evaluation);
    job_close(&job);
    return status;
}

static int64_t outages(const ResponseList *list)
{
    int64_t count = 0;
    for (int64_t i = 0; i < list->count; i++)
        count += list->list[i].failed || list->list[i].unjudged;
    return count;
}

// One line a response in the order of the file; of two models one behind the other.
static int write_responses(const Settings *settings, const Measured *measured, int count)
{
    Bytes out = {0};
    for (int m = 0; m < count; m++) {
        for (int64_t i = 0; i < measured[m].responses.count; i++) {
            const char *line = measured[m].responses.list[i].line;
            if (count > 1) {
                bytes_append_text(&out, "{\"model\": ");
                jsonl_append_string(&out, measured[m].name);
                bytes_append_text(&out, ", ");
            }
            bytes_print(&out, "%s\n", line + (count > 1));
        }
    }
    int status = atomic_write_file(settings->evaluate.output, out.data ? out.data : "", out.length);
    bytes_free(&out);
    for (int m = 0; status == 0 && m < count; m++) {
        int64_t lacking = outages(&measured[m].responses);
        if (lacking == 0)
            evaluation_journal_remove(settings, m);
        else
            warn("%s: %lld responses lack a text or a grade because a server did not answer; the "
                 "same command asks for them again",
                 measured[m].name, (long long)lacking);
    }
    return status;
}

static void print_both(const Measured *measured)
{
    const char *names[MODELS] = {measured[0].name, measured[1].name};
    const EvaluationResult results[MODELS] = {measured[0].result, measured[1].result};
    Bytes text = {0};
    bytes_append_text(&text, "\nside by side\n");
    evaluation_result_print(names, results, MODELS, &text);
    fputs(text.data, stdout);
    bytes_free(&text);
}

int task_evaluate(const Settings *settings)
{
    Measured measured[MODELS] = {0};
    Group world = group_world();
    bool served = settings->policy.url[0] != 0;
    int count = settings->evaluate.baseline[0] ? MODELS : 1;
    measured[0].name = served ? settings->policy.name : settings->model.path;
    watchdog_open(&world, NULL);
    int status = evaluate_model(settings, served, 0, &measured[0]);
    if (status == 0 && count == MODELS) {
        Settings other = *settings; // borrows all but the path
        other.model.path = settings->evaluate.baseline;
        measured[1].name = other.model.path;
        status = evaluate_model(&other, false, 1, &measured[1]);
    }
    bool writes = status == 0 && world.rank == 0;
    if (writes && count == MODELS)
        print_both(measured);
    if (writes && settings->evaluate.output[0])
        status = write_responses(settings, measured, count);
    status = group_agree(&world, status);
    for (int m = 0; m < MODELS; m++)
        responses_free(&measured[m].responses);
    watchdog_close(&world);
    group_free(&world);
    return status != 0 ? (int)fail_code() : EXIT_DONE;
}
