#include "tools/report_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

enum { BYTES_A_SAMPLE = 8192 }; // of text, with the conversation's, on average

typedef struct {
    ReportChoice *choice;
    const ShowRun *run;
    int64_t *steps; // owned; those that sampled
    int64_t group_size, extremes;
    int64_t left, bytes_left; // responses to be taken evenly; bytes of text
} Chooser;

// What is read at a time: the responses of a step or a few, cut into groups.
typedef struct {
    int64_t begin;       // index of the first response
    ChoiceGroup *groups; // owned
    bool *chosen;        // owned
    int64_t count;
} Found;

static const ShowSample *response_of(const ReportChoice *choice, const ChoiceGroup *group,
                                     int64_t r)
{
    return &choice->samples.list[group->first + r];
}

static bool is_same_group(const ShowSample *a, const ShowSample *b)
{
    return a->step == b->step && strcmp(a->cid, b->cid) == 0;
}

static int find_groups(Chooser *chooser, int64_t first_step, int64_t last_step, Found *found)
{
    ShowSamples *samples = &chooser->choice->samples;
    size_t capacity = 0;
    *found = (Found){.begin = samples->count};
    if (show_samples_read(samples, chooser->run->directory, first_step, last_step) != 0)
        return -1;
    for (int64_t i = found->begin; i < samples->count; i++) {
        if (i == found->begin || !is_same_group(&samples->list[i - 1], &samples->list[i])) {
            grow((void **)&found->groups, &capacity, (size_t)found->count + 1,
                 sizeof *found->groups);
            found->groups[found->count++] = (ChoiceGroup){.first = i};
        }
        found->groups[found->count - 1].count++;
    }
    found->chosen = allocate((size_t)found->count, sizeof *found->chosen);
    return 0;
}

static bool is_taken(const ReportChoice *choice, int64_t step)
{
    for (int64_t i = 0; i < choice->taken_count; i++)
        if (choice->taken[i] == step)
            return true;
    return false;
}

static void count_group(ReportChoice *choice, const ChoiceGroup *group)
{
    choice->contexts++;
    choice->responses += group->count;
}

static int64_t text_bytes(const ReportChoice *choice, const ChoiceGroup *group)
{
    size_t bytes = 0;
    const Sample *sample = response_of(choice, group, 0)->sample;
    for (int64_t m = 0; sample && m < sample->message_count; m++)
        bytes += strlen(sample->messages[m].content);
    for (int64_t r = 0; r < group->count; r++) {
        const ShowSample *response = response_of(choice, group, r);
        bytes += strlen(response->response) + strlen(response->earlier) + strlen(response->verdict);
    }
    return (int64_t)bytes;
}

// Marks a group unless its text is too much for what is left, or it is marked.
static bool mark(Chooser *chooser, Found *found, int64_t g, ChoiceReason reason)
{
    int64_t bytes = text_bytes(chooser->choice, &found->groups[g]);
    if (found->chosen[g])
        return false;
    if (bytes > chooser->bytes_left) {
        chooser->choice->passed_over = true;
        return false;
    }
    chooser->bytes_left -= bytes;
    found->chosen[g] = true;
    found->groups[g].reason = reason;
    return true;
}

// Takes over what is marked, forgets the rest.
static void keep_marked(Chooser *chooser, Found *found)
{
    ReportChoice *choice = chooser->choice;
    int64_t next = found->begin;
    bool *kept = allocate((size_t)(choice->samples.count - found->begin), sizeof *kept);
    for (int64_t g = 0; g < found->count; g++) {
        ChoiceGroup group = found->groups[g];
        if (!found->chosen[g])
            continue;
        memset(kept + (group.first - found->begin), true, (size_t)group.count);
        group.first = next;
        next += group.count;
        grow((void **)&choice->groups, &choice->capacity, (size_t)choice->count + 1, sizeof group);
        choice->groups[choice->count++] = group;
    }
    show_samples_keep(&choice->samples, found->begin, kept);
    release(kept);
    release(found->groups);
    release(found->chosen);
}

static int take_evenly(Chooser *chooser, int64_t step, int64_t steps_left)
{
    ReportChoice *choice = chooser->choice;
    Found found;
    if (find_groups(chooser, step, step, &found) != 0)
        return -1;
    choice->taken[choice->taken_count++] = step;
    choice->looked_at++;
    for (int64_t g = 0; g < found.count; g++)
        count_group(choice, &found.groups[g]);
    int64_t responses = choice->samples.count - found.begin, wanted = 0;
    if (responses > 0)
        wanted = chooser->left / steps_left * found.count / responses;
    wanted = wanted < 1 ? 1 : wanted;
    wanted = wanted > found.count ? found.count : wanted;
    for (int64_t i = 0; i < wanted; i++) {
        int64_t g = (2 * i + 1) * found.count / (2 * wanted);
        if (mark(chooser, &found, g, CHOSEN_EVENLY))
            chooser->left -= found.groups[g].count;
    }
    keep_marked(chooser, &found);
    return 0;
}

static int take_steps(Chooser *chooser)
{
    int64_t count = chooser->left / chooser->group_size, all = chooser->choice->steps;
    count = count > CHOICE_STEPS ? CHOICE_STEPS : count < 1 ? 1 : count;
    count = count > all ? all : count;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = count > 1 ? i * (all - 1) / (count - 1) : all - 1;
        if (take_evenly(chooser, chooser->steps[at], count - i) != 0)
            return -1;
    }
    return 0;
}

