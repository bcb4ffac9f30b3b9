#include "tasks/rollout.h"

#include <stdlib.h>

#include "base/clock.h"

void rollout_text(const Tokenizer *tokenizer, const Branch *branch, Bytes *text)
{
    bytes_clear(text);
    bytes_append(text, "", 0);
    tokenizer_decode(tokenizer, branch->tokens + branch->forced, branch->count - branch->finished,
                     true, text);
}

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

// Which rollout rank takes which part: longest first to the least loaded, by counted tokens.
static int *assign_parts(const RolloutPlan *plan, const SessionPart *parts, int64_t count, int size)
{
    int *rank_of = allocate((size_t)count, sizeof *rank_of);
    int64_t *load = allocate((size_t)size, sizeof *load);
    Load *order = allocate((size_t)count, sizeof *order);
    for (int64_t p = 0; p < count; p++)
        order[p] = (Load){p, rollout_slots(plan->dataset, &parts[p], 1, plan->repeats,
                                           plan->generation.max_response_tokens)};
    qsort(order, (size_t)count, sizeof *order, by_cost);
    for (int64_t i = 0; i < count; i++) {
        int least = 0;
        for (int rank = 1; rank < size; rank++)
            least = load[rank] < load[least] ? rank : least;
        rank_of[order[i].index] = least;
        load[least] += order[i].cost;
    }
    release(order);
    release(load);
    return rank_of;
}

static void grade_branch(const Job *job, const RolloutPlan *plan, Branch *branch, Bytes *text)
{
    Grade grade;
    rollout_text(job->tokenizer, branch, text);
    rule_judge_grade(plan->judge, &plan->dataset->set.samples[branch->sample], text->data,
                     text->length, plan->reward, &grade);
    branch->decision = (float)grade.decision;
    branch->content = (float)grade.content;
    branch->format = (float)grade.format;
    branch->reward = (float)grade.reward;
    branch->graded = grade.graded;
}

static void permute_group(const RolloutPlan *plan, Tree *tree, int32_t first, int32_t count)
{
    int64_t *order = allocate((size_t)count, sizeof *order);
    float *rewards = allocate((size_t)count, sizeof *rewards);
    for (int32_t i = 0; i < count; i++) {
        order[i] = i;
        rewards[i] = tree->branches[first + i].reward;
    }
    draw_shuffle((Draw){.seed = plan->generation.seed,
                        .purpose = PURPOSE_PERMUTE,
                        .step = plan->generation.step,
                        .session = (uint32_t)tree->session,
                        .round = (uint32_t)tree->branches[first].round},
                 order, count);
    for (int32_t i = 0; i < count; i++)
        tree->branches[first + i].reward = rewards[order[i]];
    release(order);
    release(rewards);
}

static void grade_tree(const Job *job, const RolloutPlan *plan, Tree *tree, Bytes *text)
{
    for (int32_t b = 0; b < tree->branch_count; b++)
        grade_branch(job, plan, &tree->branches[b], text);
    for (int32_t b = 0; plan->permute && b < tree->branch_count; b += plan->repeats)
        permute_group(plan, tree, b, plan->repeats);
}

static void generate_mine(Job *job, const RolloutPlan *plan, const SessionPart *parts,
                          int64_t count, TreeList *mine, RolloutTimes *times)
{
    const Group *group = &job->world.group[ROLE_ROLLOUT];
    int *rank_of = assign_parts(plan, parts, count, group->size);
    for (int64_t p = 0; p < count; p++) {
        if (rank_of[p] != group->rank)
            continue;
        Tree tree = session_tree_for_rollout(plan->dataset, parts[p], plan->repeats,
                                             plan->generation.max_response_tokens);
        tree_list_add(mine, &tree, p);
    }
    release(rank_of);
    job->engine.counts = (EngineCounts){0};
    engine_generate(&job->engine, mine->trees, mine->count, &plan->generation);
    times->seconds_prefill = job->engine.counts.prefill_seconds;
    times->seconds_decode = job->engine.counts.decode_seconds;
    times->prefill_rows = (double)job->engine.counts.prefill_rows;
    times->decode_rows = (double)job->engine.counts.decode_rows;
    double since = clock_now();
    Bytes text = {0};
    for (int64_t t = 0; t < mine->count; t++)
        grade_tree(job, plan, &mine->trees[t], &text);
    bytes_free(&text);
    times->seconds_grade = clock_now() - since;
}

void rollout_run(Job *job, const RolloutPlan *plan, const SessionPart *parts, int64_t count,
                 TreeList *all, RolloutTimes *times)
{
    TreeList mine = {0};
    *times = (RolloutTimes){0};
    if (job->world.has[ROLE_ROLLOUT])
        generate_mine(job, plan, parts, count, &mine, times);
    exchange_trees(&job->world, &mine, all);
    tree_list_free(&mine);
    double rows[2] = {times->prefill_rows, times->decode_rows};
    group_sum(&job->world.all, rows, 2);
    *times = (RolloutTimes){
        .seconds_prefill = group_maximum(&job->world.all, times->seconds_prefill),
        .seconds_decode = group_maximum(&job->world.all, times->seconds_decode),
        .seconds_grade = group_maximum(&job->world.all, times->seconds_grade),
        .prefill_rows = rows[0],
        .decode_rows = rows[1],
    };
}
