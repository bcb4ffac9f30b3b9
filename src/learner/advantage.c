#include "learner/advantage.h"

#include <math.h>

static const double EPSILON = 1e-6, WHITE_EPSILON = 1e-8;

typedef struct {
    double mean, deviation;
    int64_t count; // graded
} Spread;

static Spread spread_of(const Tree *tree, int32_t first, int32_t end)
{
    Spread spread = {0};
    for (int32_t b = first; b < end; b++) {
        if (!tree->branches[b].graded)
            continue;
        spread.mean += (double)tree->branches[b].reward;
        spread.count++;
    }
    if (spread.count < 2)
        return (Spread){.mean = 0, .deviation = 1, .count = spread.count};
    spread.mean /= (double)spread.count;
    double sum = 0;
    for (int32_t b = first; b < end; b++) {
        double distance = (double)tree->branches[b].reward - spread.mean;
        sum += tree->branches[b].graded ? distance * distance : 0;
    }
    spread.deviation = sqrt(sum / (double)(spread.count - 1));
    return spread;
}

static int32_t end_of_group(const Tree *tree, int32_t first)
{
    int32_t end = first + 1;
    while (end < tree->branch_count && tree->branches[end].sample == tree->branches[first].sample)
        end++;
    return end;
}

static bool is_flat(Spread spread)
{
    return spread.count >= 2 && spread.deviation == 0;
}

bool advantage_group_is_flat(const Tree *tree, int32_t first, int32_t *end)
{
    *end = end_of_group(tree, first);
    return is_flat(spread_of(tree, first, *end));
}

// An advantage from a reward and its group's spread.
typedef double (*Relation)(double reward, Spread spread);

static double standardised(double reward, Spread spread)
{
    return (reward - spread.mean) / (spread.count < 2 ? 1.0 : spread.deviation + EPSILON);
}

static double centred(double reward, Spread spread)
{
    return reward - spread.mean;
}

static double left_out(double reward, Spread spread)
{
    double n = (double)spread.count;
    return (reward - spread.mean) * (spread.count < 2 ? 1 : n / (n - 1));
}

static int64_t set_groups(const LossSettings *settings, Tree *trees, int64_t count,
                          Relation relation)
{
    int64_t flat = 0;
    for (int64_t t = 0; t < count; t++) {
        Tree *tree = &trees[t];
        for (int32_t first = 0, end; first < tree->branch_count; first = end) {
            end = end_of_group(tree, first);
            Spread spread = spread_of(tree, first, end);
            flat += is_flat(spread);
            for (int32_t b = first; b < end; b++) {
                Branch *branch = &tree->branches[b];
                branch_set_advantage(branch,
                                     branch->graded ? relation((double)branch->reward, spread) : 0);
                if (is_flat(spread) && settings->drop_flat_groups)
                    branch->graded = 0;
            }
        }
    }
    return flat;
}

int64_t advantage_group_relative(const LossSettings *settings, Tree *trees, int64_t count)
{
    return set_groups(settings, trees, count, standardised);
}

int64_t advantage_centred(const LossSettings *settings, Tree *trees, int64_t count)
{
    return set_groups(settings, trees, count, centred);
}

int64_t advantage_leave_one_out(const LossSettings *settings, Tree *trees, int64_t count)
{
    return set_groups(settings, trees, count, left_out);
}

static void set_returns(const LossSettings *settings, Branch *branch)
{
    double rest = (double)branch->reward, slope;
    for (int32_t i = branch->count - 1; i >= 0; i--) {
        if (branch->scored[i] && settings->kl_coefficient > 0)
            rest -= settings->kl_coefficient * loss_kl(settings->kl_estimator,
                                                       (double)branch->logprobs[i],
                                                       (double)branch->reference[i], &slope);
        branch->advantages[i] = (float)rest;
    }
}

typedef struct {
    double sum, squares, count; // squares: of distances from `mean`
    double mean;
} Deviations;

static void add_branch(Deviations *deviations, const Branch *branch)
{
    for (int32_t i = 0; i < branch->count; i++) {
        if (!branch->scored[i] || !branch->graded)
            continue;
        double distance = (double)branch->advantages[i] - deviations->mean;
        deviations->sum += (double)branch->advantages[i];
        deviations->squares += distance * distance;
        deviations->count += 1;
    }
}

static Deviations deviations_about(const Tree *trees, int64_t count, double mean)
{
    Deviations deviations = {.mean = mean};
    for (int64_t t = 0; t < count; t++)
        for (int32_t b = 0; b < trees[t].branch_count; b++)
            add_branch(&deviations, &trees[t].branches[b]);
    return deviations;
}

int64_t advantage_whitened(const LossSettings *settings, Tree *trees, int64_t count)
{
    int64_t flat = set_groups(settings, trees, count, centred);
    for (int64_t t = 0; t < count; t++)
        for (int32_t b = 0; b < trees[t].branch_count; b++)
            set_returns(settings, &trees[t].branches[b]);
    Deviations first = deviations_about(trees, count, 0);
    double mean = first.count > 0 ? first.sum / first.count : 0;
    double variance =
        first.count > 1 ? deviations_about(trees, count, mean).squares / (first.count - 1) : 0;
    double scale = 1 / sqrt(variance + WHITE_EPSILON);
    for (int64_t t = 0; t < count; t++)
        for (int32_t b = 0; b < trees[t].branch_count; b++)
            for (int32_t i = 0; i < trees[t].branches[b].count; i++) {
                float *a = &trees[t].branches[b].advantages[i];
                *a = trees[t].branches[b].graded ? (float)(((double)*a - mean) * scale) : 0;
            }
    return flat;
}