// How far a group goes to one end: the smaller, the farther.
typedef struct {
    int64_t group, session;
    double extreme, mean;
} Rank;

static int by_extreme(const void *left, const void *right)
{
    const Rank *a = left, *b = right;
    if (a->extreme != b->extreme)
        return a->extreme < b->extreme ? -1 : 1;
    if (a->mean != b->mean)
        return a->mean < b->mean ? -1 : 1;
    return a->group < b->group ? -1 : a->group > b->group;
}

// False where no response has a reward.
static bool rank_group(const ReportChoice *choice, const ChoiceGroup *group, double sign,
                       Rank *rank)
{
    double sum = 0, extreme = INFINITY, count = 0;
    for (int64_t r = 0; r < group->count; r++) {
        const ShowSample *response = response_of(choice, group, r);
        if (!response->graded || isnan(response->reward))
            continue;
        extreme = fmin(extreme, sign * response->reward);
        sum += sign * response->reward;
        count++;
    }
    rank->extreme = extreme;
    rank->mean = sum / count;
    return count > 0;
}

static bool is_known(const ReportChoice *choice, const ShowSample *response)
{
    for (int64_t g = 0; g < choice->count; g++)
        if (is_same_group(response_of(choice, &choice->groups[g], 0), response))
            return true;
    return false;
}

static void mark_extremes(Chooser *chooser, Found *found, ChoiceReason reason)
{
    const ReportChoice *choice = chooser->choice;
    Rank *ranks = allocate((size_t)found->count, sizeof *ranks);
    int64_t count = 0, *sessions = allocate((size_t)chooser->extremes, sizeof *sessions);
    for (int64_t g = 0; g < found->count; g++) {
        const ShowSample *response = response_of(choice, &found->groups[g], 0);
        // Where its conversation is not known, a context passes for a session.
        ranks[count] = (Rank){g, response->sample ? response->sample->session : -1 - g, 0, 0};
        count +=
            !is_known(choice, response) &&
            rank_group(choice, &found->groups[g], reason == CHOSEN_WORST ? 1 : -1, &ranks[count]);
    }
    if (count > 0)
        qsort(ranks, (size_t)count, sizeof *ranks, by_extreme);
    for (int64_t i = 0, taken = 0; i < count && taken < chooser->extremes; i++) {
        int64_t before = 0;
        while (before < taken && sessions[before] != ranks[i].session)
            before++;
        if (before == taken && mark(chooser, found, ranks[i].group, reason))
            sessions[taken++] = ranks[i].session;
    }
    release(ranks);
    release(sessions);
}

static int take_extremes(Chooser *chooser)
{
    ReportChoice *choice = chooser->choice;
    int64_t last = choice->steps > CHOICE_LAST_STEPS ? CHOICE_LAST_STEPS : choice->steps;
    choice->extremes = chooser->extremes;
    if (chooser->extremes == 0)
        return 0;
    Found found;
    choice->extremes_from = chooser->steps[choice->steps - last];
    if (find_groups(chooser, choice->extremes_from, chooser->steps[choice->steps - 1], &found) != 0)
        return -1;
    for (int64_t i = choice->steps - last; i < choice->steps; i++)
        choice->looked_at += !is_taken(choice, chooser->steps[i]);
    for (int64_t g = 0; g < found.count; g++)
        if (!is_taken(choice, response_of(choice, &found.groups[g], 0)->step))
            count_group(choice, &found.groups[g]);
    mark_extremes(chooser, &found, CHOSEN_WORST);
    mark_extremes(chooser, &found, CHOSEN_BEST);
    keep_marked(chooser, &found);
    return 0;
}

static void find_steps(Chooser *chooser)
{
    const MetricsTable *metrics = &chooser->run->metrics;
    const double *length = metrics_table_find(metrics, "response_length/mean");
    chooser->steps = allocate((size_t)metrics->rows, sizeof *chooser->steps);
    for (int64_t i = 0; length && i < metrics->rows; i++)
        if (!isnan(length[i]))
            chooser->steps[chooser->choice->steps++] = metrics->steps[i];
}

static bool has_samples(const ShowRun *run, Bytes *left_out)
{
    Bytes path = {0};
    bytes_print(&path, "%s/samples.jsonl", run->directory);
    bool there = access(path.data, F_OK) == 0;
    if (!there)
        bytes_print(left_out, "there is no %s", path.data);
    bytes_free(&path);
    return there;
}

int report_choice_make(ReportChoice *choice, const ShowRun *run, int64_t samples)
{
    *choice = (ReportChoice){0};
    int64_t group_size = run->settings.rollout.group_size, extremes = samples / (8 * group_size);
    Chooser chooser = {.choice = choice, .run = run, .group_size = group_size};
    chooser.extremes = extremes > CHOICE_EXTREMES ? CHOICE_EXTREMES : extremes;
    chooser.left = samples - 2 * chooser.extremes * group_size;
    chooser.bytes_left = samples * BYTES_A_SAMPLE;
    find_steps(&chooser);
    int status = 0;
    if (choice->steps > 0 && has_samples(run, &choice->left_out)) {
        if (show_samples_open(&choice->samples, run->settings.data.train) != 0)
            bytes_print(&choice->left_out, "%s", fail_message());
        status = take_steps(&chooser);
        if (status == 0)
            status = take_extremes(&chooser);
    }
    release(chooser.steps);
    if (status != 0)
        report_choice_free(choice);
    return status;
}

void report_choice_free(ReportChoice *choice)
{
    show_samples_close(&choice->samples);
    release(choice->groups);
    bytes_free(&choice->left_out);
}
