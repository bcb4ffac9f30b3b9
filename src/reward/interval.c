#include "reward/interval.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

enum { RESAMPLES = 1000 };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, int64_t count, double p)
{
    double at = p * (double)(count - 1);
    int64_t low = (int64_t)at, high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

Interval interval_of(double *means, int64_t count)
{
    qsort(means, (size_t)count, sizeof *means, compare_doubles);
    return (Interval){percentile(means, count, 0.025), percentile(means, count, 0.975)};
}

typedef struct {
    int64_t group;
    double sum, n;
} Share;

static int by_group(const void *left, const void *right)
{
    const Share *a = left, *b = right;
    return a->group < b->group ? -1 : a->group > b->group;
}

// One share a group, in rising order of groups.
static Share *shares_of(const double *values, const int64_t *groups, int64_t count, int64_t *kept)
{
    Share *shares = allocate((size_t)count, sizeof *shares);
    for (int64_t i = 0; i < count; i++)
        shares[i] = (Share){groups[i], values[i], 1};
    qsort(shares, (size_t)count, sizeof *shares, by_group);
    *kept = 0;
    for (int64_t i = 0; i < count; i++) {
        if (*kept > 0 && shares[*kept - 1].group == shares[i].group) {
            shares[*kept - 1].sum += shares[i].sum;
            shares[*kept - 1].n++;
        } else {
            shares[(*kept)++] = shares[i];
        }
    }
    return shares;
}

Interval interval_of_mean(const double *values, const int64_t *groups, int64_t count, uint64_t seed)
{
    int64_t kept;
    double means[RESAMPLES];
    Share *shares = shares_of(values, groups, count, &kept);
    for (int r = 0; r < RESAMPLES; r++) {
        Draw draw = {.seed = seed, .purpose = PURPOSE_BOOTSTRAP, .step = (uint32_t)r};
        double sum = 0, n = 0;
        for (int64_t i = 0; i < kept; i++) {
            draw.position = (uint32_t)i;
            const Share *share = &shares[draw_below(draw, (uint64_t)kept)];
            sum += share->sum;
            n += share->n;
        }
        means[r] = sum / n;
    }
    release(shares);
    return interval_of(means, RESAMPLES);
}
