#include "tasks/rollout.h"

#include <stdlib.h>

#include "base/activity.h"
#include "base/clock.h"
#include "base/fail.h"

int64_t rollout_slots(const Dataset *dataset, const SessionPart *parts, int64_t count,
                      int32_t repeats, int32_t max_response_tokens)
{
    int64_t slots = 0;
    for (int64_t p = 0; p < count; p++) {
        int64_t longest = 0;
        for (int64_t i = 0; i < parts[p].count; i++) {
            int64_t length = dataset->contexts[parts[p].samples[i]].count;
            longest = length > longest ? length : longest;
        }
        // Forced tokens are few: an aligned branch has room for some.
        slots += slots_aligned(longest) +
                 parts[p].count * repeats * (slots_aligned(max_response_tokens) + SLOT_ALIGNMENT);
    }
    return slots;
}

typedef struct {
    int64_t index, cost;
} Load;

static int by_cost(const void *left, const void *right)
{
    const Load *a = left, *b = right;
    if (a->cost != b->cost)
        return a->cost > b->cost ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

// Which engine takes which part: longest first to the least loaded, by counted tokens.
static int *assign_parts(const RolloutPlan *plan, const SessionPart *parts, int64_t count, int size)
{
    int *engine_of = allocate((size_t)count, sizeof *engine_of);
    int64_t *load = allocate((size_t)size, sizeof *load);
    Load *order = allocate((size_t)count, sizeof *order);
    for (int64_t p = 0; p < count; p++)
        order[p] = (Load){p, rollout_slots(plan->dataset, &parts[p], 1, plan->repeats,
                                           plan->generation.max_response_tokens)};
    qsort(order, (size_t)count, sizeof *order, by_cost);
    for (int64_t i = 0; i < count; i++) {
        int least = 0;
        for (int engine = 1; engine < size; engine++)
            least = load[engine] < load[least] ? engine : least;
        engine_of[order[i].index] = least;
        load[least] += order[i].cost;
    }
    release(order);
    release(load);
    return engine_of;
}

// Among the graded ones: the others have nothing to give, and take no part.
static void permute_group(const RolloutPlan *plan, Tree *tree, int32_t first, int32_t count)
{
    int64_t *order = allocate((size_t)count, sizeof *order), graded = 0;
    float *rewards = allocate((size_t)count, sizeof *rewards);
    for (int32_t i = 0; i < count; i++) {
        const Branch *branch = &tree->branches[first + i];
        if (!branch->graded)
            continue;
        order[graded] = graded;
        rewards[graded++] = branch->reward;
    }
    draw_shuffle((Draw){.seed = plan->generation.seed,
                        .purpose = PURPOSE_PERMUTE,
                        .step = plan->generation.step,
                        .session = (uint32_t)tree->session,
                        .round = (uint32_t)tree->branches[first].round},
                 order, graded);
    for (int32_t i = 0, g = 0; i < count; i++)
        if (tree->branches[first + i].graded)
            tree->branches[first + i].reward = rewards[order[g++]];
    release(order);
    release(rewards);
}

static void permute_rewards(const RolloutPlan *plan, TreeList *mine)
{
    for (int64_t t = 0; t < mine->count; t++)
        for (int32_t b = 0; b < mine->trees[t].branch_count; b += plan->repeats)
            permute_group(plan, &mine->trees[t], b, plan->repeats);
}

static void on_ended(void *context, Tree *tree, Branch *branch)
{
    grading_take(context, tree, branch);
}

static void generate_mine(Job *job, const RolloutPlan *plan, const SessionPart *parts,
                          int64_t count, TreeList *mine)
{
    const Group *engines = &job->team.across;
    int *engine_of = assign_parts(plan, parts, count, engines->size);
    for (int64_t p = 0; p < count; p++) {
        if (engine_of[p] != engines->rank)
            continue;
        Tree tree = session_tree_for_rollout(plan->dataset, parts[p], plan->repeats,
                                             plan->generation.max_response_tokens);
        tree_list_add(mine, &tree, p);
    }
    release(engine_of);
    Generation generation = plan->generation;
    generation.ended = on_ended;
    generation.context = job->grading;
    job->engine.counts = (EngineCounts){0};
    react_generate(job->react, &job->engine, mine->trees, mine->count, &generation);
}

void rollout_open(Rollout *rollout, Job *job, const RolloutPlan *plan)
{
    activity_begin("sampling");
    *rollout = (Rollout){.plan = *plan, .since = clock_now()};
    GradingPlan grading = {.dataset = plan->dataset,
                           .rules = plan->rules,
                           .reward = plan->reward,
                           .unusable_is_zero = job->settings->reward.unusable_is_zero,
                           .repeats = plan->repeats,
                           .seed = plan->generation.seed,
                           .purpose = plan->judging,
                           .step = plan->generation.step};
    grading_begin(job->grading, &grading);
}

void rollout_sampled(Rollout *rollout)
{
    rollout->sampled = clock_now();
}

void rollout_begin(Rollout *rollout, Job *job, const RolloutPlan *plan, const SessionPart *parts,
                   int64_t count)
{
    rollout_open(rollout, job, plan);
    if (job->world.has[ROLE_ROLLOUT])
        generate_mine(job, plan, parts, count, &rollout->mine);
    rollout_sampled(rollout);
}

// Numbers of all ranks from those of this one. `wall`: seconds of the whole.
static void gather_times(const Job *job, const GradingReport *report, double generating,
                         double wall, RolloutTimes *times)
{
    const World *world = &job->world;
    const EngineCounts *counts = &job->engine.counts;
    ReactCounts tools = job->react ? react_counts(job->react) : (ReactCounts){0};
    bool rolls = world->has[ROLE_ROLLOUT], grades = world->has[ROLE_GRADER];
    bool leads = team_leads(&job->team); // rows are an engine's
    double sums[] = {leads ? (double)counts->prefill_rows : 0,
                     leads ? (double)counts->decode_rows : 0,
                     report->judging,
                     rolls ? wall - generating - (grades ? report->judging : 0) : 0,
                     grades ? wall - report->judging - (rolls ? generating : 0) : 0,
                     (double)report->asked.questions,
                     (double)report->asked.attempts,
                     (double)report->asked.unusable,
                     (double)report->asked.unanswered,
                     (double)report->asked.unreached,
                     (double)tools.calls,
                     (double)tools.failed,
                     (double)tools.summaries};
    double slowest = group_maximum(&world->all, wall);
    group_sum(&world->all, sums, sizeof sums / sizeof *sums);
    *times = (RolloutTimes){
        .seconds = slowest,
        .seconds_prefill = group_maximum(&world->all, counts->prefill_seconds),
        .seconds_decode = group_maximum(&world->all, counts->decode_seconds),
        .seconds_grade = group_maximum(&world->all, rolls ? wall - generating : 0),
        .prefill_rows = sums[0],
        .decode_rows = sums[1],
        .judging = sums[2],
        .questions = sums[5],
        .attempts = sums[6],
        .unusable = sums[7],
        .unanswered = sums[8],
        .unreached = sums[9],
        .tool_calls = sums[10],
        .failed_calls = sums[11],
        .summaries = sums[12],
        .own = {.seconds = wall,
                .prefill = counts->prefill_seconds,
                .decode = counts->decode_seconds,
                .grade = rolls ? wall - generating : 0,
                .judging = report->judging},
    };
    times->idle[ROLE_ROLLOUT] = sums[3] / (slowest * world->count[ROLE_ROLLOUT]);
    times->idle[ROLE_GRADER] = sums[4] / (slowest * world->count[ROLE_GRADER]);
}

int rollout_finish(Rollout *rollout, Job *job, TreeList *all, RolloutTimes *times)
{
    GradingReport report;
    // Other work of this rank in between does not count.
    double generating = rollout->sampled - rollout->since, resumed = clock_now();
    grading_finish(job->grading, &rollout->mine, &report);
    double finishing = clock_now() - resumed;
    if (!team_leads(&job->team))
        tree_list_clear(&rollout->mine); // they are those of the rank that does
    if (rollout->plan.permute)
        permute_rewards(&rollout->plan, &rollout->mine);
    exchange_trees(&job->world, &rollout->mine, all);
    tree_list_free(&rollout->mine);
    gather_times(job, &report, generating, generating + finishing, times);
    if (times->questions == 0 || times->unreached < times->questions)
        return 0;
    return fail(EXIT_UNAVAILABLE, "the judge answered none of %.0f questions: see the warnings",
                times->questions);
}

int rollout_run(Job *job, const RolloutPlan *plan, const SessionPart *parts, int64_t count,
                TreeList *all, RolloutTimes *times)
{
    Rollout rollout;
    rollout_begin(&rollout, job, plan, parts, count);
    return rollout_finish(&rollout, job, all, times);
}

void rollout_report(const RolloutTimes *times, Metrics *metrics)
{
    metrics_set(metrics, "timing_s/gen_prefill", times->seconds_prefill);
    metrics_set(metrics, "timing_s/gen_decode", times->seconds_decode);
    metrics_set(metrics, "timing_s/reward", times->seconds_grade);
    metrics_set(metrics, "rollout/prefill_rows", times->prefill_rows);
    metrics_set(metrics, "rollout/decode_rows", times->decode_rows);
    if (times->tool_calls > 0) {
        metrics_set(metrics, "tools/calls", times->tool_calls);
        metrics_set(metrics, "tools/failed", times->failed_calls);
        metrics_set(metrics, "tools/summaries", times->summaries);
    }
    if (times->questions == 0)
        return;
    metrics_set(metrics, "grading/questions", times->questions);
    metrics_set(metrics, "grading/attempts", times->attempts);
    metrics_set(metrics, "grading/unusable", times->unusable);
    metrics_set(metrics, "grading/unanswered", times->unanswered);
    metrics_set(metrics, "grading/unreached", times->unreached);
    metrics_set(metrics, "timing_s/judge", times->judging);
    metrics_set(metrics, "group/rollout/idle", times->idle[ROLE_ROLLOUT]);
    metrics_set(metrics, "group/grader/idle", times->idle[ROLE_GRADER]);
}
