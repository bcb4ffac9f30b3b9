#include "tools/show_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool fits(const ShowSample *sample, const ShowChoice *choice)
{
    if (choice->cid && strcmp(sample->cid, choice->cid) != 0)
        return false;
    if (choice->truth && strcmp(truth_name(sample->truth), choice->truth) != 0)
        return false;
    // A decision is 0 or 1; it is not known of a response that has no grade.
    bool right = sample->decision > 0.5;
    return !choice->decision ||
           (sample->graded && right == (strcmp(choice->decision, "right") == 0));
}

typedef struct {
    double rank; // smaller ones first
    int64_t index;
} Place;

static int by_rank(const void *left, const void *right)
{
    const Place *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static double rank_of(const ShowSample *sample, const ShowChoice *choice)
{
    if (!choice->ordered)
        return 0;
    if (!sample->graded || isnan(sample->reward))
        return INFINITY;
    return choice->best ? -sample->reward : sample->reward;
}

int64_t *show_choice_make(const ShowSamples *samples, const ShowChoice *choice, int64_t *count)
{
    Place *places = allocate((size_t)samples->count, sizeof *places);
    int64_t fitting = 0;
    for (int64_t i = 0; i < samples->count; i++)
        if (fits(&samples->list[i], choice))
            places[fitting++] = (Place){rank_of(&samples->list[i], choice), i};
    if (fitting > 0)
        qsort(places, (size_t)fitting, sizeof *places, by_rank);
    *count = fitting < choice->most ? fitting : choice->most;
    int64_t *indices = allocate((size_t)*count, sizeof *indices);
    for (int64_t i = 0; i < *count; i++)
        indices[i] = places[i].index;
    release(places);
    return indices;
}
