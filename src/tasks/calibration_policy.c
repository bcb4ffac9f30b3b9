#include "tasks/calibration_policy.h"

#include "base/fail.h"
#include "tasks/sizes.h"

struct PolicyCalibration {
    Settings settings; // of the calibration, with the labels as [evaluate] file; texts borrowed
    Job job;
    Evaluation *evaluations; // owned, by candidate: the same samples under its system message
    int64_t candidates;
    int64_t *groups; // owned
};

// Opens a data set for every candidate; they differ in their contexts only.
static int open_data(PolicyCalibration *policy, const CandidateList *candidates)
{
    policy->evaluations = allocate((size_t)candidates->count, sizeof *policy->evaluations);
    for (; policy->candidates < candidates->count; policy->candidates++) {
        policy->settings.data.system_prompt = candidates->list[policy->candidates].path;
        if (evaluation_open(&policy->evaluations[policy->candidates], &policy->job) != 0)
            return -1;
    }
    const SampleSet *set = &policy->evaluations[0].dataset.set;
    policy->groups = allocate((size_t)set->count, sizeof *policy->groups);
    for (int64_t i = 0; i < set->count; i++)
        policy->groups[i] = set->samples[i].session;
    return 0;
}

static JobSizes largest_sizes(const PolicyCalibration *policy)
{
    JobSizes largest = {0};
    for (int64_t c = 0; c < policy->candidates; c++) {
        JobSizes sizes = sizes_of(&policy->job, NULL, &policy->evaluations[c],
                                  job_engines(&policy->job, policy->job.world.count[ROLE_ROLLOUT]));
        if (sizes.positions > largest.positions)
            largest.positions = sizes.positions;
        if (sizes.slots > largest.slots)
            largest.slots = sizes.slots;
    }
    return largest;
}

int policy_calibration_open(PolicyCalibration **policy, const Settings *settings,
                            const CandidateList *candidates)
{
    PolicyCalibration *opened = allocate(1, sizeof *opened);
    opened->settings = *settings;
    opened->settings.evaluate.file = settings->calibrate.labels;
    opened->settings.evaluate.contexts = 0;
    Job *job = &opened->job;
    int status = job_open(job, &opened->settings, (JobOptions){0});
    if (status == 0)
        status = group_agree(&job->world.all, open_data(opened, candidates));
    if (status == 0)
        status = job_build(job, largest_sizes(opened));
    if (status == 0)
        status = job_load_engine(job, NULL);
    if (status == 0)
        *policy = opened;
    else
        policy_calibration_close(opened);
    return status;
}

void policy_calibration_close(PolicyCalibration *policy)
{
    if (!policy)
        return;
    for (int64_t c = 0; c < policy->candidates; c++)
        evaluation_close(&policy->evaluations[c]);
    job_close(&policy->job);
    release(policy->evaluations);
    release(policy->groups);
    release(policy);
}

int64_t policy_calibration_count(const PolicyCalibration *policy)
{
    return policy->evaluations[0].dataset.set.count;
}

const int64_t *policy_calibration_groups(const PolicyCalibration *policy)
{
    return policy->groups;
}

// `measured` counts the graded responses until means are taken.
static void add_response(const Response *response, Measure *measure)
{
    measure->score += response->grade.graded ? response->grade.reward : 0;
    measure->measured += response->grade.graded;
    measure->unanswered += !response->grade.graded;
}

// The mean reward of a context's graded responses; one without any says nothing.
static void take_mean(Measure *measure)
{
    double graded = measure->measured, all = graded + measure->unanswered;
    measure->score = graded > 0 ? measure->score / graded : 0;
    measure->measured = graded > 0;
    measure->unanswered = all > 0 ? measure->unanswered / all : 0;
}

int policy_calibration_measure(PolicyCalibration *policy, int64_t candidate, const int64_t *order,
                               int64_t first, int64_t end, Measure *measures)
{
    Evaluation *evaluation = &policy->evaluations[candidate];
    const Dataset *dataset = &evaluation->dataset;
    SessionPart *parts = allocate((size_t)(end - first), sizeof *parts);
    int64_t *place = allocate((size_t)dataset->set.count, sizeof *place), count = 0;
    ResponseList responses = {0};
    for (int64_t i = first; i < end; i++) {
        bool usable = dataset->contexts[order[i]].usable;
        measures[i - first] = (Measure){0};
        place[order[i]] = i - first;
        if (usable)
            parts[count++] = (SessionPart){&order[i], 1};
    }
    int status =
        evaluation_sample(evaluation, &policy->job, (uint32_t)candidate, parts, count, &responses);
    for (int64_t i = 0; i < responses.count; i++)
        add_response(&responses.list[i], &measures[place[responses.list[i].sample]]);
    for (int64_t i = first; i < end; i++)
        take_mean(&measures[i - first]);
    responses_free(&responses);
    release(parts);
    release(place);
    return status;
}
