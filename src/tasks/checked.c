#include "tasks/checked.h"

#include <stdio.h>

#include "base/fail.h"

// Prints a recorded failure and goes on: a user wants to hear of all of them. Want of memory is no
// fault of the input, and would be the next one's as well.
static bool good(Checked *checked, int status)
{
    if (status != 0 && fail_code() == EXIT_NO_MEMORY)
        die_failed();
    if (status != 0) {
        fprintf(stderr, "error: %s\n", fail_message());
        checked->faults++;
    }
    return status == 0;
}

static void open_prepare(Checked *checked)
{
    const Settings *settings = checked->settings;
    PrepareSettings files = extraction_files(settings);
    if (!settings->prepare.input[0])
        return;
    checked->prepares = good(checked, prepare_read(&checked->prepared, &files));
    good(checked, answerer_open(&checked->extractor, settings->prepare.extractor,
                                &settings->extractor, "extractor"));
}

void checked_open(Checked *checked, const Settings *settings)
{
    *checked = (Checked){.settings = settings};
    open_prepare(checked);
    if (!settings->data.train[0] && !settings->evaluate.file[0])
        return;
    // Training needs a model of our own; what is only evaluated may be served.
    bool served = settings->policy.url[0] && !settings->data.train[0];
    checked->job =
        (Job){.settings = settings, .served = served, .trains = settings->data.train[0] != 0};
    checked->has_model = good(checked, job_open_text(&checked->job));
    if (!checked->has_model)
        return;
    if (settings->data.train[0]) {
        DatasetOptions options = {.path = settings->data.train,
                                  .system_prompt = settings->data.system_prompt,
                                  .tools = react_declarations(checked->job.react),
                                  .skip_bad = settings->data.skip_bad,
                                  .max_prompt_tokens = settings->data.max_prompt_tokens};
        checked->trains =
            good(checked, dataset_open(&checked->dataset, checked->job.chat, options));
        if (checked->trains) {
            stages_make(checked->stages, &checked->dataset, settings);
            good(checked, stages_check(checked->stages, &checked->dataset, settings->data.train));
        }
    }
    if (settings->evaluate.file[0])
        checked->evaluates = good(checked, evaluation_open(&checked->evaluation, &checked->job));
    checked->loaded = memory_peak();
}

void checked_close(Checked *checked)
{
    answerer_close(&checked->extractor);
    prepare_free(&checked->prepared);
    if (checked->evaluates)
        evaluation_close(&checked->evaluation);
    if (checked->trains) {
        stages_free(checked->stages);
        dataset_close(&checked->dataset);
    }
    job_close(&checked->job);
}

Reference checked_reference(const Checked *checked)
{
    return stages_reference(checked->stages, checked->job.begins_adapter);
}

int checked_least_ranks(const Checked *checked)
{
    const Settings *settings = checked->settings;
    if (settings->parallel.placement == PLACEMENT_SPLIT)
        return (int)(settings->parallel.rollout_ranks + settings->parallel.grader_ranks +
                     settings->parallel.learner_ranks);
    return grading_ranks(checked->job.grading, (int)settings->rollout.tensor_parallel);
}

JobSizes checked_demand(Checked *checked)
{
    return sizes_demand(&checked->job, checked->stages,
                        checked->evaluates ? &checked->evaluation : NULL);
}

MemoryQuestion checked_question(Checked *checked, const RankKind *kind, bool gpu)
{
    return (MemoryQuestion){
        .shape = &checked->job.shape,
        .adapter = &checked->job.stored.shape,
        .settings = checked->settings,
        .sizes = sizes_share(checked->settings, checked_demand(checked), kind->engines),
        .kind = *kind,
        .reference = checked_reference(checked) == REFERENCE_COPY,
        .grading = checked->job.grading,
        .loaded = checked->loaded,
        .gpu = gpu,
    };
}
