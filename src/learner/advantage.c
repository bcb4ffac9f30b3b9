#include "learner/advantage.h"

#include <math.h>

static const double EPSILON = 1e-6;

typedef struct {
    double mean, deviation;
    int64_t count;
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

static void set_group(Tree *tree, int32_t first, int32_t end, Spread spread, bool drop)
{
    double divisor = spread.count < 2 ? 1.0 : spread.deviation + EPSILON;
    for (int32_t b = first; b < end; b++) {
        Branch *branch = &tree->branches[b];
        branch->advantage =
            branch->graded ? (float)(((double)branch->reward - spread.mean) / divisor) : 0;
        if (drop)
            branch->graded = 0;
    }
}

int64_t advantage_group_relative(Tree *tree, bool drop_flat)
{
    int64_t flat = 0;
    for (int32_t first = 0, end; first < tree->branch_count; first = end) {
        end = first + 1;
        while (end < tree->branch_count &&
               tree->branches[end].sample == tree->branches[first].sample)
            end++;
        Spread spread = spread_of(tree, first, end);
        bool is_flat = spread.count >= 2 && spread.deviation == 0;
        flat += is_flat;
        set_group(tree, first, end, spread, is_flat && drop_flat);
    }
    return flat;
}
